import { parseAllDocuments } from "yaml";
import type { Judged } from "./frame";
import { podOf } from "./objects";
import { at, entries, list, text, texts } from "./read";

/** A component of the cluster as it is started: by kubeadm's configuration, or as a container with a command. */
export interface Component {
  /** "kube-apiserver", "etcd", "kubelet". */
  readonly name: string;
  /** kubeadm gives the flags that it isn't told; of a command, what isn't there isn't there. */
  readonly by: "kubeadm" | "command";
  /** Value of a flag, without its dashes; "true" of one without a value. */
  flag(name: string): string | undefined;
}

const NAMES = ["kube-apiserver", "etcd", "kubelet", "kube-controller-manager", "kube-scheduler"];

/** Components that a workload's containers start. */
export function componentsOf(workload: Judged): readonly Component[] {
  const { spec } = podOf(workload);
  return [...list(at(spec, "initContainers")), ...list(at(spec, "containers"))].flatMap((container) => {
    const words = [...texts(at(container, "command")), ...texts(at(container, "args"))].flatMap((word) =>
      word.trim().split(/\s+/),
    );
    const name = NAMES.find((one) => words.some((word) => word === one || word.endsWith(`/${one}`)));
    return name === undefined ? [] : [{ name, by: "command" as const, flag: (flag: string) => flagOf(words, flag) }];
  });
}

function flagOf(words: readonly string[], flag: string): string | undefined {
  // Of one that is given twice the last counts.
  const index = words.reduce((last, one, i) => (one === `--${flag}` || one.startsWith(`--${flag}=`) ? i : last), -1);
  const word = words[index];
  if (word === undefined) return undefined;
  if (word.includes("=")) return word.slice(word.indexOf("=") + 1);
  const next = words[index + 1];
  return next === undefined || next.startsWith("-") ? "true" : next;
}

/** kubeadm's documents in the inputs of a cluster, whose control planes have some of their own, or of a node. */
export class KubeadmConfig {
  private readonly documents: readonly unknown[];

  constructor(node: Judged) {
    const ofPlanes = list(at(node.props, "controlPlanes")).map((plane) => at(plane, "config"));
    this.documents = [at(node.props, "config"), ...ofPlanes].flatMap((given) =>
      parseAllDocuments(text(given) ?? "").map((document) => document.toJS() as unknown),
    );
  }

  of(kind: string): unknown {
    return this.documents.find((document) => at(document, "kind") === kind);
  }

  apiServer(): Component {
    const extraArgs = at(this.of("ClusterConfiguration"), "apiServer", "extraArgs");
    return { name: "kube-apiserver", by: "kubeadm", flag: (name) => extraArg(extraArgs, name) };
  }

  /** The arguments of the kubelet's command line, which win over its configuration. */
  kubelet(): Component {
    const registration = this.documents.map((document) => at(document, "nodeRegistration", "kubeletExtraArgs"));
    const flag = (name: string): string | undefined =>
      registration.map((args) => extraArg(args, name)).find((value) => value !== undefined);
    return { name: "kubelet", by: "kubeadm", flag };
  }

  etcd(): Component {
    const extraArgs = at(this.of("ClusterConfiguration"), "etcd", "local", "extraArgs");
    return { name: "etcd", by: "kubeadm", flag: (name) => extraArg(extraArgs, name) };
  }
}

/** extraArgs is a map up to kubeadm v1beta3 and a list of { name, value } from v1beta4 on. */
function extraArg(extraArgs: unknown, name: string): string | undefined {
  const pair = [...list(extraArgs)].reverse().find((argument) => at(argument, "name") === name);
  const value = at(pair, "value") ?? entries(extraArgs).find(([key]) => key === name)?.[1];
  return flagText(value);
}

function flagText(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : undefined;
}
