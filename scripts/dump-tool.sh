#!/usr/bin/env bash
# Has Kafka's own dump tool read logs that our storage wrote, and our storage read segments that Kafka wrote.
#
#   scripts/dump-tool.sh                   fails (exit 1) when there is no Java or Maven, or nothing can be fetched
#   scripts/dump-tool.sh --if-available    says so, and ends with exit 0
#
# Kafka's jars are fetched once into target/dump-tool; KAFKA_VERSION chooses another release than the pom does.
# docs/kafka-dump-tool.md says what is checked, and what it found.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/dump-tool/kafka.sh
source scripts/dump-tool/judge.sh

absent=1
case "${1:-}" in
    "") ;;
    --if-available) absent=0 ;;
    *) echo "usage: $0 [--if-available]" >&2; exit 2 ;;
esac
fetch_kafka || { echo "dump tool: did not run: $missing"; exit "$absent"; }

work=$(mktemp -d "$PWD/target/dump-tool/run-XXXXXX")
failed=0

echo "dump tool of Kafka $kafka_version, $(java -version 2>&1 | head -1)"
cargo run --quiet --package thalweg-storage --example write_segments -- "$work/ours"
judge_all "$work/ours" "$work/verdict"
if [ -s "$work/verdict/complaints" ]; then
    failed=1
    echo "FAILED: Kafka complains of what we wrote:"
    head -40 "$work/verdict/complaints"
else
    cat "$work/verdict/figures"
fi

# The same judge must see damage, or its silence says nothing.
source scripts/dump-tool/damage.sh
damage_all "$work" || failed=1

# The other direction, and our own tool as a second judge of both.
cargo test --quiet --package thalweg-storage --test kafka_segments || failed=1
cargo build --quiet --package thalweg
golden=broker/storage/tests/golden/kafka
for logs in "$work/ours/logs" "$golden"/*-0; do
    target/debug/thalweg log verify "$logs" >"$work/verify.txt" || { failed=1; echo "FAILED:"; cat "$work/verify.txt"; }
done
records=$(target/debug/thalweg log dump --records --output json "$golden"/*-0 | grep -c '"kind":"record"' || true)
# Seven topics of 60 records, and six markers of transactions.
if [ "$records" = 426 ]; then
    echo "thalweg log dump reads what Kafka $(cat "$golden/VERSION") wrote: $records records"
else
    failed=1
    echo "FAILED: thalweg log dump finds $records records in what Kafka wrote, not 426"
fi

if [ "$failed" = 0 ]; then
    rm -rf "$work"
    echo "dump tool: passed"
else
    echo "dump tool: FAILED; everything is in $work"
fi
exit "$failed"
