# Toxiproxy: cuts, slows and halves connections to the others, by its HTTP interface.

toxiproxy_find() { TOXIPROXY_SERVER=$CACHE/toxiproxy-server && [ -x "$TOXIPROXY_SERVER" ]; }

# The package's program is called `server`; the cache gives it a name of its own.
toxiproxy_install() { cached toxiproxy-server go_program github.com/Shopify/toxiproxy/v2/cmd/server@latest; }

toxiproxy_start() {
  choose_port toxiproxy
  launch toxiproxy "$TOXIPROXY_SERVER" -host 127.0.0.1 -port "$PORT"
}

toxiproxy_ready() { owns_port "$PID" "$PORT" && http_get "$PORT" /version | grep -q '^HTTP/1.1 200'; }

toxiproxy_url() { printf 'http://127.0.0.1:%s\n' "$PORT"; }
