# RabbitMQ, with an epmd of its own. `. .services/rabbitmq/env` makes rabbitmqctl speak to it.

rabbitmq_find() {
  local server
  # The program in the PATH is a wrapper that changes the user; the one behind it runs as anybody.
  for server in /usr/lib/rabbitmq/bin/rabbitmq-server /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server; do
    [ -x "$server" ] && command -v epmd > /dev/null && command -v erl > /dev/null || continue
    RABBITMQ_BIN=${server%/*}
    return
  done
  return 1
}

rabbitmq_install() { apt_install rabbitmq-server; }

rabbitmq_start() {
  local folder=$STATE/rabbitmq dist epmd
  mkdir -p "$folder"
  choose_port rabbitmq.epmd
  epmd=$PORT
  choose_port rabbitmq.dist
  dist=$PORT
  choose_port rabbitmq
  echo '[].' > "$folder/enabled_plugins"
  cat > "$folder/rabbitmq.conf" << CONF
listeners.tcp.1 = 127.0.0.1:$PORT
log.console = true
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 200MB
CONF
  cat > "$folder/env" << ENV
export HOME='$folder' PATH='$RABBITMQ_BIN':"\$PATH"
export RABBITMQ_NODENAME=treaty@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$PORT
export RABBITMQ_DIST_PORT=$dist ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$epmd
export RABBITMQ_MNESIA_BASE='$folder/mnesia' RABBITMQ_LOG_BASE='$folder/log' RABBITMQ_PID_FILE='$folder/pid'
export RABBITMQ_ENABLED_PLUGINS_FILE='$folder/enabled_plugins' RABBITMQ_CONFIG_FILE='$folder/rabbitmq.conf'
export RABBITMQ_CONF_ENV_FILE='$folder/none'
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1} +S 2:2'
ENV
  # Ours, not the daemon that the node would start: that one outlives the node and answers to nobody.
  launch rabbitmq.epmd epmd -address 127.0.0.1 -port "$epmd"
  until ! is_free "$epmd" || ! is_alive rabbitmq.epmd; do sleep 0.05; done
  # The variable makes its script become the server instead of staying in front of it.
  launch rabbitmq env RUNNING_UNDER_SYSTEMD=true bash -c '. "$1/env" && exec rabbitmq-server' rabbitmq "$folder"
}

rabbitmq_ready() {
  owns_port "$PID" "$PORT" && grep -q 'Server startup complete' "$STATE/logs/rabbitmq.log"
}

rabbitmq_stopped() { stop_companion rabbitmq.epmd; }

rabbitmq_url() { printf 'amqp://guest:guest@127.0.0.1:%s\n' "$PORT"; }
