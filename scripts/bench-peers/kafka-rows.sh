# The rows of Kafka, measured with its own tools. To be sourced.

# The JVM of a client: as it comes, so that its compiler does what it can.
kafka_client() {
    java -Xmx1G -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$kafka_jars/*" "$@" 2>>"$work/client.txt"
}

# measured <file> <command>: the output goes to the file; sets broker_s and client_s, seconds of CPU time.
measured() {
    local file=$1 before after spent TIMEFORMAT='%U %S'
    shift
    before=$(kafka_ticks)
    spent=$( { time "$@" >"$file" 2>>"$work/client.txt"; } 2>&1 )
    after=$(kafka_ticks)
    broker_s=$(awk "BEGIN { print ($after - $before) / 100 }")
    client_s=$(awk "BEGIN { split(\"$spent\", s, \" \"); print s[1] + s[2] }")
}

# kafka_produce <name> <record bytes> <records> <batch bytes> <synced?>
kafka_produce() {
    local name=$1 size=$2 count=$3 batch=$4 synced=$5 settings=()
    [ "$synced" = yes ] && settings=(flush.messages=1)
    kafka_topic produce "${settings[@]}"
    # The first records warm both machines up; the tool tells the steady state behind them apart.
    local warm=$((count / 4)) all
    all=$((count + warm))
    run() {
        kafka_client org.apache.kafka.tools.ProducerPerformance --bootstrap-server "$kafka_address" --topic produce \
            --record-size "$size" --throughput -1 --num-records "$all" --warmup-records "$warm" --command-property acks=all \
            "batch.size=$batch" linger.ms=5 buffer.memory=67108864 max.request.size=8388608
    }
    measured "$work/produce.txt" run
    # Its last line is of the steady state: "2000000 records sent, 812345.6 records/sec (793.30 MB/sec), 34.5 ms avg latency, ..."
    local rate
    rate=$(sed -n 's/.* records sent, \([0-9.]*\) records\/sec.*/\1/p' "$work/produce.txt" | tail -1)
    row kafka "$name" "$rate" "$size" "$all" "$broker_s" "$client_s"
    delete_kafka_topic produce
}

# kafka_consume <name> <record bytes> <records>
kafka_consume() {
    local name=$1 size=$2 count=$3 rate
    kafka_topic consume
    kafka_client org.apache.kafka.tools.ProducerPerformance --bootstrap-server "$kafka_address" --topic consume \
        --record-size "$size" --throughput -1 --num-records "$count" --command-property acks=all \
        batch.size=1048576 linger.ms=5 max.request.size=8388608 >/dev/null
    run() {
        kafka_client org.apache.kafka.tools.ConsumerPerformance --bootstrap-server "$kafka_address" --topic consume \
            --num-records "$count" --hide-header --fetch-size 4194304 --group "$1" \
            --command-property fetch.max.bytes=67108864 receive.buffer.bytes=2097152
    }
    run warm >/dev/null
    measured "$work/consume.txt" run measured
    # The last field is records a second while fetching, without the time of joining the group.
    rate=$(tail -1 "$work/consume.txt" | awk -F', ' '{ print $NF }')
    row kafka "$name" "$rate" "$size" "$count" "$broker_s" "$client_s"
    delete_kafka_topic consume
}

kafka_latency() {
    local name settings mode
    for mode in "ack||one record at a time, until its answer" \
        "ack|flush.messages=1|one record at a time, until its answer, flushed before" \
        "read||one record at a time, until its consumer has it"; do
        IFS='|' read -r what settings name <<<"$mode"
        kafka_topic latency ${settings:+"$settings"}
        latency_row kafka "$name" "$(kafka_client scripts/bench-peers/Latency.java "$kafka_address" latency "$what")"
        delete_kafka_topic latency
    done
}
