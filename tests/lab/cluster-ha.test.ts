import { expect } from "chai";
import { ClusterLab } from "../support/cluster-lab";
import { changesIn } from "../support/engine";

const isRoot = process.getuid?.() === 0 && process.platform === "linux";
const PLANES = ["cp1", "cp2", "cp3"];

/** Real kubeadm, etcd and kubelets; `pulumi up` of this program with a stack file, as any user has it. */
(isRoot ? describe : describe.skip)(`three control planes${isRoot ? "" : " (needs root on Linux)"}`, function () {
  this.timeout(15 * 60_000);
  let lab: ClusterLab;

  before(async () => {
    lab = await ClusterLab.open(PLANES, () => undefined);
    await lab.start(...PLANES);
  });
  after(() => lab.close());

  it("come up from bare machines in one `up`, each with an etcd member that votes", async () => {
    const result = await lab.up({ controlPlanes: PLANES });
    expect(result.code, result.text).to.equal(0);
    expect(await lab.members("cp3")).to.deep.equal(PLANES);
    expect(await lab.readyNodes()).to.deep.equal(PLANES);
  });

  it("are not touched by a second `up`", async () => {
    const result = await lab.up({ controlPlanes: PLANES });
    expect(result.code, result.text).to.equal(0);
    expect(Object.keys(changesIn(result))).to.deep.equal(["same"]);
  });
});
