# The rows of Thalweg, measured with `thalweg bench`. To be sourced.

# field <name>: of the report in $work/report.json, the first of this name.
field() {
    grep -o "\"$1\":[0-9.e+-]*" "$work/report.json" | head -1 | cut -d: -f2
}

bench() {
    target/release/thalweg bench "$@" --embedded --no-control --data-dir "$work" --output json >"$work/report.json"
    [ "$(field errors)" = 0 ] || { echo "errors in thalweg bench $*:"; cat "$work/report.json"; exit 1; }
}

throughput_row() {
    local name=$1 size=$2 gb
    gb=$(awk "BEGIN { print $(field records) * $size / 1e9 }")
    row thalweg "$name" "$(field records_per_second)" "$size" "$(field records)" \
        "$(awk "BEGIN { print $(field broker_cpu_seconds_per_gb) * $gb }")" \
        "$(awk "BEGIN { print $(field client_cpu_seconds_per_gb) * $gb }")"
}

# thalweg_produce <name> <record bytes> <records> <batch bytes> <synced?>
thalweg_produce() {
    local durability=replicated
    [ "$5" = yes ] && durability=synced
    bench produce --partitions "$partitions" --record-size "$2" --records "$3" --batch-bytes "$4" \
        --durability "$durability" --warm-up 2s
    throughput_row "$1" "$2"
}

# thalweg_consume <name> <record bytes> <records>
thalweg_consume() {
    bench consume --partitions "$partitions" --record-size "$2" --records "$3" --durability replicated
    throughput_row "$1" "$2"
}

thalweg_latency() {
    bench produce --one-at-a-time --partitions 1 --duration 5s --durability replicated
    latency_row thalweg "one record at a time, until its answer" "$(percentiles)"
    bench produce --one-at-a-time --partitions 1 --duration 5s --durability synced
    latency_row thalweg "one record at a time, until its answer, flushed before" "$(percentiles)"
    bench end-to-end --partitions 1 --duration 5s --durability replicated
    latency_row thalweg "one record at a time, until its consumer has it" "$(percentiles)"
}

percentiles() {
    echo "$(field p50) $(field p99) $(field p999)"
}
