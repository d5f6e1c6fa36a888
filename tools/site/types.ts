import type { Report } from "../toolchain/progress";

export type { Report };

/** What this machine can be, best first. */
export type SiteKind = "kvm" | "emulated";

export interface SiteChoice {
  /** `none`: no site can be made here; the quickstart shows an offline preview instead. */
  readonly kind: SiteKind | "none";
  /** Why this one and none that is better; one line each. */
  readonly reasons: readonly string[];
}

/** Where an SSH server of the site is and the key that proves it. */
export interface SiteEndpoint {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** "ssh-ed25519 AAAA…", without a comment. */
  readonly hostKey: string;
}

export interface SiteHost extends SiteEndpoint {
  /** Linux bridge on the host that machines are attached to. */
  readonly bridge: string;
  /** Folder on the host for images and disks. */
  readonly storage: string;
}

/** The machine next to the emulated host that is there already (row A11): the control plane's place. */
export interface SiteMachine extends SiteEndpoint {
  readonly name: string;
  readonly vcpus: number;
}

export interface SiteNetwork {
  readonly bridge: string;
  readonly cidr: string;
  readonly gateway: string;
  readonly nameservers: readonly string[];
  /** From here upwards nothing of the site has an address. */
  readonly firstWorkerAddress: string;
}

export interface SiteImage {
  /** Absolute path of a file on this computer. */
  readonly file: string;
  /** "sha256:<64 hex>". */
  readonly digest: string;
  readonly format: "qcow2";
}

/** What a stack file says differently because of what this site is. */
export interface SiteSettings {
  readonly accelerator: "kvm" | "qemu";
  /** Names of kubeadm preflight checks that can't pass in namespaces. */
  readonly ignorePreflightErrors: readonly string[];
  readonly imagePullPolicy: "IfNotPresent" | "Never";
  /** Fields of KubeletConfiguration and KubeProxyConfiguration. */
  readonly kubelet: Readonly<Record<string, unknown>>;
  readonly kubeProxy: Readonly<Record<string, unknown>>;
  /** Chart values; those for upstream Envoy where Istio's own build of it is not to be had. */
  readonly istiodValues: Readonly<Record<string, unknown>>;
  readonly gatewayValues: Readonly<Record<string, unknown>>;
}

/** A place to run a stack on, up and answering. */
export interface Site {
  readonly kind: SiteKind;
  readonly host: SiteHost;
  /** Only where the control plane is not carved. */
  readonly existing?: SiteMachine;
  readonly network: SiteNetwork;
  /** Private key (0600) that host and machines accept. */
  readonly identityFile: string;
  readonly baseImage: SiteImage;
  /** Where kubelet, kubeadm and containerd of the machines come from. */
  readonly packages: { readonly source: "preinstalled" } | { readonly source: "apt"; readonly repository: string };
  /** Folder with one folder a chart; none: from the charts' repository. */
  readonly charts?: string;
  readonly settings: SiteSettings;
}

/** The emulated host without a machine beside it and without an image. */
export type HostOnly = Pick<Site, "host" | "network" | "identityFile">;

export interface SiteOptions {
  /** Install packages without asking. */
  readonly yes?: boolean;
  /** Pages of 2 MiB to set aside on this computer for machines; given back by siteDown. Default: none are touched. */
  readonly hugepages?: number;
  /** Instead of what chooseSite finds. */
  readonly kind?: SiteKind;
  /** Asked before packages are installed, unless `yes`; default: refuses when there is no terminal. */
  readonly confirm?: (question: string) => Promise<boolean>;
}

export interface SiteStatus {
  readonly state: "up" | "down" | "broken";
  readonly kind?: SiteKind;
  /** One line for each part: what it is and how it is. */
  readonly parts: readonly string[];
}

/** A failure for a person: where, what was found, what to do. Printed without a stack trace. */
export class SiteError extends Error {}
