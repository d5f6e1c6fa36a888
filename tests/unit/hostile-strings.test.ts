/** Words that would do something if anything read them as more than a text: quoted everywhere, or refused. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import { parse } from "yaml";
import { metaData, userData } from "../../components/nodes/cloud-init";
import { quote } from "../../provider/core/quote";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import { parseDomainXml } from "../../provider/domain/seen";
import { domainXml } from "../../provider/domain/xml";
import { markOf } from "../../provider/libvirt/mark";
import { volumeKind } from "../../provider/volume/volume";
import { exampleHostKey } from "../support/hosts";
import { problemsOf } from "../support/stack";

const piece = fc.constantFrom(
  ...[
    "'",
    '"',
    "\\",
    "`",
    "$",
    "$(",
    ")",
    "${",
    "}",
    ";",
    "&",
    "|",
    "<",
    ">",
    "\n",
    "\r",
    "\t",
    " ",
    "#",
    "*",
    "~",
    "!",
    "-",
  ],
  ...[
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned;",
    "'; touch pwned; '",
    "&amp;",
    "&#10;",
    "]]>",
    "<!--",
    "<x a='",
  ],
  ...[
    "é",
    "😀",
    "\u2028",
    "\u0085",
    "\u202e",
    "\u0001",
    "\ufeff",
    "a",
    "0",
    ": ",
    "- ",
    "---",
    "%",
    "{{",
    "!!js",
    "no",
    "EOF",
  ],
);
const hostile = fc.oneof(
  fc.array(piece, { minLength: 1, maxLength: 12 }).map((parts) => parts.join("")),
  fc.string({ unit: "binary", maxLength: 20 }).filter((text) => !/\0|\p{Surrogate}/u.test(text)),
);
const owner = { project: "p", stack: "s", cluster: "c", environment: "development" } as const;
const host = { address: "192.0.2.1", hostKey: exampleHostKey() };
const domain = {
  host,
  owner,
  name: "web-0",
  type: "kvm",
  vcpus: 1,
  vcpuPins: [],
  emulatorPin: [],
  ioThreadPin: [],
  memoryBytes: 2 ** 30,
  disks: [{ type: "file", path: "/var/lib/kvmesh/web-0.qcow2", format: "qcow2", target: "vda" }],
  interfaces: [],
  cloudInit: { userData: "", metaData: "", networkConfig: "" },
  storage: "/var/lib/kvmesh",
};

describe("hostile strings", () => {
  it("reach a program through the shell exactly as they are, and nothing of them is executed", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-hostile-"));
    try {
      const words = fc.sample(hostile, 1000);
      const input = words.map((text) => `printf '%s\\0' ${quote(text)}`).join("\n");
      const { stdout, stderr } = spawnSync("sh", [], { input, encoding: "utf8", cwd: folder });
      expect(stderr).to.equal("");
      expect(stdout.split("\0").slice(0, -1)).to.deep.equal(words);
      expect(fs.readdirSync(folder)).to.deep.equal([]);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("with a NUL are refused: no shell can take it", () => {
    expect(() => quote("a\0b")).to.throw("NUL character: remove it");
    const { failures } = domainKind.check({ ...domain, cloudInit: { ...domain.cloudInit, userData: "a\0b" } });
    expect(failures.map(({ reason }) => reason).join()).to.contain("NUL character: remove it");
  });

  it("in a resource's name come back from the machine's XML as they were written, and stay in their attribute", () => {
    const { inputs, failures } = domainKind.check(domain);
    expect(failures).to.deep.equal([]);
    fc.assert(
      fc.property(hostile, (name) => {
        const mark = markOf(owner, `urn:pulumi:s::p::kvmesh:index:Domain::${name}`);
        const xml = domainXml(inputs, { uuid: "1e7a2f34-0000-4000-8000-000000000000", mark, seedDigest: "sha256:0" });
        // What no XML may hold, and what a reader of attributes turns into spaces.
        expect(xml).to.match(/^[\x20-\x7e]*$/);
        const seen = parseDomainXml(xml);
        expect(seen.mark).to.deep.equal(mark);
        expect(seen.name).to.equal("web-0");
      }),
    );
  });

  it("in cloud-init's data are read by YAML as the same texts", () => {
    fc.assert(
      fc.property(hostile, hostile, (hostname, key) => {
        const text = userData({ hostname, hostKey: { privateKey: key, publicKey: key }, authorizedKeys: [key] });
        expect(text.startsWith("#cloud-config\n")).to.equal(true);
        const config = parse(text, { version: "1.1" }) as Record<string, unknown>;
        expect(config).to.deep.include({ hostname, ssh_keys: { ed25519_private: key, ed25519_public: key } });
        expect(config.users).to.deep.equal([{ name: "root", lock_passwd: true, ssh_authorized_keys: [key] }]);
        expect(parse(metaData(hostname), { version: "1.1" })).to.deep.equal({
          "instance-id": hostname,
          "local-hostname": hostname,
        });
      }),
    );
  });

  it("as names of machines, disks and holders are refused by the plugin, with the property's name", () => {
    const safe = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
    const lease = { host, owner, machine: "web-0", cpus: [1] };
    const disk = { host, owner, name: "a.raw", storage: "/var/lib/kvmesh", capacityBytes: 2 ** 30, format: "raw" };
    fc.assert(
      fc.property(
        hostile.filter((text) => !safe.test(text)),
        (name) => {
          const all = [
            [domainKind.check({ ...domain, name }), "name"],
            [volumeKind.check({ ...disk, name }), "name"],
            [volumeKind.check({ ...disk, storage: `/${name}` }), "storage"],
            [coreLeaseKind.check({ ...lease, machine: name }), "machine"],
            [coreLeaseKind.check({ ...lease, owner: { ...owner, stack: name } }), "owner.stack"],
          ] as const;
          for (const [{ failures }, property] of all) {
            // A dot, an @ or a plus may stand in a path.
            if (property === "storage" && /^(?!\.\.?$)[A-Za-z0-9._@+-]+$/.test(name)) continue;
            expect(failures.map((failure) => failure.property)).to.include(property);
          }
        },
      ),
    );
  });

  it("in names, labels and keys of a stack file are refused with their path", () => {
    const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
    const value = /^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/;
    fc.assert(
      fc.property(
        // Without what a label, a file or an interface may be called.
        hostile.filter((text) => !label.test(text) && !value.test(text) && !/^[\w.-]+$/.test(text)),
        (text) => {
          const wrong = {
            cluster: text,
            "pools.worker.labels": { tier: text },
            "pools.worker.taints": [text],
            "network.bridge": text,
            "image.name": text,
            "ssh.authorizedKeys": [`ssh-ed25519 ${text}`],
          };
          const found = problemsOf(wrong).join("\n");
          for (const at of Object.keys(wrong)) expect(found).to.contain(at);
        },
      ),
    );
  });
});
