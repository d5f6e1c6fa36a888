import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { removeStrayKubeconfigs } from "../../provider/sdk";

describe("a kubeconfig that the Kubernetes provider left in the temporary folder", () => {
  it("goes when it is this cluster's, and nothing else does", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-stray-"));
    const ours = "users:\n- name: a\n  user:\n    client-key-data: T1VSUw==\n";
    const files = { kubeconfig123: ours, kubeconfig124: ours.replace("T1VSUw==", "T1RIRVI="), "kubeconfig-x": ours };
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
    removeStrayKubeconfigs("client-key-data: T1VSUw==\n", folder);
    expect(fs.readdirSync(folder).sort()).to.deep.equal(["kubeconfig-x", "kubeconfig124"]);
    removeStrayKubeconfigs("no key", folder);
    expect(fs.readdirSync(folder)).to.have.length(2);
    fs.rmSync(folder, { recursive: true });
  });
});
