import { stringify } from "yaml";
import type { SiteSettings } from "./types";

/**
 * Istio's own build of Envoy is not to be had everywhere; upstream Envoy lacks Istio's extensions for metadata exchange, ALPN
 * and statistics. Without these settings it rejects every listener that istiod sends.
 */
const UPSTREAM_ENVOY: Pick<SiteSettings, "istiodValues" | "gatewayValues"> = {
  istiodValues: {
    env: { PILOT_ENABLE_METADATA_EXCHANGE: "false", PILOT_ENABLE_ALPN_FILTER: "false" },
    telemetry: { enabled: false },
    meshConfig: { enablePrometheusMerge: false, defaultConfig: { concurrency: 1 } },
  },
  gatewayValues: {},
};

/** A node in a network namespace may not change the connection tracking table's size: it belongs to the whole computer. */
const NAMESPACED_KUBE_PROXY = {
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
};

/** Drivers for what an emulated machine doesn't have or can't use faster than without. */
const NO_DRIVERS = [
  ...["kvm", "kvm_amd", "kvm_intel", "ahci", "qemu_fw_cfg", "efi_pstore", "serio_raw"],
  ...["aesni_intel", "ghash_clmulni_intel", "sha1_ssse3", "sha256_ssse3", "sha512_ssse3"],
];

/**
 * Kernel arguments of emulated machines, where every instruction counts: nothing to mitigate, four levels of page tables, no
 * file system check of a fresh disk. From BIOS to SSH they take a fifth of the processor time away.
 */
export const emulatedKernelArguments = [
  ...["mitigations=off", "no5lvl", "fsck.mode=skip", `modprobe.blacklist=${NO_DRIVERS.join(",")}`],
  ...["modprobe@drm.service", "modprobe@efi_pstore.service"].map((unit) => `systemd.mask=${unit}`),
].join(" ");

export function emulatedSettings(): SiteSettings {
  return {
    accelerator: "qemu",
    ignorePreflightErrors: ["Swap", "SystemVerification", "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables"],
    imagePullPolicy: "IfNotPresent",
    // An emulated machine needs minutes for what takes seconds on hardware.
    kubelet: { runtimeRequestTimeout: "15m0s" },
    kubeProxy: NAMESPACED_KUBE_PROXY,
    ...UPSTREAM_ENVOY,
  };
}

/** Settings of a site of real machines: none, except for images that were made from upstream Envoy. */
export function hardwareSettings(imagesArePreinstalled: boolean): SiteSettings {
  return {
    accelerator: "kvm",
    ignorePreflightErrors: [],
    imagePullPolicy: "IfNotPresent",
    kubelet: {},
    kubeProxy: {},
    ...(imagesArePreinstalled ? UPSTREAM_ENVOY : { istiodValues: {}, gatewayValues: {} }),
  };
}

/**
 * The existing machine's own kubelet settings (a drop-in of its operator, as on any machine with peculiarities): no systemd,
 * and a disk and swap that belong to this computer, not to it.
 */
export function machineKubelet(): string {
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    cgroupDriver: "cgroupfs",
    failCgroupV1: false,
    failSwapOn: false,
    // A full disk must not make kubelet delete images that can't be pulled again.
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
  });
}
