#!/usr/bin/env bash
# Runs Kafka and Thalweg in turn on the same workloads, and prints both side by side.
#
#   scripts/bench-peers.sh                   about six minutes; nothing else should run on the machine
#   RECORDS=200000 scripts/bench-peers.sh    less of everything: to see whether it works
#
# Kafka: one broker in KRaft mode, a heap of 1 GB, driven by its own kafka-producer-perf-test and kafka-consumer-perf-test
# (for latencies by scripts/bench-peers/Latency.java, since theirs are whole milliseconds). Thalweg: one broker, driven by
# `thalweg bench`. Broker and client share the machine's cores; CPU seconds are told for each. Every row is measured after
# a warm-up. The table is left in target/bench-peers/table.md.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/dump-tool/kafka.sh
source scripts/bench-peers/kafka-broker.sh
source scripts/bench-peers/kafka-rows.sh
source scripts/bench-peers/thalweg-rows.sh
source scripts/bench-peers/table.sh

records=${RECORDS:-2000000}
partitions=4

fetch_kafka || { echo "bench-peers: did not run: $missing"; exit 1; }
cargo build --quiet --release --package thalweg

mkdir -p target/bench-peers
work=$(mktemp -d "$PWD/target/bench-peers/run-XXXXXX")
trap 'stop_kafka; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# name | record bytes | records | batch bytes | synced?
workloads=(
    "produce 1 KiB, batches of 1 MiB, no flush|1024|$records|1048576|no"
    "produce 1 KiB, batches of 16 KB, no flush|1024|$((records / 4))|16384|no"
    "produce 100 B, batches of 1 MiB, no flush|100|$((records * 4))|1048576|no"
    "produce 1 KiB, batches of 1 MiB, flushed before the answer|1024|$((records / 2))|1048576|yes"
    "produce 1 KiB, batches of 256 KB, flushed before the answer|1024|$((records / 4))|262144|yes"
)

echo "Kafka $kafka_version"
start_kafka
for workload in "${workloads[@]}"; do
    IFS='|' read -r name size count batch synced <<<"$workload"
    kafka_produce "$name" "$size" "$count" "$batch" "$synced"
done
kafka_consume "consume 1 KiB" 1024 "$records"
kafka_consume "consume 100 B" 100 "$((records * 4))"
kafka_latency
stop_kafka

echo "Thalweg $(target/release/thalweg --version | cut -d' ' -f2)"
for workload in "${workloads[@]}"; do
    IFS='|' read -r name size count batch synced <<<"$workload"
    thalweg_produce "$name" "$size" "$count" "$batch" "$synced"
done
thalweg_consume "consume 1 KiB" 1024 "$records"
thalweg_consume "consume 100 B" 100 "$((records * 4))"
thalweg_latency

write_table >target/bench-peers/table.md
echo
cat target/bench-peers/table.md
