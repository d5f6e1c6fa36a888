# Sourced by the machines' inits: what systemd would do for a handful of services.

# keep NAME COMMAND…: runs a service for as long as the machine lives, restarted a second after it ends.
# The file /run/services/NAME/down stops it and keeps it stopped (see systemctl.sh).
keep() {
  local name=$1
  shift
  mkdir -p "/run/services/$name"
  while :; do
    if [ ! -e "/run/services/$name/down" ]; then
      "$@" >>"/var/log/$name.log" 2>&1 </dev/null &
      echo $! >"/run/services/$name/pid"
      wait $! || true
      rm -f "/run/services/$name/pid"
    fi
    sleep 1
  done &
}

# Root's login by key only, with this machine's pinned host key.
start_sshd() {
  mkdir -p /run/sshd /root/.ssh
  install -m 600 /run/site/authorized_keys /root/.ssh/authorized_keys
  install -m 600 /run/site/host_key /run/site/host_key.pub /run/sshd/
  keep sshd /usr/sbin/sshd -D -e -f /dev/null -p 22 -h /run/sshd/host_key -o PidFile=none -o PasswordAuthentication=no \
    -o KbdInteractiveAuthentication=no -o PermitRootLogin=prohibit-password -o UsePAM=no -o MaxStartups=50:30:100 \
    -o 'Subsystem=sftp /usr/lib/openssh/sftp-server'
}

# Becomes the reaper of everything that loses its parent; a pid 1 that does not wait fills the machine with zombies.
reap() {
  while :; do
    sleep 3600 &
    wait $! || true
  done
}
