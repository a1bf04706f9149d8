# Gathers rows, and writes them side by side. To be sourced.

declare -A cells
names=()

remember() {
    local name
    for name in "${names[@]}"; do
        [ "$name" = "$1" ] && return
    done
    names+=("$1")
}

# row <who> <name> <records a second> <record bytes> <records> <broker's CPU seconds> <client's CPU seconds>
row() {
    local who=$1 name=$2 cell
    remember "$name"
    cell=$(awk "BEGIN {
        gb = $5 * $4 / 1e9
        printf \"%.2f M rec/s, %.0f MB/s | %.2f | %.2f\", $3 / 1e6, $3 * $4 / 1e6, $6 / gb, $7 / gb
    }")
    cells["$who $name"]=$cell
    echo "  $name: $cell"
}

# latency_row <who> <name> "<p50> <p99> <p99.9>", in microseconds
latency_row() {
    local who=$1 name=$2 cell
    remember "$name"
    cell=$(awk "BEGIN { split(\"$3\", p, \" \"); printf \"%.0f / %.0f / %.0f us | – | –\", p[1], p[2], p[3] }")
    cells["$who $name"]=$cell
    echo "  $name: $cell"
}

write_table() {
    local name
    echo "| workload | Kafka $kafka_version | broker s/GB | client s/GB | Thalweg | broker s/GB | client s/GB |"
    echo "|---|---|---|---|---|---|---|"
    for name in "${names[@]}"; do
        echo "| $name | ${cells["kafka $name"]} | ${cells["thalweg $name"]} |"
    done
    echo
    echo "$(nproc) cores, kernel $(uname -r), broker and client together; latencies are p50 / p99 / p99.9."
}
