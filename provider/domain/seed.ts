import type { Element } from "@xmldom/xmldom";
import { quote } from "../core/quote";
import type { Context } from "../core/kind";
import type { Endpoint } from "../transport/transport";
import { sectionsOf } from "../libvirt/script";
import type { CloudInit } from "./schema";

/** What a cloud-init seed on a host holds; undefined: it is not there, or is none. */
export async function readSeed(ctx: Context, at: Endpoint, path: string): Promise<CloudInit | undefined> {
  const sections = await sectionsOf(ctx, at, `reading the seed ${path}`, (nonce) => readScript(path, nonce));
  const of = (name: string): string | undefined => {
    const text = sections.get(name);
    return text === undefined ? undefined : Buffer.from(text, "base64").toString("utf8");
  };
  const [userData, metaData] = [of("user-data"), of("meta-data")];
  if (userData === undefined || metaData === undefined) return undefined;
  return { userData, metaData, networkConfig: of("network-config") ?? "" };
}

/** Whichever tool the host has: xorriso reads what it writes; isoinfo comes with genisoimage. Base64 keeps every byte. */
function readScript(path: string, nonce: string): string {
  return `f=${quote(path)}
[ -e "$f" ] || exit 0
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
if command -v isoinfo >/dev/null; then
  for part in user-data meta-data network-config; do
    isoinfo -R -i "$f" -x "/$part" >"$d/$part" 2>/dev/null || rm -f "$d/$part"
  done
elif command -v xorriso >/dev/null; then
  xorriso -osirrox on -indev "$f" -extract / "$d" >/dev/null 2>&1 || true
else fail "there is no tool to read the cloud-init seed $f: install the package xorriso"
fi
for part in user-data meta-data network-config; do
  [ -s "$d/$part" ] || continue
  printf '%s %s\\n' ${quote(nonce)} "$part"
  base64 -w0 "$d/$part"
  echo
done
`;
}

/** Where the seed of a machine of ours is: its disk vdz. */
export function seedFile(domain: Element): string | undefined {
  const disk = Array.from(domain.getElementsByTagName("disk")).find(
    (element) => element.getElementsByTagName("target").item(0)?.getAttribute("dev") === "vdz",
  );
  return disk?.getElementsByTagName("source").item(0)?.getAttribute("file") ?? undefined;
}
