import { expect } from "chai";
import { UnreachableError } from "../../provider/core/kind";
import { nodeReadyKind } from "../../provider/rollout/ready";
import { nodeTurnKind } from "../../provider/rollout/turn";
import type { NodeTurnInputs } from "../../provider/rollout/schema";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

describe("a node's turn to change", () => {
  let machine: LocalMachine;
  const inputs = (changes: object = {}): NodeTurnInputs => {
    const checked = nodeTurnKind.check({
      owner,
      name: "w-0",
      controlPlanes: [{ name: "cp-0", endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() } }],
      revision: { image: "2" },
      pool: ["w-0", "w-1", "w-2"],
      maxUnavailable: 1,
      ...changes,
    });
    expect(checked.failures).to.deep.equal([]);
    return checked.inputs;
  };
  const nodes = (...lines: string[]): void => {
    machine.write("etc/kubernetes/admin.conf", "x");
    machine.command("kubectl", `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")}`);
  };
  const begin = async (changes: object = {}): Promise<string> => {
    try {
      await nodeTurnKind.update(testContext(machine), "w-0", inputs({ revision: { image: "1" } }), inputs(changes));
      return "begun";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const finish = async (name: string): Promise<void> => {
    const { controlPlanes, revision } = inputs();
    await nodeReadyKind.create(testContext(machine), { owner, name, controlPlanes, revision, timeoutSeconds: 1 });
  };

  beforeEach(() => (machine = new LocalMachine()));
  afterEach(() => machine.close());

  it("begins when the others are well, and not while one is being changed, is away, not Ready or cordoned", async () => {
    nodes("w-0|True|", "w-1|True|", "w-2|True|", "other|False|");
    expect(await begin()).to.equal("begun");
    const second = await begin({ name: "w-1" });
    expect(second).to.match(
      /^node w-1 is not changed: w-0 is being changed, and of its pool at most 1 may be out at once/,
    );
    expect(await begin({ name: "w-1", maxUnavailable: 2 })).to.equal("begun");
    await finish("w-0");
    await finish("w-1");
    for (const [line, why] of [
      ["w-2|False|", "w-2 is not Ready"],
      ["w-2|Unknown|", "w-2 is not Ready"],
      ["w-2|True|true", "w-2 is cordoned"],
      ["cp-0|True|", "w-2 is not in the cluster"],
    ] as const) {
      nodes("w-0|True|", "w-1|True|", line);
      expect(await begin()).to.match(new RegExp(`not changed: ${why}, and .*Repair that, or raise maxUnavailable`));
    }
    // The one that is ill is the one that is mended.
    nodes("w-0|False|", "w-1|True|", "w-2|True|");
    expect(await begin()).to.equal("begun");
    nodes("w-0|True|");
    await finish("w-0");
  });

  it("is refused when no control plane says who is well, and free before there is a cluster", async () => {
    expect(await begin()).to.equal("begun");
    nodes("w-0|True|");
    await finish("w-0");
    machine.command("kubectl", "echo refused >&2; exit 1");
    expect(await begin()).to.match(/no control plane says which nodes are well \(cp-0: refused\)\. Repair one of them/);
    machine.script = () => Promise.reject(new UnreachableError("192.0.2.1 did not answer"));
    expect(await begin()).to.match(/no control plane says which nodes are well \(cp-0: 192\.0\.2\.1 did not answer\)/);
  });

  it("ends when the node is Ready and uncordoned, else says what it waited for, and how to go on", async () => {
    nodes("w-0|False|");
    const ready = { ...inputs(), timeoutSeconds: 0 };
    const wait = nodeReadyKind.create(testContext(machine), ready).then(
      () => "ready",
      (error: unknown) => (error as Error).message,
    );
    expect(await wait).to.match(/^node w-0 is not Ready after 0 s: it is not Ready\. .*the run goes on with this node/);
    nodes("w-0|True|");
    expect((await nodeReadyKind.create(testContext(machine), ready)).id).to.equal("w-0");
  });
});
