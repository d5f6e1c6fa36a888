/**
 * Shell functions of every script on a host: `fail` ends it with a message for people, `lock` takes the one lock of the host: leases, machines
 * and the host's preparation change one at a time.
 */
export const HOST_LOCK = `fail() { printf 'kvmesh: %s\\n' "$*" >&2; exit 64; }
lock() {
  exec 9>/run/lock/kvmesh.lock
  flock -w 300 9 || fail 'another run has held the lock /run/lock/kvmesh.lock for 300 s'
}
`;
