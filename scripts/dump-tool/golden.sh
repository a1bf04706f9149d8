#!/usr/bin/env bash
# Writes broker/storage/tests/golden/kafka anew: has a real Kafka broker write segments, and copies them.
# Only for another release of Kafka: docs/kafka-dump-tool.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/dump-tool/kafka.sh
fetch_kafka || { echo "golden segments: not written: $missing"; exit 1; }

work=$(mktemp -d "$PWD/target/dump-tool/golden-XXXXXX")
KAFKA_LOG_LEVEL=error kafka scripts/dump-tool/WriteSegments.java "$work" >"$work/out.txt" 2>"$work/err.txt" ||
    { echo "Kafka failed, see $work"; exit 1; }
golden=broker/storage/tests/golden/kafka
rm -rf "$golden"
mkdir -p "$golden"
for topic in none gzip snappy lz4 zstd log-append-time transactions; do
    cp -r "$work/logs/$topic-0" "$golden/"
done
echo "$kafka_version" >"$golden/VERSION"
rm -rf "$work"
echo "golden segments of Kafka $kafka_version: $(find "$golden" -type f | wc -l) files, $(du -sb "$golden" | cut -f1) bytes"
