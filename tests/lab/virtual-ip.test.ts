import { spawn, type ChildProcess } from "node:child_process";
import { expect } from "chai";
import type { Endpoint, Transport } from "../../provider/transport/transport";
import { dropAddress, refuseTakenAddress } from "../../provider/node/static-pods";
import { UNTIL_THIS_ENDS } from "../support/guard";
import { testContext } from "../support/local-machine";

/** Two nodes on one network, in namespaces of their own; the kernel's ARP and kubectl are real. */
describe("a virtual IP's address, on a real network", () => {
  let namespace: ChildProcess;
  const run = (script: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn("nsenter", ["-t", String(namespace.pid), "-n", "-m", "sh", "-c", script]);
      let out = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (out += data.toString()));
      child.on("error", reject);
      child.on("close", () => resolve(out));
    });
  const transport = {
    script: async (_at: Endpoint, script: string) => ({ code: 0, stdout: await run(script), stderr: "" }),
  } as unknown as Transport;
  const node = { name: "cp-0", endpoint: {} as Endpoint };
  const verdict = async (address: string): Promise<string> => {
    try {
      await refuseTakenAddress(testContext(transport), node, { address, port: 6443 });
      return "free";
    } catch (error) {
      return (error as Error).message;
    }
  };

  before(async () => {
    namespace = spawn("setpriv", [...UNTIL_THIS_ENDS, "unshare", "--net", "--mount", "sleep", "600"]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const said = await run(`set -e
mkdir -p /run/netns; mount -t tmpfs none /run/netns; ip link set lo up
ip netns add other; ip link add v0 type veth peer name v1 netns other
ip addr add 10.9.0.10/24 dev v0; ip link set v0 up; ip route add default via 10.9.0.77
ip -n other addr add 10.9.0.77/24 dev v1; ip -n other link set v1 up
echo ready`);
    expect(said.trim()).to.equal("ready");
  });
  after(() => namespace.kill("SIGKILL"));

  it("is free when nobody has it, and refused when a neighbour, the node itself, or another network has it", async () => {
    expect(await verdict("10.9.0.9")).to.equal("free");
    expect(await verdict("10.9.0.77")).to.match(/10\.9\.0\.77 is answered by [0-9a-f:]{17} already \(seen from cp-0\)/);
    expect(await verdict("10.9.0.10")).to.match(/is an address of cp-0 itself, on v0/);
    expect(await verdict("10.8.0.1")).to.match(/is in no network that the node is part of/);
  });

  it("goes from the interface that it was left on, and the node's own address stays", async () => {
    await run("ip addr add 10.9.0.9/32 dev v0");
    await dropAddress(testContext(transport), node, { address: "10.9.0.9", port: 6443 });
    await dropAddress(testContext(transport), node, { address: "10.9.0.10", port: 6443 });
    expect(await run("ip -4 -o addr show dev v0")).to.match(/10\.9\.0\.10\/24/);
    expect(await run("ip -4 -o addr show dev v0")).not.to.match(/10\.9\.0\.9/);
  });
});
