# The rows of Kafka. To be sourced.

# The JVM of a client: as it comes, so that its compiler does what it can.
kafka_workload() {
    java -Xmx1G -Xms1G -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$kafka_jars/*" scripts/bench-peers/Workload.java \
        "$@" "address=$kafka_address" "pid=$kafka_pid" 2>>"$work/client.txt" || {
        echo "Kafka's client failed:" >&2
        tail -20 "$work/client.txt" >&2
        exit 1
    }
}

# kafka_throughput produce|consume <name> <record bytes> <records> <batch bytes> <synced?>
kafka_throughput() {
    local told rate broker_s client_s count
    told=$(kafka_workload "$1" "partitions=$partitions" "size=$3" "records=$4" "batch=$5" "flushed=$6")
    read -r rate broker_s client_s count <<<"$told"
    throughput_row kafka "$2" "$3" "$rate" "$count" "$broker_s" "$client_s"
}

# kafka_latency ack|read|rate <name> <record bytes> <records a second> <synced?>
kafka_latency() {
    local told p50 p99 p999 broker_s client_s count
    told=$(kafka_workload "$1" partitions=1 "size=$3" "rate=$4" "flushed=$5")
    read -r p50 p99 p999 broker_s client_s count <<<"$told"
    latency_row kafka "$2" "$p50" "$p99" "$p999" "$count" "$broker_s" "$client_s"
}
