# NATS with JetStream and the honest durability: every write is synced before it is acknowledged.

nats_find() { NATS_SERVER=$CACHE/nats-server && [ -x "$NATS_SERVER" ]; }

nats_install() { cached nats-server go_program github.com/nats-io/nats-server/v2@latest; }

nats_start() {
  local folder=$STATE/nats monitor
  mkdir -p "$folder"
  choose_port nats.monitor
  monitor=$PORT
  choose_port nats
  cat > "$folder/nats.conf" << CONF
server_name: treaty
host: 127.0.0.1
port: $PORT
http: 127.0.0.1:$monitor
jetstream { store_dir: "$folder/data", max_mem: 256MB, max_file: 4GB, sync_interval: always }
CONF
  launch nats "$NATS_SERVER" -c "$folder/nats.conf"
}

nats_ready() {
  local monitor
  owns_port "$PID" "$PORT" && read -r monitor < "$STATE/ports/nats.monitor" &&
    http_get "$monitor" '/healthz?js-enabled-only=true' | grep -q '^HTTP/1.1 200'
}

nats_url() { printf 'nats://127.0.0.1:%s\n' "$PORT"; }
