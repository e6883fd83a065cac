# PostgreSQL with logical decoding. The server refuses to run as root, so root runs it as the user `postgres`.

postgres_find() {
  local bin
  bin=$(printf '%s\n' /usr/lib/postgresql/*/bin /usr/local/pgsql/bin | sort -V | tac |
    while read -r folder; do [ ! -x "$folder/initdb" ] || { printf '%s\n' "$folder" && break; }; done)
  [ -n "$bin" ] || bin=$(dirname -- "$(command -v initdb)" 2> /dev/null)
  [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] || return 1
  POSTGRES_BIN=$bin
  POSTGRES_AS=()
  [ "$(id -u)" != 0 ] || POSTGRES_AS=(setpriv --reuid=postgres --regid=postgres --clear-groups)
}

postgres_install() { apt_install postgresql; }

# Where its data are, noted in .services: its user must be able to enter every folder above them, which it
# cannot below a home of root or a private temporary folder.
postgres_place() {
  local note=$STATE/places/postgres candidate place
  mkdir -p "$STATE/places"
  if [ -f "$note" ] && read -r place < "$note" && [ -d "$place" ]; then
    printf '%s\n' "$place"
    return
  fi
  mkdir -p "$STATE/postgres"
  if "${POSTGRES_AS[@]}" test -x "$STATE/postgres"; then
    place=$STATE/postgres
  else
    for candidate in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
      "${POSTGRES_AS[@]}" test -x "$candidate" 2> /dev/null || continue
      place=$(mktemp -d "$candidate/treaty-postgres.XXXXXX") && break
    done
    [ -n "$place" ] || { say 'there is no folder that the user postgres can enter'; return 1; }
  fi
  [ ${#POSTGRES_AS[@]} = 0 ] || chown postgres: "$place" || return 1
  printf '%s\n' "$place" | tee "$note"
}

postgres_start() {
  local place data
  place=$(postgres_place) && data=$place/data || return 1
  choose_port postgres
  # PG_VERSION alone is written early; the note comes last, so that a data folder half made is made again.
  if [ ! -f "$STATE/places/postgres.made" ] || [ ! -f "$data/PG_VERSION" ]; then
    rm -rf "$data"
    mkdir -p "$STATE/logs"
    postgres_make "$data" > "$STATE/logs/postgres.initdb.log" 2>&1 || {
      tail -n 20 "$STATE/logs/postgres.initdb.log" >&2
      return 1
    }
    : > "$STATE/places/postgres.made"
  fi
  postgres_await_end "$data"
  launch postgres "${POSTGRES_AS[@]}" env -C / "$POSTGRES_BIN/postgres" -D "$data" -p "$PORT"
}

# A server that was killed may stay a zombie for seconds, which the next one takes for a running server.
postgres_await_end() {
  local old deadline=$((SECONDS + 10))
  { read -r old < "$1/postmaster.pid"; } 2> /dev/null || return 0
  while [ -d "/proc/$old" ] && ! start_time "$old" > /dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
}

postgres_make() (
  # Its programs ask where they are, and may not look there.
  cd / || exit 1
  "${POSTGRES_AS[@]}" "$POSTGRES_BIN/initdb" -D "$1" -U treaty -A trust --no-locale -E UTF8 -N || exit 1
  "${POSTGRES_AS[@]}" tee -a "$1/postgresql.conf" > /dev/null << CONF || exit 1
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
max_slot_wal_keep_size = 1GB
CONF
  echo 'CREATE DATABASE treaty' | "${POSTGRES_AS[@]}" "$POSTGRES_BIN/postgres" --single -D "$1" postgres
)

postgres_ready() {
  owns_port "$PID" "$PORT" && "$POSTGRES_BIN/pg_isready" -q -h 127.0.0.1 -p "$PORT" -U treaty -d treaty
}

# Fast shutdown: ends the sessions; TERM would wait for the clients to go.
postgres_stop() { echo INT; }

postgres_wipe() {
  local place
  ! read -r place < "$STATE/places/postgres" 2> /dev/null || rm -rf "${place:?}"
  rm -f "$STATE/places/postgres" "$STATE/places/postgres.made"
}

postgres_url() { printf 'postgres://treaty@127.0.0.1:%s/treaty\n' "$PORT"; }
