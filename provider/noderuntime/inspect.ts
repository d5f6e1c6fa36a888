import { UserError, type Context } from "../core/kind";
import { ASK, parseAnswers } from "../node/answers";
import type { NodeRuntimeInputs } from "./schema";
import { repeatable } from "../node/reach";

/** What kube-proxy, the CNI and containerd need of the kernel. */
const MODULES = ["overlay", "br_netfilter"];
const SYSCTLS = ["net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"];

const MODULES_FILE = "/etc/modules-load.d/90-kvmesh.conf";
const SYSCTL_FILE = "/etc/sysctl.d/90-kvmesh.conf";

/**
 * Loads modules and sets sysctls, now and for the next boot. A module that is built in, or loaded by the host of a
 * namespace, can't be loaded and needn't be: what counts is checked below by its effect.
 */
export function kernelScript(mark: string): string {
  const lines = (text: readonly string[]): string => text.map((line) => `${line}\\n`).join("");
  return `mkdir -p /etc/modules-load.d /etc/sysctl.d
printf '# ${mark}\\n${lines(MODULES)}' >${MODULES_FILE}
printf '# ${mark}\\n${lines(SYSCTLS.map((name) => `${name} = 1`))}' >${SYSCTL_FILE}
for module in ${MODULES.join(" ")}; do modprobe "$module" 2>/dev/null; done
for name in ${SYSCTLS.join(" ")}; do
  [ "$(sysctl -n "$name" 2>/dev/null)" = 1 ] || sysctl -q -w "$name=1"
done
exit 0`;
}

export const removeKernelFiles = `rm -f ${MODULES_FILE} ${SYSCTL_FILE}`;

const INSPECT = `${ASK}
ask kubelet; kubelet --version 2>/dev/null
ask kubeadm; kubeadm version -o short 2>/dev/null
ask kubectl; command -v kubectl
ask containerd; containerd --version 2>/dev/null
ask socket; ctr --connect-timeout 5s version >/dev/null 2>&1 && echo yes
ask filesystems; cat /proc/filesystems
${SYSCTLS.map((name) => `ask ${name}; sysctl -n ${name} 2>/dev/null`).join("\n")}
exit 0`;

export interface Seen {
  readonly kubelet: string;
  readonly kubeadm: string;
  readonly containerd: string;
  /** Everything that is missing for a node of the declared version, each with what to do. */
  readonly faults: readonly string[];
}

export async function inspect(ctx: Context, inputs: NodeRuntimeInputs): Promise<Seen> {
  const result = await ctx.transport.script(inputs.endpoint, INSPECT, repeatable(ctx, 60_000));
  return judge(inputs, parseAnswers(result.stdout));
}

export function judge(inputs: NodeRuntimeInputs, answers: ReadonlyMap<string, string>): Seen {
  const answer = (name: string): string => answers.get(name) ?? "";
  const version = (name: string): string => /v?(\d+\.\d+\.\d+)/.exec(answer(name))?.[1] ?? "";
  const [kubelet, kubeadm, containerd] = [version("kubelet"), version("kubeadm"), version("containerd")];
  const wanted = inputs.kubernetesVersion;
  const faults: string[] = [];
  const remedy =
    inputs.packages.source === "preinstalled"
      ? `put it into the image, or set kubernetes.packages to an apt repository`
      : "look at what apt said above";
  for (const [name, found] of [
    ["kubelet", kubelet],
    ["kubeadm", kubeadm],
  ] as const) {
    if (found === "") faults.push(`${name} is missing, ${wanted} is needed; ${remedy}`);
    else if (found !== wanted) faults.push(`${name} is ${found}, ${wanted} is needed; ${remedy}`);
  }
  if (answer("kubectl") === "") faults.push(`kubectl is missing; ${remedy}`);
  if (containerd === "") faults.push(`containerd is missing; ${remedy}`);
  else if (answer("socket") !== "yes") {
    faults.push(
      "containerd does not answer on /run/containerd/containerd.sock; start it (`systemctl status containerd`)",
    );
  }
  if (!/\boverlay$/m.test(answer("filesystems")))
    faults.push("the kernel has no overlay file system; load the module `overlay`");
  for (const name of SYSCTLS) {
    if (answer(name) !== "1")
      faults.push(`sysctl ${name} is ${answer(name) || "missing"} and can't be set, 1 is needed`);
  }
  return { kubelet, kubeadm, containerd, faults };
}

export function refuse(inputs: NodeRuntimeInputs, faults: readonly string[]): void {
  if (faults.length === 0) return;
  throw new UserError(
    `node ${inputs.name} (${inputs.endpoint.address}) can't run Kubernetes ${inputs.kubernetesVersion}:\n` +
      faults.map((fault) => `  - ${fault}`).join("\n"),
  );
}
