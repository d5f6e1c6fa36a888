import { execFileSync, spawn } from "node:child_process";
import { expect } from "chai";
import { LOCAL_SCRIPT, sshEnvironment } from "../../components/nodes/over-ssh";
import { preparationOf } from "../../components/nodes/host-preparation";
import { preparationScript } from "../../components/nodes/preparation-script";
import type { EndpointSpec, HostSpec, PreparationSpec } from "../../config/spec";
import { exampleHostKey } from "../support/hosts";
import {
  BOOT_ID,
  OWNER,
  on,
  PAGES,
  SWAPPINESS,
  TIMEOUTS,
  pages,
  preparedHost,
  read,
  startHost,
  write,
} from "../support/prepared-host";
import { noRealSshd, type RealSshd } from "../support/real-sshd";

const reason = noRealSshd();
const GRUB = "/etc/default/grub.d/kvmesh.cfg";
const SYSCTL = "/etc/sysctl.d/80-kvmesh.conf";
const TMPFILES = "/etc/tmpfiles.d/kvmesh.conf";

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** As the resource runs it: /bin/sh here, OpenSSH, sh there. */
function run(
  server: RealSshd,
  action: "prepare" | "undo",
  wanted: Partial<PreparationSpec>,
  more: {
    endpoint?: EndpointSpec;
    stack?: string;
    rebootSeconds?: number;
    accelerator?: HostSpec["accelerator"];
  } = {},
): Promise<Run> {
  const { endpoint = server.endpoint(), accelerator = "kvm" } = more;
  const host = preparedHost(server, wanted, { endpoint, accelerator });
  const ssh = { identityFile: server.identityFile };
  const child = spawn("/bin/sh", ["-c", `action=${action}; eval "$KVMESH_RUN"`], {
    env: {
      PATH: process.env["PATH"],
      KVMESH_RUN: LOCAL_SCRIPT,
      KVMESH_REBOOT: wanted.reboot ?? "never",
      ...sshEnvironment("a", host.endpoint, ssh, TIMEOUTS, more.rebootSeconds),
    },
  });
  child.stdin.end(preparationScript(preparationOf(host, { ...OWNER, stack: more.stack ?? "s" })));
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout: stdout.trim(), stderr })));
}

(reason === undefined ? describe : describe.skip)(
  `preparation of a host, over a real sshd${reason === undefined ? "" : ` (${reason})`}`,
  function () {
    this.timeout(180_000);
    let server: RealSshd;
    before(async () => {
      server = await startHost();
    });
    after(() => server.stop());
    const prepared = async (wanted: Partial<PreparationSpec>): Promise<string> => {
      const result = await run(server, "prepare", wanted);
      expect(result.code, result.stderr).to.equal(0);
      return result.stdout;
    };
    const undone = async (): Promise<string> => (await run(server, "undo", {})).stdout;

    it("sets what is asked, for now and for the next boot; does nothing the second time; undo puts back what was", async () => {
      const wanted = { sysctl: { "vm.swappiness": "1" }, hugepages: pages(16) };
      await prepared(wanted);
      expect(read(server, SWAPPINESS)).to.equal("1");
      expect(read(server, SYSCTL)).to.equal("vm.swappiness = 1");
      expect(read(server, PAGES)).to.equal("16");
      expect(read(server, TMPFILES)).to.equal(`w ${PAGES} - - - - 16`);
      expect(await prepared(wanted)).to.equal("");

      await prepared({ sysctl: { "vm.swappiness": "10" } });
      expect(read(server, SWAPPINESS)).to.equal("10");
      expect(read(server, PAGES), "pages that are no longer asked for").to.equal("0");
      expect(read(server, TMPFILES)).to.equal(undefined);

      await undone();
      expect(read(server, SWAPPINESS), "as before the first run").to.equal("60");
      expect(read(server, SYSCTL)).to.equal(undefined);
      expect(await undone()).to.equal("nothing of kvmesh is here");
    });

    it("refuses a setting and pages that the host has not, and leaves undo something to undo", async () => {
      const unknown = await run(server, "prepare", { sysctl: { "vm.no_such": "1" } });
      expect(unknown.code).to.equal(64);
      expect(unknown.stderr)
        .to.include("kvmesh: this kernel has no sysctl vm.no_such")
        .and.include("host a: not done (prepare)");
      const size = (2 ** 30) as ReturnType<typeof pages>["size"];
      const large = await run(server, "prepare", { hugepages: { size, count: 1 } });
      expect(large.stderr).to.include("this host has no hugepages of 1048576 KiB on NUMA node 0");
      expect((await run(server, "undo", {})).code).to.equal(0);
    });

    it("without GRUB names the arguments; with it adds its own file and says what waits for a boot", async () => {
      const wanted = { isolateCpus: true };
      const without = await run(server, "prepare", wanted);
      // The emulated host's root has the package, but a host need not.
      if (without.code !== 0) expect(without.stderr).to.match(/no update-grub: .*isolcpus=managed_irq,domain,1-3/);
      await write(server, "/usr/local/sbin/update-grub", "#!/bin/sh\necho menu >>/boot/menu\n", 0o755);
      await write(server, "/boot/menu", "");
      await undone();
      await write(server, "/boot/menu", "");

      const lines = (await prepared(wanted)).split("\n");
      expect(lines).to.deep.equal([
        `wrote ${GRUB}`,
        "pending: the kernel argument isolcpus=managed_irq,domain,1-3 needs a boot",
        "pending: the kernel argument nohz_full=1-3 needs a boot",
        "pending: the kernel argument rcu_nocbs=1-3 needs a boot",
      ]);
      expect(read(server, GRUB)).to.equal(
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT isolcpus=managed_irq,domain,1-3 nohz_full=1-3 rcu_nocbs=1-3"',
      );
      expect((await prepared(wanted)).split("\n")).to.deep.equal(lines.slice(1));
      expect(read(server, "/boot/menu"), "the menu is written when something changed").to.equal("menu");

      expect(await undone())
        .to.include(`removed ${GRUB}`)
        .and.include("pending: ");
      expect(read(server, "/boot/menu")).to.equal("menu\nmenu");
    });

    it("refuses arguments that somebody else gave, another stack's host, and files that are not its own", async () => {
      await write(server, "/etc/default/grub.d/10-site.cfg", 'GRUB_CMDLINE_LINUX="isolcpus=3"\n');
      const twice = await run(server, "prepare", { isolateCpus: true });
      expect(twice.stderr).to.include("is in /etc/default/grub.d/10-site.cfg already: remove it there");
      await write(server, "/etc/default/grub.d/10-site.cfg", "# isolcpus=3\n");

      const other = await run(server, "prepare", {}, { stack: "other" });
      expect(other.stderr).to.include("this host is prepared by the stack p/s/c");
      const away = await run(server, "undo", {}, { stack: "other" });
      expect(away.stdout).to.equal("left as it is: this host is prepared by the stack p/s/c");
      await undone();

      await write(server, SYSCTL, "vm.swappiness = 7\n");
      const theirs = await run(server, "prepare", { sysctl: { "vm.swappiness": "1" } });
      expect(theirs.stderr).to.include(`${SYSCTL} is there and not of kvmesh`);
      await undone();
      expect(read(server, SYSCTL)).to.equal("vm.swappiness = 7");
    });

    it("installs packages that are missing, and only those", async () => {
      const other = await startHost();
      try {
        await write(
          other,
          "/usr/local/bin/dpkg-query",
          '#!/bin/sh\nfor p; do :; done\n[ "$p" != xorriso ] || [ -e /xorriso ] || exit 1\nprintf "install ok installed"\n',
          0o755,
        );
        await write(
          other,
          "/usr/local/bin/apt-get",
          '#!/bin/sh\necho "$*" >>/apt.log\ncase $* in *install*) : >/xorriso ;; esac\n',
          0o755,
        );
        await write(other, "/usr/local/bin/virsh", "#!/bin/sh\n", 0o755);
        const emulated = { accelerator: "qemu" } as const;
        const first = await run(other, "prepare", { packages: true }, emulated);
        expect(first.stdout, first.stderr).to.equal("installed xorriso");
        expect(read(other, "/apt.log")).to.match(/^-q update\n-q -y --no-install-recommends .* xorriso$/);
        expect((await run(other, "prepare", { packages: true }, emulated)).stdout).to.equal("");
      } finally {
        await other.stop();
      }
    });

    it("tries libvirt and a guest once packages are there, and says which of them fails", async () => {
      const other = await startHost();
      try {
        await write(other, "/usr/local/bin/dpkg-query", '#!/bin/sh\nprintf "install ok installed"\n', 0o755);
        await write(other, "/usr/local/bin/virsh", "#!/bin/sh\n", 0o755);
        const kvm = await run(other, "prepare", { packages: true });
        expect(kvm.code).to.equal(64);
        expect(kvm.stderr).to.match(/no KVM guest starts on this host \(no \/dev\/kvm\): switch virtualization on/);
        const emulated = await run(other, "prepare", { packages: true }, { accelerator: "qemu" });
        expect(emulated.code, emulated.stderr).to.equal(0);
        await write(other, "/usr/local/bin/sleep", "#!/bin/sh\n", 0o755);
        await write(other, "/usr/local/bin/virsh", "#!/bin/sh\necho 'error: no connection' >&2; exit 1\n", 0o755);
        const silent = await run(other, "prepare", { packages: true }, { accelerator: "qemu" });
        expect(silent.stderr).to.include("libvirt does not answer on this host: error: no connection");
      } finally {
        await other.stop();
      }
    });

    it("boots the host only when told, only while no machine runs there, and then looks again", async () => {
      const host = await startHost();
      try {
        await write(host, "/usr/local/sbin/update-grub", "#!/bin/sh\n", 0o755);
        // What a boot changes that a script can see.
        const boot = `#!/bin/sh
echo "$*" >>/systemctl.log
echo "BOOT_IMAGE=/vmlinuz $(sed 's/.*DEFAULT \\(.*\\)"/\\1/' ${GRUB})" >/tmp/cmdline
mount --bind /tmp/cmdline /proc/cmdline
echo second >${BOOT_ID}
`;
        await write(host, "/usr/local/bin/systemctl", boot, 0o755);
        const wanted = { isolateCpus: true, reboot: "when-needed" } as const;
        const machine = `cp /bin/sleep /tmp/qemu-system-x86_64; /tmp/qemu-system-x86_64 600 >/dev/null 2>&1 & echo $! >/tmp/pid`;

        await on(host, machine);
        const refused = await run(host, "prepare", wanted);
        expect(refused.code).to.equal(64);
        expect(refused.stderr).to.match(/needs a boot, and machines run on it: process \d+\. Shut them down/);
        expect(read(host, "/systemctl.log")).to.equal(undefined);
        await on(host, "kill $(cat /tmp/pid)");

        const never = await run(host, "prepare", { ...wanted, reboot: "never" });
        expect(never.stdout).to.include("pending: ");
        expect(read(host, "/systemctl.log")).to.equal(undefined);

        const result = await run(host, "prepare", wanted);
        expect(result.code, result.stderr).to.equal(0);
        expect(result.stdout).to.equal("booted");
        expect(read(host, "/systemctl.log")).to.equal("reboot");
        expect((await run(host, "prepare", wanted)).stdout, "nothing waits any more").to.equal("");
      } finally {
        await host.stop();
      }
    });

    it("says when a host does not come back", async () => {
      const host = await startHost();
      try {
        await write(host, "/usr/local/sbin/update-grub", "#!/bin/sh\n", 0o755);
        await write(host, "/usr/local/bin/systemctl", "#!/bin/sh\n", 0o755);
        const result = await run(host, "prepare", { isolateCpus: true, reboot: "when-needed" }, { rebootSeconds: 2 });
        expect(result.code).to.equal(1);
        expect(result.stderr).to.include("host a: did not come back within 2 s of its boot: look at its console");
      } finally {
        await host.stop();
      }
    });

    it("goes through a bastion, checks the key of both, and the pinned one of several types", async () => {
      const several = await startHost({ hostKeys: [["rsa", 3072], ["ecdsa", 256], ["ed25519"]] });
      try {
        for (const hostKey of several.hostKeys) {
          const endpoint = { ...several.endpoint(hostKey), bastion: server.endpoint() };
          // The key of one server lets nobody into the other.
          await write(server, "/root/.ssh/authorized_keys", `${publicKey(server)}\n${publicKey(several)}\n`, 0o600);
          const result = await run(several, "prepare", {}, { endpoint });
          expect(result.code, result.stderr).to.equal(0);
        }
        const wrong = { ...several.endpoint(), hostKey: exampleHostKey() };
        for (const endpoint of [
          wrong,
          { ...several.endpoint(), bastion: { ...server.endpoint(), hostKey: exampleHostKey() } },
        ]) {
          const result = await run(several, "prepare", { sysctl: { "vm.swappiness": "33" } }, { endpoint });
          expect(result.code).to.equal(255);
          expect(result.stderr).to.include("Host key verification failed");
        }
        expect(read(several, SWAPPINESS)).to.equal("60");
      } finally {
        await several.stop();
      }
    });
  },
);

function publicKey(server: RealSshd): string {
  return execFileSync("ssh-keygen", ["-y", "-f", server.identityFile], { encoding: "utf8" }).trim();
}
