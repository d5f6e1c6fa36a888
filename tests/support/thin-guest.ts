import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import type { SshTransport } from "../../provider/transport/ssh";
import type { Endpoint } from "../../provider/transport/transport";
import { ensureKey } from "../../tools/site/keys";
import { ensureRoot, hostRecipe, nodeRecipe } from "../../tools/site/roots";
import { guardFolder, UNTIL_THIS_ENDS } from "./guard";

export interface ThinGuest {
  readonly endpoint: Endpoint;
  readonly identityFile: string;
  /** Waits until it answers over SSH. */
  ready(transport: SshTransport): Promise<void>;
  stop(): Promise<void>;
}

/** Device mapper is the kernel's: a machine whose own has none shows it in an emulated one. */
const MODULES = "virtio_blk virtio_net dm_mod dm_thin_pool";

const INIT = `#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mountpoint -q /run || mount -t tmpfs run /run
mkdir -p /dev/pts /dev/shm /run/lock /run/sshd /run/lvm /run/libvirt
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
hostname thin-guest
echo 127.0.0.1 localhost thin-guest >/etc/hosts
tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
/lib/systemd/systemd-udevd --daemon
modprobe -a ${MODULES}
udevadm trigger --type=subsystems --action=add
udevadm trigger --type=devices --action=add --subsystem-match=block --subsystem-match=net --subsystem-match=misc
udevadm settle
ip link set lo up
for n in /sys/class/net/e*; do
  ip link set "\${n##*/}" up
  ip address add 10.0.2.15/24 dev "\${n##*/}"
done
LVM_SUPPRESS_FD_WARNINGS=1 vgcreate -q contract /dev/vdb
printf '%s\\n' 'security_driver = "none"' 'user = "root"' 'group = "root"' 'cgroup_controllers = [ ]' 'namespaces = [ ]' >/etc/libvirt/qemu.conf
virtlogd -d
libvirtd -d
/usr/sbin/sshd -o UsePAM=no
while :; do sleep 3600 & wait $!; done
`;

/**
 * Runs in a mount namespace of its own; the cached roots stay as they are, under an overlay. Emulated even where there is KVM: some let a
 * guest begin and then stop it.
 */
const RUN = `set -eu
mount --make-rprivate /
mkdir -p "$dir/over/usr/lib" "$dir/work" "$dir/merged"
cp -a "$node/usr/lib/modules" "$dir/over/usr/lib/"
mount -t overlay overlay -o "lowerdir=$host,upperdir=$dir/over,workdir=$dir/work" "$dir/merged"
mount --rbind "$dir" "$host/srv"
mount -t proc proc "$host/proc"
mount --bind /dev "$host/dev"
mount -t tmpfs tmp "$host/tmp"
cp "$node"/boot/vmlinuz-* "$dir/vmlinuz"
cp "$node"/boot/initrd.img-* "$dir/initrd"
chroot "$host" mke2fs -q -F -t ext4 -E assume_storage_prezeroed=1 -d /srv/merged /srv/root.img 2G
truncate -s 3G "$dir/data.img"
exec chroot "$host" timeout 1200 qemu-system-x86_64 -machine q35,accel=tcg -cpu max -smp 2 -m 1536 -nodefaults -display none -no-reboot \\
  -kernel /srv/vmlinuz -initrd /srv/initrd -append "root=/dev/vda rw init=/usr/sbin/thin-guest-init console=ttyS0 mitigations=off quiet net.ifnames=0" \\
  -drive file=/srv/root.img,format=raw,if=virtio,cache=unsafe -drive file=/srv/data.img,format=raw,if=virtio,cache=unsafe,discard=unmap \\
  -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net \\
  -object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng -serial file:/srv/serial.log </dev/null
`;

/**
 * A Debian 13 KVM host with real LVM, in an emulated machine: the emulated host's root with the node root's kernel, and a blank second disk as
 * the volume group `contract`. libvirt runs in it, and machines without a system, emulated once more.
 */
export async function startThinGuest(report: (line: string) => void): Promise<ThinGuest> {
  const host = await ensureRoot(hostRecipe, report);
  const node = await ensureRoot(nodeRecipe, report);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-thin-guest-"));
  const release = guardFolder(dir);
  const identityFile = path.join(dir, "id_ed25519");
  const write = (file: string, text: string, mode = 0o600): void => {
    fs.mkdirSync(path.dirname(path.join(dir, "over", file)), { recursive: true });
    fs.writeFileSync(path.join(dir, "over", file), text, { mode });
  };
  write("root/.ssh/authorized_keys", `${await ensureKey(identityFile)}\n`);
  const hostKey = await ensureKey(path.join(dir, "host_key"));
  write("etc/ssh/ssh_host_ed25519_key", fs.readFileSync(path.join(dir, "host_key"), "utf8"));
  write("usr/sbin/thin-guest-init", INIT, 0o755);
  const port = await freePort();
  const log = fs.openSync(path.join(dir, "log"), "w");
  const child = spawn(
    "setpriv",
    [...UNTIL_THIS_ENDS, "unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", RUN],
    {
      stdio: ["ignore", log, log],
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        dir,
        host,
        node,
        port: String(port),
      },
    },
  );
  fs.closeSync(log);
  const endpoint = { address: "127.0.0.1", port, user: "root", hostKey };
  return {
    endpoint,
    identityFile,
    ready: (transport) => untilItAnswers(transport, endpoint, child, dir, report),
    async stop() {
      if (child.exitCode === null) {
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        await ended;
      }
      fs.rmSync(dir, { recursive: true, force: true });
      release();
    },
  };
}

async function untilItAnswers(
  transport: SshTransport,
  endpoint: Endpoint,
  child: ChildProcess,
  dir: string,
  report: (line: string) => void,
): Promise<void> {
  const started = Date.now();
  const seconds = (): number => Math.round((Date.now() - started) / 1000);
  for (let last = ""; child.exitCode === null && seconds() < 240;) {
    try {
      const { code } = await transport.script(endpoint, "virsh -q -c qemu:///system list && lvs contract", {
        timeoutMs: 20_000,
      });
      if (code === 0) {
        report(`a guest with device mapper answers after ${seconds()} s`);
        return;
      }
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (seconds() >= 239) report(last);
  }
  const end = ["log", "serial.log"].map((name) => `${name}:\n${tail(path.join(dir, name))}`).join("\n");
  throw new Error(`the guest does not answer after ${seconds()} s; ${end}`);
}

function tail(file: string): string {
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8").slice(-2000) : "(none)";
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
