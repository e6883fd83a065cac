# Redis with the honest durability: every write is synced before it is acknowledged.

redis_find() {
  local unpacked=$CACHE/redis
  if command -v redis-server > /dev/null && command -v redis-cli > /dev/null; then
    REDIS_RUN=()
    REDIS_SERVER=redis-server REDIS_CLI=redis-cli
    return
  fi
  [ -x "$unpacked/usr/bin/redis-server" ] || return 1
  REDIS_RUN=(env "LD_LIBRARY_PATH=$(echo "$unpacked"/usr/lib/*-linux-gnu)")
  REDIS_SERVER=$unpacked/usr/bin/redis-server REDIS_CLI=$unpacked/usr/bin/redis-cli
}

redis_install() {
  if may_be_root; then
    apt_install redis-server
  else
    unpack_debs "$CACHE/redis" redis-server redis-tools $(redis_libraries)
  fi
}

# What its programs need and a small system may lack.
redis_libraries() {
  apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    redis-tools | sed -n 's/.*Depends: \(lib[a-z]*[^ ]*\|lua-[^ ]*\)$/\1/p' | grep -v '^libc6$\|^libssl\|^libsystemd'
}

redis_start() {
  local folder=$STATE/redis
  mkdir -p "$folder"
  choose_port redis
  cat > "$folder/redis.conf" << CONF
bind 127.0.0.1
port $PORT
dir "$folder"
daemonize no
appendonly yes
appendfsync always
save ""
CONF
  launch redis "${REDIS_RUN[@]}" "$REDIS_SERVER" "$folder/redis.conf"
}

# The answer must come from our process: the port may have been taken by somebody else's server.
redis_ready() {
  "${REDIS_RUN[@]}" "$REDIS_CLI" -h 127.0.0.1 -p "$PORT" info server | grep -q "^process_id:$PID[[:space:]]*$"
}

redis_url() { printf 'redis://127.0.0.1:%s\n' "$PORT"; }
