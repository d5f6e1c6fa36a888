import { expect } from "chai";
import * as fc from "fast-check";
import { parse as parseYaml } from "yaml";
import { macOf, metaData, networkConfig, userData } from "../../components/nodes/cloud-init";

/** As cloud-init reads it. */
const parse = (text: string): unknown => parseYaml(text, { version: "1.1" });

const HOST_KEY = {
  privateKey:
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n",
  publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyVCqx5RJSbFnUUvT163cxQRdlJUBPThgRl8id6NNJY",
};
const first = { hostname: "nor-web-0", hostKey: HOST_KEY, authorizedKeys: ["ssh-ed25519 AAAA ops"] };

describe("user-data", () => {
  it("begins with #cloud-config, sets name, pinned host key and logins, grows the root", () => {
    const text = userData(first);
    expect(text.split("\n")[0]).to.equal("#cloud-config");
    expect(parse(text)).to.deep.include({
      hostname: "nor-web-0",
      ssh_deletekeys: true,
      ssh_keys: { ed25519_private: HOST_KEY.privateKey, ed25519_public: HOST_KEY.publicKey },
      ssh_pwauth: false,
      disable_root: false,
      users: [{ name: "root", lock_passwd: true, ssh_authorized_keys: ["ssh-ed25519 AAAA ops"] }],
      growpart: { mode: "auto", devices: ["/"] },
    });
  });

  it("keeps any text as it is, whatever YAML would make of it", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" }), { minLength: 1 }), (authorizedKeys) => {
        const [user] = (parse(userData({ ...first, authorizedKeys })) as { users: Record<string, unknown>[] }).users;
        expect(user!["ssh_authorized_keys"]).to.deep.equal(authorizedKeys);
      }),
    );
    const hostile = ["x\nruncmd: [reboot]", "- [a", "no", "!!js/function x", "# comment", "key: value", "'\"", "\t"];
    const config = parse(userData({ ...first, authorizedKeys: hostile })) as Record<string, unknown>;
    expect(config).to.not.have.property("runcmd");
    expect(config["users"]).to.deep.equal([{ name: "root", lock_passwd: true, ssh_authorized_keys: hostile }]);
  });
});

describe("network-config", () => {
  const network = { mac: "52:54:0a:0b:0c:0d", address: "10.0.10.11", prefix: 24, nameservers: ["10.0.10.2"] };

  it("matches by MAC and gives a static address", () => {
    expect(parse(networkConfig({ ...network, gateway: "10.0.10.1" }))).to.deep.equal({
      version: 2,
      ethernets: {
        primary: {
          match: { macaddress: "52:54:0a:0b:0c:0d" },
          dhcp4: false,
          dhcp6: false,
          addresses: ["10.0.10.11/24"],
          routes: [{ to: "0.0.0.0/0", via: "10.0.10.1" }],
          nameservers: { addresses: ["10.0.10.2"] },
        },
      },
    });
  });

  it("has neither routes nor name servers where there are none", () => {
    const { ethernets } = parse(networkConfig({ ...network, nameservers: [] })) as {
      ethernets: { primary: Record<string, unknown> };
    };
    expect(ethernets.primary).to.not.have.any.keys("routes", "nameservers");
  });

  it("keeps a MAC of digits text, not a number in base 60", () => {
    const text = networkConfig({ ...network, mac: "52:54:10:20:30:40" });
    expect(parse(text)).to.have.nested.property("ethernets.primary.match.macaddress", "52:54:10:20:30:40");
  });
});

describe("meta-data", () => {
  it("names the instance after the node", () => {
    expect(parse(metaData("nor-web-0"))).to.deep.equal({ "instance-id": "nor-web-0", "local-hostname": "nor-web-0" });
  });
});

describe("macOf", () => {
  it("is locally administered unicast, the same for the same node, and others for the rest", () => {
    const macs = Array.from({ length: 1000 }, (_, i) => macOf("nor", `nor-web-${i}`));
    expect(new Set(macs).size).to.equal(1000);
    for (const mac of macs) expect(mac).to.match(/^52:54(:[0-9a-f]{2}){4}$/);
    expect(macOf("nor", "nor-web-0")).to.equal(macs[0]).and.not.equal(macOf("other", "nor-web-0"));
  });
});
