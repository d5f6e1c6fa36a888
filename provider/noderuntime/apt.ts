import { UserError, type Context } from "../core/kind";
import { quote } from "../core/quote";
import { runJob } from "../node/job";
import { lastWords } from "../node/kubeadm";
import { pinnedKeys } from "./apt-key";
import type { AptPackages, NodeRuntimeInputs } from "./schema";
import { repeatable } from "../node/reach";

const KEYRINGS = "/etc/apt/keyrings";
const KEYRING = `${KEYRINGS}/kvmesh-kubernetes.asc`;
const SOURCE = "/etc/apt/sources.list.d/kvmesh-kubernetes.sources";
/** Packages that were not there before us, one a line: only these are removed again. */
const OURS = "/var/lib/kvmesh/packages";
const PACKAGES = ["kubelet", "kubeadm", "kubectl"];

/**
 * Installs and holds the exact versions from a repository whose key is pinned. Everything is written before it is used and
 * every step may be run again. containerd comes from the machine's own distribution, where it isn't there already.
 */
export async function install(ctx: Context, inputs: NodeRuntimeInputs, apt: AptPackages): Promise<void> {
  await trustKey(ctx, inputs, apt);
  const lines: string[] = [];
  ctx.progress(`node ${inputs.name}: installing Kubernetes ${inputs.kubernetesVersion} from ${apt.repository}`);
  const code = await runJob(ctx, inputs.endpoint, {
    slot: "apt",
    what: "install",
    command: installScript(inputs, apt),
    timeoutMs: 900_000,
    onLine: (line) => {
      lines.push(line);
      if (/^(Get|Setting up)\b/.test(line)) ctx.progress(`node ${inputs.name}: ${line.slice(0, 100)}`);
    },
  });
  if (code !== 0) {
    throw new UserError(
      `node ${inputs.name} (${inputs.endpoint.address}): apt failed (exit ${code}):\n${lastWords(lines)}`,
    );
  }
}

/** apt's own downloader is on every Debian; curl is not. A key that isn't pinned never reaches apt's keyrings. */
async function trustKey(ctx: Context, inputs: NodeRuntimeInputs, apt: AptPackages): Promise<void> {
  const url = `${apt.repository.replace(/\/$/, "")}/Release.key`;
  const fetched = await ctx.transport.script(
    inputs.endpoint,
    `set -e; export LC_ALL=C
file=$(mktemp)
trap 'rm -f "$file"' EXIT
/usr/lib/apt/apt-helper download-file ${quote(url)} "$file" >&2
head -c 200000 "$file"`,
    repeatable(ctx, 120_000),
  );
  if (fetched.code !== 0) {
    throw new UserError(
      `node ${inputs.name}: ${url} can't be fetched: ${fetched.stderr.trim().slice(-300)}; is kubernetes.packages.repository right?`,
    );
  }
  const key = await pinnedKeys(fetched.stdout, apt.keyFingerprints, `node ${inputs.name}: ${url}`);
  const written = await ctx.transport.script(
    inputs.endpoint,
    `set -e
mkdir -p ${KEYRINGS}
cat >${KEYRING}.new
chmod 644 ${KEYRING}.new
mv ${KEYRING}.new ${KEYRING}`,
    { ...repeatable(ctx), stdin: key },
  );
  if (written.code !== 0) {
    throw new UserError(`node ${inputs.name}: ${KEYRING} can't be written: ${written.stderr.trim().slice(-300)}`);
  }
}

function installScript(inputs: NodeRuntimeInputs, apt: AptPackages): string {
  const exact = PACKAGES.map((name) => quote(`${name}=${inputs.kubernetesVersion}-*`)).join(" ");
  return `set -e; export LC_ALL=C DEBIAN_FRONTEND=noninteractive
mkdir -p /var/lib/kvmesh
printf 'Types: deb\\nURIs: %s\\nSuites: /\\nSigned-By: ${KEYRING}\\n' ${quote(`${apt.repository.replace(/\/$/, "")}/`)} >${SOURCE}
apt-get update -q
for package in ${PACKAGES.join(" ")} containerd cri-tools kubernetes-cni; do
  dpkg -s "$package" >/dev/null 2>&1 || grep -qx "$package" ${OURS} 2>/dev/null || echo "$package" >>${OURS}
done
runtime=containerd; command -v containerd >/dev/null && runtime=
apt-get install -q -y --no-install-recommends --allow-change-held-packages ${exact} $runtime
apt-mark hold ${PACKAGES.join(" ")}
if [ -n "$runtime" ]; then
  # Debian's package has no configuration; kubeadm's kubelet uses systemd's cgroups, and so must containerd.
  mkdir -p /etc/containerd
  containerd config default | sed 's/SystemdCgroup = false/SystemdCgroup = true/; s#bin_dir = .*#bin_dir = "/opt/cni/bin"#' >/etc/containerd/config.toml
  if command -v systemctl >/dev/null; then systemctl enable containerd; systemctl restart containerd; fi
fi
if command -v systemctl >/dev/null; then systemctl enable kubelet; fi`;
}

/** Removes what the list says was not there before us, and the source with its key. */
export const UNINSTALL = `export LC_ALL=C DEBIAN_FRONTEND=noninteractive
if [ -s ${OURS} ]; then
  apt-mark unhold ${PACKAGES.join(" ")} >/dev/null 2>&1
  packages=$(dpkg-query -W -f '\${Package} \${db:Status-Status}\\n' $(cat ${OURS}) 2>/dev/null | sed -n 's/ installed$//p')
  [ -z "$packages" ] || apt-get purge -q -y --allow-change-held-packages $packages || exit 1
  ! grep -qx containerd ${OURS} || rm -f /etc/containerd/config.toml
fi
rm -rf ${SOURCE} ${KEYRING} /var/lib/kvmesh
exit 0`;
