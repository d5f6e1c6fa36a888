import { SNAPSHOT_DIR } from "../node/paths";

/** Snapshots kept on one control plane; older ones go. */
const KEPT = 5;

/**
 * Shell function `snapshot`: saves this machine's etcd to a file of its own below SNAPSHOT_DIR, mode 0600 of root, and says why when it
 * can't. etcd puts a SHA-256 of the database at the end of the stream: a file that was cut off is not kept. Needs GATEWAY.
 */
export function snapshotScript(label: string): string {
  return `snapshot() (
  umask 077
  mkdir -p ${SNAPSHOT_DIR} && chmod 700 ${SNAPSHOT_DIR} && cd ${SNAPSHOT_DIR} || exit 1
  file=$(date -u +%Y%m%dT%H%M%SZ)-${label}.db
  trap 'rm -f "$file.part"' EXIT
  post maintenance/snapshot '{}' "$LOCAL" 300 | sed -n 's/.*"blob": *"\\([^"]*\\)".*/\\1/p' | base64 -d >"$file.part"
  [ -s "$file.part" ] || { echo "etcd sent nothing"; exit 1; }
  sum=$(head -c -32 "$file.part" | sha256sum | cut -c 1-64)
  [ "$sum" = "$(tail -c 32 "$file.part" | od -An -v -tx1 | tr -d ' \\n')" ] || { echo "the snapshot is not whole"; exit 1; }
  sync "$file.part" && mv "$file.part" "$file" || exit 1
  ls -1 ./*.db | sort -r | tail -n +${KEPT + 1} | xargs -r rm -f
)`;
}
