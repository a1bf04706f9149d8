#!/usr/bin/env bash
# Runs Kafka and Thalweg in turn on the same workloads, and prints both side by side.
#
#   scripts/bench-peers.sh                   about eight minutes; nothing else should run on the machine
#   ROWS='flushed' scripts/bench-peers.sh    the rows whose names match
#   ROUNDS=1 RECORDS=200000 scripts/bench-peers.sh    less of everything: to see whether it works
#
# The same on both sides: record and batch bytes, partitions, acks=all, durability, one client with one connection on the
# broker's cores. Before each round the page cache has taken and given back as many bytes as it needs, and what
# the round before wrote is gone. Kafka: one broker in KRaft mode, a heap of 1 GB, warmed before the first row and idle while
# Thalweg runs; scripts/bench-peers/Workload.java drives it with Kafka's own client. Thalweg: a broker for each round, driven
# by `thalweg bench`. The table is left in target/bench-peers/table.md.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/dump-tool/kafka.sh
source scripts/bench-peers/kafka-broker.sh
source scripts/bench-peers/kafka-rows.sh
source scripts/bench-peers/thalweg-rows.sh
source scripts/bench-peers/table.sh

records=${RECORDS:-2000000}
rounds=${ROUNDS:-3}
partitions=4

fetch_kafka || { echo "bench-peers: did not run: $missing"; exit 1; }
[ -n "${NO_BUILD:-}" ] || cargo build --quiet --release --package thalweg
thalweg_version=$(target/release/thalweg --version | cut -d' ' -f2)

mkdir -p target/bench-peers
work=$(mktemp -d "$PWD/target/bench-peers/run-XXXXXX")
trap 'stop_kafka; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# kind | name | record bytes | records, or records a second | batch bytes | flushed?
workloads=(
    "produce|produce 1 KiB, batches of 1 MiB|1024|$records|1048576|no"
    "produce|produce 1 KiB, batches of 16 KB|1024|$((records / 2))|16384|no"
    "produce|produce 100 B, batches of 1 MiB|100|$((records * 5))|1048576|no"
    "produce|produce 1 KiB, batches of 1 MiB, flushed before the answer|1024|$((records / 2))|1048576|yes"
    "produce|produce 1 KiB, batches of 256 KB, flushed before the answer|1024|$((records / 2))|262144|yes"
    "consume|consume 1 KiB|1024|$records|1048576|no"
    "consume|consume 100 B|100|$((records * 5))|1048576|no"
    "ack|one record at a time, until its answer|1024|0|–|no"
    "ack|one record at a time, until its answer, flushed before|1024|0|–|yes"
    "read|one record at a time, until its consumer has it|1024|0|–|no"
    "rate|20 MB/s of 1 KiB without linger, until the answer|1024|19531|–|no"
)

# What a round finds: memory that was in use a moment ago, and nothing on its way to the disk.
settle() {
    sync -f "$work"
    dd if=/dev/zero of="$work/warm" bs=256K count=$(($1 / 262144)) status=none
    rm "$work/warm"
}

# measure kafka|thalweg, for the workload at hand
measure() {
    case $kind in
        produce | consume)
            settle $((size * count * 3 / 2))
            "$1_throughput" "$kind" "$name" "$size" "$count" "$batch" "$flushed"
            ;;
        *)
            settle $((256 << 20))
            "$1_latency" "$kind" "$name" "$size" "$count" "$flushed"
            ;;
    esac
}

start_kafka
kafka_workload consume "partitions=$partitions" size=1024 "records=$((records / 4))" batch=65536 flushed=no >/dev/null
for workload in "${workloads[@]}"; do
    IFS='|' read -r kind name size count batch flushed <<<"$workload"
    [[ $name =~ ${ROWS:-.} ]] || continue
    echo "$name"
    for _ in $(seq "$rounds"); do
        measure kafka
        measure thalweg
    done
done

write_table >target/bench-peers/table.md
echo
cat target/bench-peers/table.md
