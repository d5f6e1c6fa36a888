import type { EndpointSpec, SshSpec, TimeoutsSpec } from "../../config/spec";

/** One SSH server, as its ssh_config names it. */
type Server = Omit<EndpointSpec, "bastion">;

/**
 * Environment for LOCAL_SCRIPT: how a host is reached with OpenSSH. Only names and public keys: who logs in is a file or an agent of this computer.
 *
 * @param rebootSeconds how long a boot of the host may take.
 */
export function sshEnvironment(
  name: string,
  endpoint: EndpointSpec,
  ssh: Pick<SshSpec, "identityFile">,
  timeouts: Pick<TimeoutsSpec, "connect">,
  rebootSeconds = 900,
): Record<string, string> {
  const { bastion, ...server } = endpoint;
  // No host's name has a dot.
  const hops = { [name]: server, ...(bastion === undefined ? {} : { [`${name}.bastion`]: bastion }) };
  const identity = ssh.identityFile === undefined ? [] : [`IdentityFile "${ssh.identityFile}"`, "IdentitiesOnly yes"];
  const config = [
    ...Object.entries(hops).flatMap(([alias, hop]) => section(alias, hop)),
    ...(bastion === undefined ? [] : [`Host ${name}`, `  ProxyJump ${name}.bastion`]),
    "Host *",
    ...["StrictHostKeyChecking yes", "GlobalKnownHostsFile /dev/null", "UpdateHostKeys no", ...identity].map(indent),
    ...["BatchMode yes", "PreferredAuthentications publickey", `ConnectTimeout ${timeouts.connect / 1000}`].map(indent),
    ...["ServerAliveInterval 15", "ServerAliveCountMax 8", "LogLevel ERROR"].map(indent),
  ];
  return {
    KVMESH_HOST: name,
    KVMESH_SSH: config.join("\n"),
    KVMESH_KNOWN_HOSTS: Object.entries(hops)
      .map(([alias, { hostKey }]) => `${alias} ${hostKey}`)
      .join("\n"),
    KVMESH_SHELL: endpoint.user === "root" ? "sh -s" : "sudo -n sh -s",
    KVMESH_BOOT_SECONDS: String(rebootSeconds),
  };
}

function section(alias: string, { address, port, user, hostKey }: Server): string[] {
  const type = hostKey.split(" ")[0]!;
  return [
    `Host ${alias}`,
    ...[`HostName ${address}`, `Port ${port}`, `User ${user}`, `HostKeyAlias ${alias}`].map(indent),
    // A server with keys of several types shows the one that is pinned.
    indent(`HostKeyAlgorithms ${type === "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : type}`),
  ];
}

const indent = (line: string): string => `  ${line}`;

/**
 * Runs on this computer, in /bin/sh: gives the script on standard input to the host, with $action as its argument. After prepare it
 * boots the host where KVMESH_REBOOT says so and something waits for that, waits until it is back, and prepares again.
 */
export const LOCAL_SCRIPT = `set -eu
say() { printf 'kvmesh: host %s: %s\\n' "$KVMESH_HOST" "$*" >&2; }
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
trap 'exit 1' HUP INT TERM
printf '%s\\n' "$KVMESH_KNOWN_HOSTS" >"$d/known_hosts"
{ printf 'UserKnownHostsFile "%s/known_hosts"\\n' "$d"; printf '%s\\n' "$KVMESH_SSH"; } >"$d/config"
script=$(cat)
on_host() { printf '%s\\n' "$script" | ssh -F "$d/config" "$KVMESH_HOST" "$KVMESH_SHELL $1"; }
out=$(on_host "$action") || { code=$?; say "not done ($action); what is above says why"; exit $code; }
case $action/$KVMESH_REBOOT/$out in
  prepare/when-needed/*'pending: '*)
    before=$(on_host reboot)
    printf '%s\\n' "$out" | sed '/^pending: /d'
    say 'is booted; waiting until SSH answers'
    end=$(($(date +%s) + KVMESH_BOOT_SECONDS))
    until now=$(on_host boot-id 2>"$d/error") && [ "$now" != "$before" ]; do
      if [ "$(date +%s)" -ge "$end" ]; then
        say "did not come back within $KVMESH_BOOT_SECONDS s of its boot: look at its console; the next run goes on here. $(cat "$d/error")"
        exit 1
      fi
      sleep 3
    done
    echo 'booted'
    on_host prepare
    ;;
  *) printf '%s\\n' "$out" ;;
esac`;
