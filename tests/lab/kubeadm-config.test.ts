import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { joinConfig } from "../../components/cluster/kubeadm-config";
import { completeJoin } from "../../provider/clusternode/credentials";
import { versions } from "../../tools/toolchain";
import { foundingConfig, kubeadmSettings } from "../support/cluster-spec";

/** What we write, judged by the real kubeadm: its decoder is strict, so a misplaced or misspelt field fails here. */
describe("kubeadm configuration, real kubeadm", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-kubeadm-"));
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  function validate(text: string): string {
    const file = path.join(folder, "config.yaml");
    fs.writeFileSync(file, text);
    const result = spawnSync("kubeadm", ["config", "validate", "--config", file], { encoding: "utf8" });
    if (result.error) throw new Error(`kubeadm is not on PATH: ${result.error.message}`);
    return `${result.status} ${result.stdout}${result.stderr}`.trim();
  }

  const node = { name: "cp-0", role: "control-plane", address: "10.0.0.10" } as const;
  for (const api of ["v1beta4", "v1beta3"] as const) {
    // kubeadm refuses to make old clusters, but decodes their API: the version is the only thing changed.
    const settings = kubeadmSettings({
      version: api === "v1beta4" ? versions.kubernetes : "1.30.0",
      scheduleOnControlPlanes: true,
      kubelet: { maxPods: 50, runtimeRequestTimeout: "15m0s" },
      kubeProxy: { mode: "nftables", conntrack: { maxPerCore: 0 } },
    });

    it(`takes the ${api} init configuration`, () => {
      const text = foundingConfig(settings, node).replace(
        "kubernetesVersion: v1.30.0",
        `kubernetesVersion: v${versions.kubernetes}`,
      );
      expect(text).to.contain(`kubeadm.k8s.io/${api}`);
      expect(validate(text)).to.match(/^0 ok/);
    });

    it(`takes the ${api} init configuration behind a shared endpoint`, () => {
      const shared = { ...settings, sharedEndpoint: true };
      expect(validate(foundingConfig(shared, node).replace("v1.30.0", `v${versions.kubernetes}`))).to.match(/^0 ok/);
    });

    for (const role of ["worker", "control-plane"] as const) {
      it(`takes the ${api} join configuration of a ${role}`, () => {
        const config = joinConfig(settings, { ...node, role });
        const inputs = {
          name: "w-0",
          role,
          config,
          apiEndpoint: "10.0.0.10:6443",
          caCertHash: `sha256:${"a".repeat(64)}`,
        };
        const credentials = { token: "abcdef.0123456789abcdef", certificateKey: "a".repeat(64) };
        expect(validate(completeJoin(inputs, credentials))).to.match(/^0 ok/);
      });
    }
  }

  it("refuses a field that no version has", () => {
    const settings = kubeadmSettings({ version: versions.kubernetes, kubelet: { noSuchField: 1 } });
    expect(validate(foundingConfig(settings, node))).to.match(/^1 .*noSuchField/s);
  });
});
