# The rows of Thalweg, measured with `thalweg bench`. To be sourced.

# field <name>: of the report in $work/report.json, the first of this name.
field() {
    grep -o "\"$1\":[0-9.e+-]*" "$work/report.json" | head -1 | cut -d: -f2
}

bench() {
    target/release/thalweg bench "$@" --embedded --no-control --data-dir "$work" --output json >"$work/report.json"
    [ "$(field errors)" = 0 ] || { echo "errors in thalweg bench $*:"; cat "$work/report.json"; exit 1; }
}

durability() {
    if [ "$1" = yes ]; then echo synced; else echo replicated; fi
}

# cpu_seconds broker|client <record bytes>: of the measured part.
cpu_seconds() {
    awk "BEGIN { print $(field "$1_cpu_seconds_per_gb") * $(field records) * $2 / 1e9 }"
}

# thalweg_throughput produce|consume <name> <record bytes> <records> <batch bytes> <synced?>
thalweg_throughput() {
    local warm=()
    # A reader warms up by reading a tenth before.
    [ "$1" = produce ] && warm=(--warm-up 1s)
    bench "$1" --partitions "$partitions" --record-size "$3" --records "$4" --batch-bytes "$5" \
        --durability "$(durability "$6")" "${warm[@]}"
    throughput_row thalweg "$2" "$3" "$(field records_per_second)" "$(field records)" \
        "$(cpu_seconds broker "$3")" "$(cpu_seconds client "$3")"
}

# thalweg_latency ack|read|rate <name> <record bytes> <records a second> <synced?>
thalweg_latency() {
    local workload
    case $1 in
        ack) workload=(produce --one-at-a-time) ;;
        read) workload=(end-to-end) ;;
        rate) workload=(produce --rate "$4" --linger 0ms) ;;
    esac
    bench "${workload[@]}" --partitions 1 --record-size "$3" --warm-up 2s --duration 5s --durability "$(durability "$5")"
    latency_row thalweg "$2" "$(field p50)" "$(field p99)" "$(field p999)" "$(field records)" \
        "$(cpu_seconds broker "$3")" "$(cpu_seconds client "$3")"
}
