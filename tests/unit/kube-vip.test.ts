import { expect } from "chai";
import { parse } from "yaml";
import { kubeVip } from "../../components/cluster/kube-vip";
import type { KubernetesSpec } from "../../config/spec";
import type { Milliseconds } from "../../config/units";
import { staticPods } from "../../provider/node/static-pods";
import { kubernetesSpec } from "../support/cluster-spec";

interface Pod {
  readonly spec: {
    readonly containers: readonly [
      {
        readonly image: string;
        readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
        readonly securityContext: object;
      },
    ];
    readonly volumes: readonly [{ readonly hostPath: { readonly path: string } }];
    readonly [name: string]: unknown;
  };
}

function spec(lease = 15_000, changes: Partial<KubernetesSpec> = {}, vip = {}): KubernetesSpec {
  const image = "ghcr.io/kube-vip/kube-vip:v1.2.2";
  const endpoint = { host: "10.0.0.9", port: 7443, vip: { image, lease: lease as Milliseconds, ...vip } };
  return kubernetesSpec({ endpoint, ...changes });
}

function podOf(text: string | undefined): Pod {
  return parse(text ?? "") as Pod;
}

function envOf({ spec: { containers } }: Pod): Record<string, string | undefined> {
  return Object.fromEntries(containers[0].env.map(({ name, value }) => [name, value]));
}

describe("kube-vip's static pod", () => {
  it("keeps the address by ARP and one election, on the API server's own port, and asks its own node's API", () => {
    const [pod] = kubeVip(spec());
    const parsed = podOf(pod?.manifest);
    expect(envOf(parsed)).to.include({
      address: "10.0.0.9",
      port: "7443",
      vip_arp: "true",
      vip_subnet: "32",
      cp_enable: "true",
      vip_leaderelection: "true",
      vip_leaseduration: "15",
      vip_renewdeadline: "10",
      vip_retryperiod: "2",
    });
    expect(envOf(parsed)).not.to.have.property("vip_interface");
    expect(parsed.spec).to.deep.include({
      hostNetwork: true,
      hostAliases: [{ ip: "127.0.0.1", hostnames: ["kubernetes"] }],
      priorityClassName: "system-node-critical",
    });
    expect(parsed.spec.containers[0].securityContext).to.deep.equal({
      capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] },
    });
    expect(envOf(podOf(kubeVip(spec(15_000, {}, { interface: "bond0" }))[0]?.manifest))["vip_interface"]).to.equal(
      "bond0",
    );
  });

  it("reads super-admin.conf only while a cluster is founded, and only from 1.29 on", () => {
    const paths = (version: string): (string | undefined)[] => {
      const [pod] = kubeVip(spec(15_000, { version }));
      return [pod?.manifest, pod?.founding].map((text) => text && podOf(text).spec.volumes[0].hostPath.path);
    };
    expect(paths("1.28.15")).to.deep.equal(["/etc/kubernetes/admin.conf", undefined]);
    for (const version of ["1.29.0", "1.34.2", "1.36.3"]) {
      expect(paths(version)).to.deep.equal(["/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf"]);
    }
  });

  it("gives up before another one may take over, whatever the lease", () => {
    for (let seconds = 5; seconds <= 60; seconds++) {
      const env = envOf(podOf(kubeVip(spec(seconds * 1000))[0]?.manifest));
      const [lease, renew, retry] = ["vip_leaseduration", "vip_renewdeadline", "vip_retryperiod"].map((name) =>
        Number(env[name]),
      );
      expect(lease).to.be.greaterThan(renew!);
      // client-go refuses less: a retry is stretched by 1.2.
      expect(renew).to.be.greaterThan(1.2 * retry!);
    }
  });

  it("is none where somebody else keeps the endpoint, and what it is the plugin takes", () => {
    expect(kubeVip(kubernetesSpec())).to.deep.equal([]);
    expect(staticPods.safeParse(kubeVip(spec())).success).to.equal(true);
  });
});
