import { stringify } from "yaml";
import { versionData } from "../../rules/versions";
import type { Site } from "../site/types";
import { CONTROL_VCPUS } from "./shares";

/** What the stack file of this machine is made from. */
export interface StackFileInput {
  readonly site: Site;
  /** Path of the facts file, relative to the checkout. */
  readonly factsFile: string;
  /** Public key of the site's identity: "ssh-ed25519 AAAA… comment". */
  readonly authorizedKey: string;
  /** The worker's vCPUs: what the host has left beside its housekeeping cores. */
  readonly workerVcpus: number;
  /** The host's CPUs that stay its own: "0", "0,4", or "none". */
  readonly housekeeping: string;
  /** Share of the traffic for v2, 0–100. */
  readonly canary: number;
}

export const stackName = "local";
/** Of the host that the stack is on; relative to the checkout. */
export const factsFile = ".kvmesh/facts-local.json";
/** The service that the canary splits, and the namespace whose plaintext clients are refused. */
export const demo = {
  namespace: "demo",
  service: "my-service",
  strictNamespace: "backend-payment",
  strictService: "payment",
};

/** Where the worker mounts its data disk, and what its evidence measures. */
export const dataFolder = "/var/lib/kvmesh-data";

/** Answers with its version; made from tools/images/echo. */
export const echoImage = "localhost/kvmesh/echo:1";

/** Pulumi.local.yaml: the same keys that any user's stack file has, with this machine's values. */
export function localStackFile(input: StackFileInput): string {
  const { site } = input;
  const emulated = site.settings.accelerator === "qemu";
  const pullPolicy = site.settings.imagePullPolicy;
  const location = { country: "NO" };
  const endpoint = ({
    address,
    port,
    user,
    hostKey,
  }: {
    address: string;
    port: number;
    user: string;
    hostKey: string;
  }) => ({
    address,
    port,
    user,
    hostKey,
  });
  const [controlAddress, workerAddress] = addresses(site);
  const carved = { memory: "2GiB", disk: "12GiB" };
  // What an emulated disk does says nothing of a real one.
  const slowDisk = emulated ? { maxFsync: "1s" } : {};
  const echo = (version: string) => ({
    image: echoImage,
    args: ["serve", ":8080", version],
    imagePullPolicy: site.packages.source === "preinstalled" ? "Never" : "IfNotPresent",
  });

  const config = {
    environment: "development",
    ssh: { identityFile: site.identityFile, authorizedKeys: [input.authorizedKey] },
    // Emulated machines take minutes where others take seconds.
    ...(emulated ? { timeouts: { boot: "10m", kubeadm: "15m", rollout: "10m" } } : {}),
    // Everything is measured, in less time than a machine that is to stay would get.
    evidence: { window: "2s", fsync: { writers: [1], size: "1MiB", time: "3s" } },
    hosts: {
      host: {
        endpoint: endpoint(site.host),
        location,
        facts: input.factsFile,
        storage: site.host.storage,
        accelerator: site.settings.accelerator,
        housekeeping: input.housekeeping,
      },
    },
    image: {
      name: "base.qcow2",
      file: site.baseImage.file,
      digest: site.baseImage.digest,
      format: site.baseImage.format,
    },
    network: {
      bridge: site.network.bridge,
      cidr: site.network.cidr,
      gateway: site.network.gateway,
      nameservers: [...site.network.nameservers],
      viaHost: false,
    },
    pools: {
      control: site.existing
        ? {
            role: "control-plane",
            ...slowDisk,
            machines: {
              [site.existing.name]: {
                endpoint: endpoint(site.existing),
                location,
                plan: "dedicated",
                vcpus: site.existing.vcpus,
                maxSteal: 100,
                hypervisors: ["kvm", "none", "qemu", "container-other"],
              },
            },
          }
        : {
            role: "control-plane",
            count: 1,
            vcpus: CONTROL_VCPUS,
            memory: "4GiB",
            disk: "20GiB",
            addresses: controlAddress,
          },
      workers: {
        role: "worker",
        count: 1,
        vcpus: input.workerVcpus,
        ...carved,
        // What a machine must not lose is not on its system disk, which goes with the machine. Here it goes with the site.
        disks: [{ name: "data", size: "1GiB", onDestroy: "remove", mount: { path: dataFolder } }],
        dataFolder,
        // An emulated node takes minutes to start a pod: pods go where it takes seconds, as long as there is room.
        ...(emulated ? { taints: ["kvmesh/emulated:PreferNoSchedule"] } : {}),
        addresses: workerAddress,
        maxSteal: emulated ? 100 : 5,
        ...slowDisk,
      },
    },
    kubernetes: {
      version: versionData.run.kubernetes,
      scheduleOnControlPlanes: true,
      packages: site.packages,
      imagePullPolicy: pullPolicy,
      cni: { version: versionData.run.flannel, backend: "host-gw" },
      ignorePreflightErrors: [...site.settings.ignorePreflightErrors],
      kubelet: site.settings.kubelet,
      kubeProxy: site.settings.kubeProxy,
    },
    mesh: {
      version: versionData.run.istio,
      // Nothing here has a client outside the mesh, so there is no PERMISSIVE step to take first.
      mtls: "STRICT",
      ...(site.charts === undefined ? {} : { charts: { folder: site.charts } }),
      imagePullPolicy: pullPolicy,
      gatewayServiceType: "NodePort",
      istiodResources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "1024Mi" } },
      sidecarResources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "2000m", memory: "512Mi" } },
      istiodValues: site.settings.istiodValues,
      gatewayValues: site.settings.gatewayValues,
    },
    namespaces: { [demo.namespace]: {}, [demo.strictNamespace]: { mtls: "STRICT" } },
    services: {
      [demo.service]: { namespace: demo.namespace, targetPort: 8080, versions: { v1: echo("v1"), v2: echo("v2") } },
      [demo.strictService]: { namespace: demo.strictNamespace, targetPort: 8080, versions: { v1: echo("v1") } },
    },
    gateways: { "app-gateway": { namespace: demo.namespace, protocol: "HTTP" } },
    canaries: {
      [demo.service]: {
        namespace: demo.namespace,
        hosts: ["*"],
        gateways: ["app-gateway"],
        weights: { v1: 100 - input.canary, v2: input.canary },
      },
    },
  };
  return stringify({
    config: Object.fromEntries(Object.entries(config).map(([key, value]) => [`kvmesh:${key}`, value])),
  });
}

/** Addresses of the control plane (when it is carved) and of the worker. */
function addresses(site: Site): [string, string] {
  const first = site.network.firstWorkerAddress;
  if (site.existing) return [site.existing.address, first];
  const octets = first.split(".").map(Number);
  octets[3]! += 1;
  return [first, octets.join(".")];
}
