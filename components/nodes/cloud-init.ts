import { createHash } from "node:crypto";
import { stringify } from "yaml";

/** What a carved machine is told at its first boot. All pure; the texts go into the NoCloud seed. */
export interface FirstBoot {
  readonly hostname: string;
  /** ed25519 host key, OpenSSH PEM and public line: pinned before the machine exists. */
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string };
  readonly authorizedKeys: readonly string[];
  /** Shell scripts that run early at every boot; default none. */
  readonly everyBoot?: readonly string[];
}

/** `#cloud-config`; holds the private host key, so it is secret. */
export function userData({ hostname, hostKey, authorizedKeys, everyBoot = [] }: FirstBoot): string {
  const config = {
    hostname,
    preserve_hostname: false,
    manage_etc_hosts: true,
    // Only the pinned key: the image's own, and those that cloud-init would make, would be other ones.
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey },
    ssh_pwauth: false,
    disable_root: false,
    users: [{ name: "root", lock_passwd: true, ssh_authorized_keys: authorizedKeys }],
    growpart: { mode: "auto", devices: ["/"] },
    resize_rootfs: true,
    package_update: false,
    package_upgrade: false,
    ...(everyBoot.length === 0 ? {} : { bootcmd: [...everyBoot] }),
  };
  return `#cloud-config\n${yaml(config)}`;
}

/** The instance id stays with the node's name: a changed seed alone does not make cloud-init run its first boot again. */
export function metaData(hostname: string): string {
  return yaml({ "instance-id": hostname, "local-hostname": hostname });
}

export interface MachineNetwork {
  readonly mac: string;
  readonly address: string;
  /** Bits of the network: 24. */
  readonly prefix: number;
  readonly gateway?: string;
  readonly nameservers: readonly string[];
}

/** network-config version 2. The interface is matched by its MAC and keeps the kernel's name. */
export function networkConfig({ mac, address, prefix, gateway, nameservers }: MachineNetwork): string {
  return yaml({
    version: 2,
    ethernets: {
      primary: {
        match: { macaddress: mac },
        dhcp4: false,
        dhcp6: false,
        addresses: [`${address}/${prefix}`],
        ...(gateway === undefined ? {} : { routes: [{ to: "0.0.0.0/0", via: gateway }] }),
        ...(nameservers.length === 0 ? {} : { nameservers: { addresses: [...nameservers] } }),
      },
    },
  });
}

/**
 * A MAC that stays with cluster and node name. "52:54:" is locally administered unicast; 32 bits of the name's digest
 * follow, not the usual 24: among 1000 machines two would share one of those in 3 of 100 stacks.
 */
export function macOf(cluster: string, node: string): string {
  const digest = createHash("sha256").update(`${cluster}/${node}`).digest();
  return ["52", "54", ...[0, 1, 2, 3].map((i) => digest.subarray(i, i + 1).toString("hex"))].join(":");
}

/**
 * cloud-init reads YAML 1.1, in which `no` is false and 52:54:10:20:30:40 a number in base 60: such text gets quotes. No
 * line is folded: keys and PEM blocks must come out as they went in.
 */
function yaml(value: unknown): string {
  return stringify(value, { version: "1.1", lineWidth: 0 });
}
