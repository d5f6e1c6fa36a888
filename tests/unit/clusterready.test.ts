import { expect } from "chai";
import { UserError } from "../../provider/core/kind";
import { clusterReadyKind } from "../../provider/clusterready/kind";
import { markOf } from "../../provider/node/mark";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

function inputs(timeoutSeconds: number) {
  const checked = clusterReadyKind.check({
    controlPlanes: [{ name: "cp-0", endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() } }],
    owner,
    nodes: ["cp-0", "w-0", "w-1"],
    clusterId: "id-1",
    timeoutSeconds,
  });
  expect(checked.failures).to.deep.equal([]);
  return checked.inputs;
}

/** As the kubelet writes them: causes after semicolons. */
const NOT_READY = "container runtime network not ready: cni plugin not initialized; caused by: no config; see the log";

describe("cluster ready: waiting until every node is Ready", () => {
  let machine: LocalMachine;
  beforeEach(() => {
    machine = new LocalMachine();
    const mark = { role: "control-plane", making: "init", phase: "done" } as const;
    machine.write("etc/kubernetes/kvmesh.json", JSON.stringify(markOf(owner, "id-1", "cp-0", mark)));
    machine.write("etc/kubernetes/admin.conf", "x");
  });
  afterEach(() => {
    machine.close();
  });

  it("names the nodes that it waits for, with the time and its limit, and ends when all are Ready", async () => {
    const ctx = testContext(machine);
    machine.command(
      "kubectl",
      `case "$*" in *readyz*) printf ok; exit ;; *version*) exit ;; esac
mkdir -p /run/kvmesh
if [ -e /run/kvmesh/asked ]; then second=True; else second=False; fi
: >/run/kvmesh/asked
printf '%s\\n' "cp-0 True ready" "w-0 $second ${NOT_READY}" "w-1 True ready"`,
    );
    await clusterReadyKind.create(ctx, inputs(30));
    expect(ctx.progressed.filter((line) => line.startsWith("waiting"))).to.deep.equal([
      "waiting until Ready: w-0 (0 of 30 s)",
    ]);
  });

  it("ends with every node's own reason when the time is over", async () => {
    const ctx = testContext(machine);
    machine.command(
      "kubectl",
      `case "$*" in *readyz*) printf ok; exit ;; *version*) exit ;; esac; printf '%s\\n' "cp-0 True ready" "w-0 False ${NOT_READY}"`,
    );
    const error = await clusterReadyKind.create(ctx, inputs(1)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(UserError);
    expect((error as Error).message.split("\n").slice(0, 3)).to.deep.equal([
      `cluster ${owner.cluster}: nodes are not Ready after 1 s:`,
      `  - w-0 False ${NOT_READY}`,
      "  - w-1 is not known to the API",
    ]);
  });
});
