# Shared by up, down and status; sourced, never run. Each service is one file, NAME.sh, with functions
#   NAME_find      true when its programs are there (sets what the others need)
#   NAME_install   fetches them; run only when NAME_find is false
#   NAME_start     writes its configuration and calls `launch NAME COMMAND…`
#   NAME_ready     true once it answers; PID and PORT of the service are set
#   NAME_url       prints the URL for clients
#   NAME_stop      optional: prints the signal that ends it cleanly; default TERM
# All state of this checkout is below .services/; downloads are kept outside, for other checkouts.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
STATE=$ROOT/.services
CACHE=${TREATY_SERVICES_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/treaty-services}
READY_SECONDS=90
STOP_SECONDS=20

say() { printf '%s\n' "$*" >&2; }
fail() { say "services: $*"; exit 1; }

# Names of all services, one a line.
known() {
  local file
  for file in "$ROOT"/services/*.sh; do
    file=${file##*/}
    [ "$file" = lib.sh ] || printf '%s\n' "${file%.sh}"
  done
}

load() {
  [ -f "$ROOT/services/$1.sh" ] && [ "$1" != lib ] ||
    fail "there is no service '$1'; there is: $(known | tr '\n' ' ')"
  # shellcheck source=/dev/null
  . "$ROOT/services/$1.sh"
}

# One up or down at a time in a checkout. Nothing that is started may inherit the lock: see launch.
lock() {
  mkdir -p "$STATE/pids"
  exec 9> "$STATE/lock"
  command -v flock > /dev/null && flock 9
  return 0
}

# A process's start time in clock ticks: together with the pid it names one process for ever.
# Field 22 of stat; the command's name before it may hold spaces and brackets, so cut behind it.
start_time() {
  local stat
  { stat=$(< "/proc/$1/stat"); } 2> /dev/null || return 1
  stat=${stat##*) }
  # A zombie has ended, whatever kill -0 says.
  [ "${stat%% *}" != Z ] || return 1
  set -- $stat
  printf '%s\n' "${20}"
}

# True when what this checkout started under the name still runs; sets PID.
is_alive() {
  local started
  PID=
  [ -f "$STATE/pids/$1" ] || return 1
  read -r PID started < "$STATE/pids/$1" || return 1
  [ -n "$PID" ] && [ "$(start_time "$PID")" = "$started" ]
}

# True when nothing listens on the loopback port.
is_free() { ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# Sets PORT to the service's port: the one of last time if it is free, else a new one. Below the range from
# which the kernel takes ports of outgoing connections, and begun at another place in every checkout.
choose_port() {
  local file=$STATE/ports/$1 span=9000 offset
  mkdir -p "$STATE/ports"
  if [ -f "$file" ] && read -r PORT < "$file" && [ -n "$PORT" ] && is_free "$PORT"; then return; fi
  offset=$(($(printf '%s %s' "$ROOT" "$1" | cksum | cut -d ' ' -f 1) % span))
  PORT=$((21000 + offset))
  until is_free "$PORT"; do
    offset=$(((offset + 1) % span))
    PORT=$((21000 + offset))
  done
  printf '%s\n' "$PORT" > "$file"
}

port_of() { { read -r PORT < "$STATE/ports/$1"; } 2> /dev/null; }

# launch NAME COMMAND…: starts it in a session of its own, away from our terminal, output and lock.
launch() {
  local name=$1
  shift
  mkdir -p "$STATE/logs" "$STATE/pids"
  setsid "$@" > "$STATE/logs/$name.log" 2>&1 < /dev/null 9>&- &
  PID=$!
  printf '%s %s\n' "$PID" "$(start_time "$PID")" > "$STATE/pids/$name"
  disown "$PID" 2> /dev/null || true
}

# Waits until the service answers, and answers as the process that we started.
wait_ready() {
  local name=$1 deadline=$((SECONDS + READY_SECONDS))
  until "${name}_ready" 2> /dev/null; do
    is_alive "$name" && [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

# Ends what this checkout started under the name, and nothing else.
stop_service() {
  local name=$1 signal=TERM deadline=$((SECONDS + STOP_SECONDS))
  if is_alive "$name"; then
    declare -F "${name}_stop" > /dev/null && signal=$("${name}_stop")
    kill -s "$signal" "$PID" 2> /dev/null
    while is_alive "$name" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
    is_alive "$name" && kill -s KILL "$PID" 2> /dev/null
    while is_alive "$name"; do sleep 0.05; done
    say "$name stopped"
  fi
  rm -f "$STATE/pids/$name"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
may_be_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo > /dev/null && sudo -n true 2> /dev/null; }
}

# Installs Debian packages without starting what they bring.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made=
  say "installing $* (apt)"
  if [ ! -e "$policy" ]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" > /dev/null
    as_root chmod 755 "$policy"
  fi
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends)
  as_root "${install[@]}" "$@" > "$STATE/logs/apt.log" 2>&1 ||
    { as_root apt-get update -qq && as_root "${install[@]}" "$@"; } >> "$STATE/logs/apt.log" 2>&1
  local code=$?
  [ -z "$made" ] || as_root rm -f "$policy"
  [ "$code" = 0 ] || tail -n 20 "$STATE/logs/apt.log" >&2
  return "$code"
}

# unpack_debs FOLDER PACKAGE…: the same without any rights: unpacked below a folder, nothing installed.
unpack_debs() {
  local folder=$1 deb
  shift
  say "unpacking $* into $folder"
  mkdir -p "$folder/debs" && (
    cd "$folder/debs" && apt-get download "$@" > "$STATE/logs/apt.log" 2>&1 &&
      for deb in *.deb; do dpkg -x "$deb" .. || exit 1; done
  ) || { tail -n 5 "$STATE/logs/apt.log" >&2; return 1; }
}

# URLs as shell assignments, for tests and for people: TREATY_REDIS_URL=…
write_env() {
  local name
  for name in $(known); do
    load "$name"
    is_alive "$name" && port_of "$name" || continue
    printf 'TREATY_%s_URL=%s\n' "${name^^}" "$("${name}_url")"
  done > "$STATE/env"
}
