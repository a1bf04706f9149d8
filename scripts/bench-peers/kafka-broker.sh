# A Kafka broker in KRaft mode as a process of its own. To be sourced.

kafka_pid=

# A port on which nobody listens.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# Sets kafka_pid and kafka_address.
start_kafka() {
    local port controller settings=$work/kafka.properties
    port=$(free_port) controller=$(free_port)
    kafka_address=127.0.0.1:$port
    cat >"$settings" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://$kafka_address,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://$kafka_address
controller.listener.names=CONTROLLER
log.dirs=$work/kafka
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=8388608
log.segment.delete.delay.ms=500
END
    kafka kafka.tools.StorageTool format --cluster-id dGhhbHdlZy1iZW5jaC1wZQ --config "$settings" >"$work/format.txt"
    java -Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$kafka_jars/*" kafka.Kafka "$settings" \
        >"$work/kafka.txt" 2>&1 &
    kafka_pid=$!
    local tries
    for tries in $(seq 120); do
        kill -0 "$kafka_pid" 2>/dev/null || { echo "Kafka ended:"; tail -20 "$work/kafka.txt"; exit 1; }
        if kafka org.apache.kafka.tools.TopicCommand --bootstrap-server "$kafka_address" --list >/dev/null 2>&1; then
            return
        fi
        sleep 0.5
    done
    echo "Kafka does not answer:"
    tail -20 "$work/kafka.txt"
    exit 1
}

# Ends it by its own id.
stop_kafka() {
    [ -n "$kafka_pid" ] || return 0
    kill "$kafka_pid" 2>/dev/null || true
    wait "$kafka_pid" 2>/dev/null || true
    kafka_pid=
    rm -rf "$work/kafka"
}
