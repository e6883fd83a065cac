# Shared by up, down and status; sourced, never run. Each service is one file, NAME.sh, with functions
#   NAME_find      true when its programs are there (sets what the others need)
#   NAME_install   fetches them; run only when NAME_find is false
#   NAME_start     writes its configuration and calls `launch NAME COMMAND…`
#   NAME_ready     true once it answers; PID and PORT of the service are set
#   NAME_url       prints the URL for clients
#   NAME_stop      optional: prints the signal that ends it cleanly; default TERM
#   NAME_stopped   optional: run once it has ended, also when it had ended before; ends its companions
#   NAME_wipe      optional: deletes data that it keeps elsewhere than in .services/NAME
# Further ports and processes of a service are called NAME.WHAT, for example kafka.controller.
# All state of this checkout is below .services/; downloads are kept outside, for other checkouts.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
STATE=$ROOT/.services
CACHE=${TREATY_SERVICES_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/treaty-services}
READY_SECONDS=120
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

# True when the process itself listens on the port, and not somebody else's server.
owns_port() {
  local inode inodes
  inodes=$(awk -v port="$(printf ':%04X' "$2")" \
    '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' /proc/net/tcp /proc/net/tcp6 2> /dev/null)
  for inode in $inodes; do
    ls -l "/proc/$1/fd" 2> /dev/null | grep -q "socket:\[$inode\]$" && return
  done
  return 1
}

# Sets PORT to the service's port: the one of last time if it is free, else a new one. Below the range from
# which the kernel takes ports of outgoing connections, and begun at another place in every checkout.
choose_port() {
  local file=$STATE/ports/$1 span=9000 offset
  mkdir -p "$STATE/ports"
  # Services choose at the same time, and a port that one has chosen is free until it listens.
  {
    ! command -v flock > /dev/null || flock 8
    if ! { [ -f "$file" ] && read -r PORT < "$file" && [ -n "$PORT" ] && is_free "$PORT"; }; then
      offset=$(($(printf '%s %s' "$ROOT" "$1" | cksum | cut -d ' ' -f 1) % span))
      PORT=$((21000 + offset))
      until is_free "$PORT" && ! grep -qsx "$PORT" "$STATE"/ports/*; do
        offset=$(((offset + 1) % span))
        PORT=$((21000 + offset))
      done
      printf '%s\n' "$PORT" > "$file"
    fi
  } 8> "$STATE/ports.lock"
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

# Prints what a GET on the loopback port answers.
http_get() {
  (
    exec 3<> "/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
    timeout 2 cat <&3
  ) 2> /dev/null
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
  ! declare -F "${name}_stopped" > /dev/null || "${name}_stopped"
}

# A process beside a service: started like it, ended with it, known by its pid alone.
stop_companion() {
  if is_alive "$1"; then
    kill -s "${2:-TERM}" "$PID" 2> /dev/null
    while is_alive "$1"; do sleep 0.05; done
  fi
  rm -f "$STATE/pids/$1"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
may_be_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo > /dev/null && sudo -n true 2> /dev/null; }
}

# cached PLACE MAKER…: the file or folder PLACE below the cache, made by `MAKER… PATH` where it is missing;
# once, however many checkouts want it at the same time, and never seen half made.
cached() {
  local place=$CACHE/$1
  shift
  mkdir -p "$CACHE/locks"
  (
    ! command -v flock > /dev/null || flock 7
    [ ! -e "$place" ] || exit 0
    rm -rf "$place.new"
    "$@" "$place.new" && mv "$place.new" "$place"
  ) 7> "$CACHE/locks/${place##*/}"
}

# go_program PACKAGE@VERSION PATH: builds it and keeps nothing else; Go's own caches would be gigabytes.
go_program() {
  local package=$1 target=$2 work log=$STATE/logs/go-${2##*/}.log code
  command -v go > /dev/null || { say "Go is needed to build $package: https://go.dev/dl"; return 1; }
  say "building $package (Go)"
  work=$(mktemp -d "$CACHE/go.XXXXXX") || return 1
  env GOPATH="$work/path" GOCACHE="$work/cache" GOTMPDIR="$work" GOBIN="$work/bin" \
    GOFLAGS="${GOFLAGS-} -modcacherw" nice go install "$package" > "$log" 2>&1 9>&- && mv "$work"/bin/* "$target"
  code=$?
  rm -rf "$work"
  [ "$code" = 0 ] || tail -n 20 "$log" >&2
  return "$code"
}

# Installs Debian packages without starting what they bring.
apt_install() {
  may_be_root || { say "$* can be installed by root only: apt-get install $*"; return 1; }
  say "installing $* (apt)"
  mkdir -p "$CACHE/locks"
  # One after another: what keeps a package from starting its server is one file for all.
  (
    ! command -v flock > /dev/null || flock 7
    apt_install_alone "$@"
  ) 7> "$CACHE/locks/apt"
}
apt_install_alone() {
  local policy=/usr/sbin/policy-rc.d made= log=$STATE/logs/apt-$1.log code
  if [ ! -e "$policy" ]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" > /dev/null
    as_root chmod 755 "$policy"
  fi
  local install=(env DEBIAN_FRONTEND=noninteractive nice apt-get install -y -qq --no-install-recommends
    -o DPkg::Lock::Timeout=300)
  as_root "${install[@]}" "$@" > "$log" 2>&1 9>&- 7>&- ||
    { as_root apt-get update -qq && as_root "${install[@]}" "$@"; } >> "$log" 2>&1 9>&- 7>&-
  code=$?
  [ -z "$made" ] || as_root rm -f "$policy"
  [ "$code" = 0 ] || tail -n 20 "$log" >&2
  return "$code"
}

# unpack_debs FOLDER PACKAGE…: the same without any rights: unpacked below a folder, nothing installed.
unpack_debs() {
  local folder=$1 deb
  shift
  say "unpacking $* into $folder"
  mkdir -p "$folder/debs" && (
    cd "$folder/debs" && apt-get download "$@" > "$STATE/logs/debs.log" 2>&1 &&
      for deb in *.deb; do dpkg -x "$deb" .. || exit 1; done
  ) || { tail -n 5 "$STATE/logs/debs.log" >&2; return 1; }
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
