import { quote } from "../core/quote";
import { assertUnchanged, dropEmptyPool, ensurePool, publish, refreshPool } from "../libvirt/storage";
import type { SeenFile, Sidecar } from "../libvirt/storage";

/** Prints how many bytes have come, every 5 s. The address goes to standard input: it may hold a token. */
export function downloadScript(url: string, part: string): string {
  return `t=${quote(part)}
if command -v curl >/dev/null; then
  printf 'url = "%s"\\n' ${quote(url)} | curl -sSfL --retry 3 --connect-timeout 20 -K - -o "$t" 2>"$t.log" &
elif command -v wget >/dev/null; then
  printf '%s\\n' ${quote(url)} | wget -q --tries=3 -i - -O "$t" 2>"$t.log" &
else fail 'there is neither curl nor wget: install one, or give the image as a file'
fi
pid=$!
trap 'rm -f "$t.log"; rmdir "\${t%/*}" 2>/dev/null || true' EXIT
i=0
while kill -0 $pid 2>/dev/null; do
  sleep 1
  i=$((i + 1))
  [ $((i % 5)) != 0 ] || stat -c %s "$t" 2>/dev/null || true
done
wait $pid || { rm -f "$t"; fail "the download failed: $(tail -n 2 "$t.log")"; }
`;
}

/**
 * Checks what was fetched, then puts it in place. An image that names a backing file would read that file of the host into a guest:
 * it is refused.
 */
export function finishScript(
  image: { readonly storage: string; readonly digest: string; readonly format: string },
  target: string,
  part: string,
  seen: SeenFile,
  sidecar: Sidecar,
): string {
  return `t=${quote(part)}
trap 'rm -f "$t"; rmdir "\${t%/*}" 2>/dev/null || true' EXIT
digest=$(sha256sum "$t" | cut -d' ' -f1)
[ "sha256:$digest" = ${quote(image.digest)} ] || fail "the image has digest sha256:$digest, not ${image.digest}: it was changed or cut short"
info=$(qemu-img info --output=json "$t") || fail 'the image can not be read'
case $info in *'"backing-filename"'*) fail 'the image names a backing file: flatten it with qemu-img convert' ;; esac
format=$(printf '%s\\n' "$info" | sed -n 's/^    "format": "\\([a-z0-9]*\\)".*/\\1/p' | head -n 1)
[ "$format" = ${image.format} ] || fail "the image is $format, the stack file says ${image.format}"
lock
${assertUnchanged(target, seen)}${ensurePool(image.storage)}${publish(sidecar, "644")}${refreshPool(image.storage)}`;
}

export function hashScript(path: string): string {
  return `printf 'sha256:%s\\n' "$(sha256sum ${quote(path)} | cut -d' ' -f1)"\n`;
}

/** An image that is still a base of any disk in its folder stays. */
export function removeImageScript(storage: string, path: string, seen: SeenFile): string {
  return `lock
${assertUnchanged(path, seen)}
for q in ${quote(storage)}/*; do
  [ -f "$q" ] && [ "$q" != "$f" ] || continue
  case $q in *.kvmesh.json) continue ;; esac
  if qemu-img info -U --output=json "$q" 2>/dev/null | grep -qF "\\"$f\\""; then fail "$f is still the base of $q"; fi
done
rm -f "$f" "$f.kvmesh.json"
${dropEmptyPool(storage)}`;
}
