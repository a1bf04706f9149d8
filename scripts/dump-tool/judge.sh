# What Kafka says of logs that we wrote, compared with what the writer says it wrote. To be sourced.
#
# A folder <ours> is as the example `write_segments` leaves it. Each judge writes what Kafka said into the folder
# <verdict>, and every complaint, of whatever kind, into <verdict>/complaints: an empty file is a pass.

complain() { sed "s|^|$1: |" >>"$verdict/complaints"; }

# dump <name> <files> <options>: what the tool says of files, into <verdict>/<name>.out; complaints are judged.
dump() {
    local name=$1 files=$2 status=0
    shift 2
    kafka org.apache.kafka.tools.DumpLogSegments --files "$files" "$@" \
        >"$verdict/$name.out" 2>"$verdict/$name.err" || status=$?
    [ "$status" = 0 ] || echo "exit $status" | complain "$name"
    # Whatever is on standard error is a complaint, but two: the tool expects each *file* to begin at offset 0, and
    # records without a gap, which compaction takes.
    awk -v compacted="$compacted" '
        compacted != "" && file ~ compacted && / is followed by / { next }
        /^Non-consecutive offsets in / { file = $0; n = split($0, part, "/"); base = part[n]; sub(/\.log$/, "", base); next }
        file != "" && $0 == "  -1 is followed by " (base + 0) && base + 0 > 0 { next }
        { if (file != "") print file; file = ""; print }
    ' "$verdict/$name.err" | complain "$name"
    # Payloads may say what they like; they stand on lines that begin with a bar.
    { grep -v '^|' "$verdict/$name.out" || true; } |
        { grep -E 'isvalid: false|invalid bytes|[Cc]orrupt|Exception|[Mm]ismatch|not found|out of order|Ignoring' || true; } |
        complain "$name"
}

# files <ours> <suffix>: in the order of partitions.txt, then of offsets, with commas between them.
files() {
    local folder
    while read -r folder _; do
        find "$1/logs/$folder" -name "*.$2" | sort
    done <"$1/partitions.txt" | paste -sd,
}

# differences <name> <expected> <found>
differences() {
    [ -s "$2" ] || echo "nothing was expected" | complain "$1"
    diff "$2" "$3" | head -20 | complain "$1" || true
}

# Every batch and record, as the writer remembers them.
judge_logs() {
    dump log "$(files "$1" log)" --deep-iteration --print-data-log
    awk '
        /^Dumping / { n = split($2, part, "/"); if (part[n-1] != last) { last = part[n-1]; print "== " last }; next }
        /^Log starting offset: / { next }
        /^baseOffset: / { sub(/ position: [0-9]+/, ""); sub(/ size: [0-9]+/, ""); sub(/ crc: [0-9]+/, "") }
        { print }
    ' "$verdict/log.out" >"$verdict/log.found"
    differences log "$1/expected.txt" "$verdict/log.found"
    batches=$(grep -c '^baseOffset: ' "$verdict/log.out" || true)
    records=$(grep -c '^| offset: ' "$verdict/log.out" || true)
    local told
    told=$(awk '{ batches += $3; records += $4 } END { print batches, records }' "$1/partitions.txt")
    [ "$told" = "$batches $records" ] || echo "the writer wrote $told, the tool saw $batches $records" | complain log
}

# Kafka's check at its start, the check of each entry against the log, and that no entry was passed over.
judge_indexes() {
    local both
    both=$(files "$1" index),$(files "$1" timeindex)
    dump sanity "$both" --index-sanity-check
    dump verify "$both" --verify-index-only
    dump entries "$both"
    offset_entries=$(grep -c '^offset: .* position: ' "$verdict/entries.out" || true)
    time_entries=$(grep -c '^timestamp: .* offset: ' "$verdict/entries.out" || true)
    local offset_bytes time_bytes
    offset_bytes=$(find "$1/logs" -name '*.index' -printf '%s\n' | awk '{ n += $1 } END { print n }')
    time_bytes=$(find "$1/logs" -name '*.timeindex' -printf '%s\n' | awk '{ n += $1 } END { print n }')
    if [ "$offset_entries $time_entries" != "$((offset_bytes / 8)) $((time_bytes / 12))" ] || [ "$offset_entries" = 0 ]; then
        echo "files of $offset_bytes and $time_bytes bytes, entries: $offset_entries and $time_entries" | complain entries
    fi
}

# The newest snapshot names the last batch of each producer.
judge_snapshots() {
    dump snapshot "$(files "$1" snapshot)"
    awk '
        function flush(  i) { for (i = 1; i <= count; i++) rows[++total] = newest[order[i]] }
        /^Dumping / {
            n = split($2, part, "/")
            if (part[n-1] != folder) { flush(); folder = part[n-1] }
            count = 0; delete newest; next
        }
        /^producerId: / {
            if (!($2 in newest)) order[++count] = $2
            newest[$2] = folder " " $1 " " $2 " " $3 " " $4 " " $11 " " $12 " " $13 " " $14 " " $15 " " $16
        }
        END { flush(); for (i = 1; i <= total; i++) print rows[i] }
    ' "$verdict/snapshot.out" | sort >"$verdict/snapshot.found"
    sort "$1/producers.txt" >"$verdict/snapshot.expected"
    differences snapshot "$verdict/snapshot.expected" "$verdict/snapshot.found"
}

# The dump tool ignores these two files; the classes by which Kafka's broker reads them do not.
judge_checkpoints() {
    local folder folders=()
    while read -r folder _; do folders+=("$1/logs/$folder"); done <"$1/partitions.txt"
    kafka scripts/dump-tool/ReadCheckpoints.java "${folders[@]}" \
        >"$verdict/checkpoint.out" 2>"$verdict/checkpoint.err" || echo "exit $?" | complain checkpoint
    complain checkpoint <"$verdict/checkpoint.err"
    awk '
        /^== / { if (line != "") print line; line = $2 " 0 BwcHBwcHBwcHBwcHBwcHBw"; epoch = ""; next }
        /^baseOffset: / { for (i = 1; i < NF; i++) if ($i == "partitionLeaderEpoch:" && $(i+1) != epoch) { epoch = $(i+1); line = line " " epoch "@" $2 } }
        END { print line }
    ' "$1/expected.txt" >"$verdict/checkpoint.expected"
    differences checkpoint "$verdict/checkpoint.expected" "$verdict/checkpoint.out"
}

# judge_all <ours> <verdict>
judge_all() {
    verdict=$2
    mkdir -p "$verdict"
    : >"$verdict/complaints"
    compacted=$(awk '/,Compacted / { print "/" $1 "/" }' "$1/partitions.txt" | paste -sd'|')
    judge_logs "$1"
    judge_indexes "$1"
    judge_snapshots "$1"
    judge_checkpoints "$1"
    {
        echo "Kafka read what we wrote: $(wc -l <"$1/partitions.txt") logs," \
            "$(find "$1/logs" -name '*.log' | wc -l) segments, $batches batches, $records records," \
            "$offset_entries offset and $time_entries time index entries," \
            "$(find "$1/logs" -name '*.snapshot' | wc -l) producer snapshots; no complaint, no difference"
        sed -n 's/.* compresscodec: \([a-z0-9]*\) .*/\1/p' "$verdict/log.out" | sort | uniq -c |
            awk '{ printf "%s%s %s", (NR > 1 ? ", " : "batches by codec: "), $2, $1 } END { print "" }'
    } >"$verdict/figures"
}
