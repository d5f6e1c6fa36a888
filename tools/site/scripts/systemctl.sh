#!/bin/bash
# systemctl of a machine without systemd, for the services that its init keeps (services.sh): enough for kubeadm.
command=''
units=()
for word in "$@"; do
  case $word in
    -*) ;;
    *) if [ -z "$command" ]; then command=$word; else units+=("${word%.service}"); fi ;;
  esac
done

running() { [ -e "/run/services/$1/pid" ] && kill -0 "$(cat "/run/services/$1/pid")" 2>/dev/null; }
stop() {
  touch "/run/services/$1/down"
  for _ in $(seq 100); do
    running "$1" || return 0
    kill "$(cat "/run/services/$1/pid")" 2>/dev/null
    sleep 0.1
  done
  kill -9 "$(cat "/run/services/$1/pid")" 2>/dev/null
}
start() {
  rm -f "/run/services/$1/down"
  for _ in $(seq 50); do
    if running "$1"; then return 0; fi
    sleep 0.1
  done
  echo "systemctl: $1 did not start; see /var/log/$1.log" >&2
  return 1
}

case $command in
  daemon-reload | enable | disable | unmask | reset-failed) exit 0 ;;
  is-system-running) echo running; exit 0 ;;
esac
status=0
for unit in "${units[@]}"; do
  if [ ! -d "/run/services/$unit" ]; then
    case $command in is-active) echo inactive ;; is-enabled) echo not-found ;; *) echo "Unit $unit.service could not be found." >&2 ;; esac
    status=4
    continue
  fi
  case $command in
    start) start "$unit" || status=1 ;;
    stop) stop "$unit" ;;
    restart | reload-or-restart | try-restart) stop "$unit"; start "$unit" || status=1 ;;
    is-enabled) echo enabled ;;
    is-active) if running "$unit"; then echo active; else echo inactive; status=3; fi ;;
    status) if running "$unit"; then echo "$unit.service: active (running)"; else echo "$unit.service: inactive (dead)"; status=3; fi ;;
    *) echo "systemctl: this machine has no systemd, and '$command' is not one of the commands it knows" >&2; exit 1 ;;
  esac
done
exit $status
