import { hostContract, type ContractHost } from "../support/contract";
import { emulatedHost } from "../support/emulated-host";

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
  hostContract("a real libvirt keeps the contract", given === undefined ? emulated : () => givenHost(given));
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

async function emulated(): Promise<ContractHost> {
  const host = await emulatedHost((line) => void process.stdout.write(`    ${line}\n`));
  return { ...host, setAffinity, dropOnce };
}
