import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { hostUp, siteDown } from "../../tools/site";
import { hostContract, type ContractHost } from "../support/contract";

/** Another real libvirt, instead of the emulated host: address,port,user,hostKey,identityFile. */
const given = process.env.KVMESH_LAB_HOST;
const possible = given !== undefined || (process.platform === "linux" && process.getuid?.() === 0);

const setAffinity = (_pid: number, thread: number, cpus: string): string => `taskset -pc ${cpus} ${thread} >/dev/null`;

/** The nearest sshd above the script is the one of its connection. */
const dropOnce = (): string => `f=/tmp/kvmesh-dropped
if [ ! -e "$f" ]; then
  : >"$f"
  p=$$
  while ! grep -q '^sshd' "/proc/$p/comm"; do p=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status"); done
  kill "$p"
  sleep 30
fi
rm -f "$f"`;

if (possible) {
  hostContract("a real libvirt keeps the contract", given === undefined ? emulatedHost : () => givenHost(given));
} else {
  describe("a real libvirt keeps the contract", () => {
    it.skip("needs root on Linux for the emulated host, or KVMESH_LAB_HOST");
  });
}

function givenHost(text: string): Promise<ContractHost> {
  const [address = "", port = "22", user = "root", hostKey = "", identityFile = ""] = text.split(",");
  const endpoint = { address, port: Number(port), user, hostKey };
  return Promise.resolve({ endpoint, identityFile, setAffinity, dropOnce, stop: () => Promise.resolve() });
}

/** Real sshd, libvirtd and QEMU in namespaces, with a data folder of its own beside any site that the user has. */
async function emulatedHost(): Promise<ContractHost> {
  const outer = process.env.KVMESH_DATA;
  const data = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-contract-site-"));
  process.env.KVMESH_DATA = data;
  const report = (line: string): void => void process.stdout.write(`    ${line}\n`);
  const restore = (): void => {
    if (outer === undefined) delete process.env.KVMESH_DATA;
    else process.env.KVMESH_DATA = outer;
  };
  const down = async (): Promise<void> => {
    await siteDown(report);
    restore();
    fs.rmSync(data, { recursive: true, force: true });
  };
  try {
    const { host, identityFile } = await hostUp(report, { yes: true });
    const { address, port, user, hostKey } = host;
    return { endpoint: { address, port, user, hostKey }, identityFile, setAffinity, dropOnce, stop: down };
  } catch (error) {
    await down();
    throw error;
  }
}
