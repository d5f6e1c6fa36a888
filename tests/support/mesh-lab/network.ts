import { guard } from "../guard";
import { capture, mustRun } from "./processes";

/** Address of the control plane: in network namespaces of the lab's own, so it can't collide with anything. */
export const controlPlaneAddress = "10.77.0.1";

/** What runs in them was started by this lab. */
const END_ALL = `ip netns list | while read -r name _; do
  case $name in
    "$PREFIX"*) ip netns pids "$name" | xargs -r kill -9; ip netns del "$name" ;;
  esac
done`;

/**
 * Network namespaces on one bridge: one for the control plane and one for each pod. Nothing of it is visible outside;
 * names carry the test's process id, so that two labs can run at once.
 */
export class LabNetwork {
  private readonly names: string[] = [];
  private readonly prefix = `kvmesh-${process.pid}-`;
  private release = (): void => undefined;

  async start(): Promise<void> {
    this.release = guard(END_ALL, { PREFIX: this.prefix });
    await this.add("cp");
    const ip = ["ip", "-n", this.name("cp")];
    await mustRun([...ip, "link", "add", "br0", "type", "bridge"]);
    await mustRun([...ip, "addr", "add", `${controlPlaneAddress}/24`, "dev", "br0"]);
    await mustRun([...ip, "link", "set", "br0", "up"]);
  }

  /** A pod's network: eth0 on the bridge, default route to the control plane. */
  async join(pod: string, address: string): Promise<void> {
    await this.add(pod);
    const [outer, inner] = [this.name("cp"), this.name(pod)];
    const port = `v${this.names.length}`;
    await mustRun(["ip", "-n", outer, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", inner]);
    await mustRun(["ip", "-n", outer, "link", "set", port, "master", "br0", "up"]);
    await mustRun(["ip", "-n", inner, "addr", "add", `${address}/24`, "dev", "eth0"]);
    await mustRun(["ip", "-n", inner, "link", "set", "eth0", "up"]);
    await mustRun(["ip", "-n", inner, "route", "add", "default", "via", controlPlaneAddress]);
  }

  /** Prefix of a command that runs inside: `cp`, or a pod's name. */
  inside(member: string): readonly string[] {
    return ["ip", "netns", "exec", this.name(member)];
  }

  async stop(): Promise<void> {
    for (const name of this.names.splice(0).reverse()) await capture(["ip", "netns", "del", name]);
    this.release();
  }

  private name(member: string): string {
    return this.prefix + member;
  }

  private async add(member: string): Promise<void> {
    const name = this.name(member);
    this.names.push(name);
    await mustRun(["ip", "netns", "add", name]);
    await mustRun(["ip", "-n", name, "link", "set", "lo", "up"]);
  }
}
