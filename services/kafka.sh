# Apache Kafka, one node that is broker and controller, from Maven Central. The versions are in kafka/pom.xml.

kafka_find() {
  local version
  version=$(sed -n '/<artifactId>kafka_/{n;s/.*<version>\(.*\)<.*/\1/p}' "$ROOT/services/kafka/pom.xml")
  KAFKA_HOME=$CACHE/kafka-$version
  # Classes parsed once for all: halves the start. Made when the first broker ends, for exactly this Java.
  KAFKA_ARCHIVE=$KAFKA_HOME/classes-$(java -version 2>&1 | cksum | cut -d ' ' -f 1).jsa
  [ -d "$KAFKA_HOME/libs" ] && command -v java > /dev/null
}

kafka_install() {
  local packages=()
  command -v java > /dev/null || packages+=(default-jre-headless)
  command -v mvn > /dev/null || packages+=(maven)
  [ ${#packages[@]} = 0 ] || apt_install "${packages[@]}" || return 1
  cached "${KAFKA_HOME##*/}" kafka_download
}

kafka_download() {
  say "downloading ${KAFKA_HOME##*/} (Maven)"
  nice mvn -B -ntp -q -f "$ROOT/services/kafka/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$1/libs" > "$STATE/logs/maven.log" 2>&1 9>&- ||
    { tail -n 20 "$STATE/logs/maven.log" >&2; return 1; }
}

kafka_start() {
  local folder=$STATE/kafka controller archive
  mkdir -p "$folder" "$STATE/logs"
  choose_port kafka.controller
  controller=$PORT
  choose_port kafka
  kafka_properties "$folder" "$PORT" "$controller" > "$folder/server.properties"
  archive=("-XX:ArchiveClassesAtExit=$folder/classes.jsa")
  [ ! -f "$KAFKA_ARCHIVE" ] || archive=("-XX:SharedArchiveFile=$KAFKA_ARCHIVE" -Xshare:auto)
  local java=(java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData
    "-Dlog4j2.configurationFile=$ROOT/services/kafka/log4j2.properties" -cp "$KAFKA_HOME/libs/*")
  [ -f "$folder/data/meta.properties" ] ||
    "${java[@]}" kafka.tools.StorageTool format -g -t AAAAAAAAQACAAAAAAAAAAA -c "$folder/server.properties" \
      > "$STATE/logs/kafka.format.log" 2>&1 9>&- || return 1
  launch kafka "${java[@]:0:1}" "${archive[@]}" "${java[@]:1}" kafka.Kafka "$folder/server.properties"
}

kafka_properties() {
  cat << CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$1/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.heartbeat.interval.ms=200
group.consumer.min.heartbeat.interval.ms=200
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=16777216
CONF
  # Tests of listeners that advertise a proxy, or ask for TLS or credentials: what comes last counts.
  [ -z "${TREATY_KAFKA_PROPERTIES:-}" ] || sed "s/@PORT@/$2/g; s/@CONTROLLER@/$3/g" "$TREATY_KAFKA_PROPERTIES"
}

kafka_ready() { owns_port "$PID" "$PORT" && grep -q 'Kafka Server started' "$STATE/logs/kafka.log"; }

# A broker that was killed leaves no archive; Java refuses one that was cut off, whose header comes last.
kafka_stopped() {
  local made=$STATE/kafka/classes.jsa
  [ -f "$made" ] || return 0
  kafka_find && [ ! -f "$KAFKA_ARCHIVE" ] &&
    mv "$made" "$KAFKA_ARCHIVE.$$" && mv "$KAFKA_ARCHIVE.$$" "$KAFKA_ARCHIVE"
  rm -f "$made"
}

kafka_url() { printf 'kafka://127.0.0.1:%s\n' "$PORT"; }
