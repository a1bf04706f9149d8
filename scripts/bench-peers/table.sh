# Gathers what each round came to, and writes the medians side by side. To be sourced.

declare -A rounds_of
names=()

# remember <who> <name> <figures>: adds a round to a row.
remember() {
    local name
    rounds_of["$1 $2"]+="$3"$'\n'
    for name in "${names[@]}"; do
        [ "$name" = "$2" ] && return
    done
    names+=("$2")
}

# throughput_row <who> <name> <record bytes> <records a second> <records> <broker's CPU seconds> <client's>
throughput_row() {
    local figures
    figures=$(awk "BEGIN { gb = $5 * $3 / 1e9; print \"throughput\", $4 * $3 / 1e6, $4 / 1e6, $6 / gb, $7 / gb }")
    remember "$1" "$2" "$figures"
    echo "  $1: $(cell "$figures")"
}

# latency_row <who> <name> <p50> <p99> <p99.9> <records> <broker's CPU seconds> <client's>; times in microseconds
latency_row() {
    local figures
    figures=$(awk "BEGIN { print \"latency\", $3, $4, $5, $7 / $6 * 1e6, $8 / $6 * 1e6 }")
    remember "$1" "$2" "$figures"
    echo "  $1: $(cell "$figures")"
}

# cell <rounds>: the median of each figure, with the range of the first one.
cell() {
    awk '
        function median(column, i, j, swap, sorted) {
            for (i = 1; i <= NR; i++) sorted[i] = value[i, column]
            for (i = 1; i <= NR; i++) for (j = i + 1; j <= NR; j++) if (sorted[j] < sorted[i]) {
                swap = sorted[i]; sorted[i] = sorted[j]; sorted[j] = swap
            }
            low = sorted[1]; high = sorted[NR]
            return (sorted[int((NR + 1) / 2)] + sorted[int(NR / 2) + 1]) / 2
        }
        { kind = $1; for (column = 2; column <= NF; column++) value[NR, column] = $column }
        END {
            first = median(2)
            range = NR > 1 ? sprintf(" (%.0f–%.0f)", low, high) : ""
            if (kind == "throughput")
                printf "%.0f%s MB/s, %.2f M rec/s | %.2f | %.2f s/GB", first, range, median(3), median(4), median(5)
            else
                printf "%.0f%s / %.0f / %.0f µs | %.0f | %.0f µs a record", first, range, median(3), median(4), median(5), median(6)
        }' <<<"$1"
}

write_table() {
    local name
    echo "| workload | Kafka $kafka_version | its broker | its client | Thalweg $thalweg_version | its broker | its client |"
    echo "|---|---|---|---|---|---|---|"
    for name in "${names[@]}"; do
        echo "| $name | $(cell "${rounds_of["kafka $name"]%$'\n'}") | $(cell "${rounds_of["thalweg $name"]%$'\n'}") |"
    done
    echo
    echo "$(nproc) cores, kernel $(uname -r), broker and client together, $rounds rounds in turn: medians, and the range of the first figure;"
    echo "CPU time of the measured part alone; latencies are p50 / p99 / p99.9."
}
