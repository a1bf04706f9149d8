# Damages copies of one log, each in one way, and demands that the judge complains in the words that fit. To be sourced.

# overwrite <file> <at> <bytes as printf takes them>
overwrite() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# flip <file> <at>: another byte than the one that is there
flip() {
    local found
    found=$(od -An -tu1 -j "$2" -N 1 "$1")
    overwrite "$1" "$2" "\\x$(printf '%02x' $((found ^ 0x55)))"
}

# damaged <what> <judge> <pattern> <command on the folder of the log>
damaged() {
    local what=$1 judge=$2 pattern=$3 copy=$work/damaged/$damages
    damages=$((damages + 1))
    mkdir -p "$copy/logs"
    cp -r "$work/ours/logs/$victim" "$copy/logs/"
    grep "^$victim " "$work/ours/partitions.txt" >"$copy/partitions.txt"
    grep "^$victim " "$work/ours/producers.txt" >"$copy/producers.txt"
    awk -v wanted="== $victim" '/^== / { on = $0 == wanted } on' "$work/ours/expected.txt" >"$copy/expected.txt"
    (cd "$copy/logs/$victim" && "${@:4}")
    verdict=$copy/verdict
    mkdir -p "$verdict"
    : >"$verdict/complaints"
    "$judge" "$copy"
    if grep -qE "$pattern" "$verdict/complaints"; then
        noticed=$((noticed + 1))
    else
        echo "FAILED: $what was not noticed ($pattern); it is in $copy"
    fi
}

# damage_all <work>
damage_all() {
    local first=00000000000000000000 victim damages=0 noticed=0 newest
    victim=$(awk '$2 == "none,idempotent=true,CreateTime,None" { print $1 }' "$1/ours/partitions.txt")
    newest=$(cd "$1/ours/logs/$victim" && ls ./*.snapshot | tail -1)
    damaged "nothing at all" judge_logs '^$' true 2>/dev/null | grep -q 'was not noticed' ||
        { echo "FAILED: the judge complains of an intact copy"; return 1; }
    damages=0 noticed=0
    damaged "a record with another byte" judge_logs 'isvalid: false' flip $first.log 200
    damaged "a batch with another base offset" judge_logs 'is followed by' overwrite $first.log 7 '\x01'
    damaged "a tail of zeros" judge_logs 'Exception' truncate -s +4096 $first.log
    damaged "half a batch at the end" judge_logs 'invalid bytes|Exception' truncate -s -40 $first.log
    damaged "a missing segment" judge_logs 'the writer wrote' rm $first.log
    damaged "an offset entry with another offset" judge_indexes 'Mismatches in' flip $first.index 11
    damaged "an offset entry with another position" judge_indexes 'Mismatches in|Exception' flip $first.index 14
    damaged "half an offset entry" judge_indexes 'Corrupt' truncate -s -3 $first.index
    damaged "a tail of zeros in an index" judge_indexes 'entries: ' truncate -s +800 $first.index
    damaged "a time entry with another time" judge_indexes 'timestamp mismatch' flip $first.timeindex 7
    damaged "a time entry with another offset" judge_indexes 'not found|timestamp mismatch' flip $first.timeindex 11
    damaged "time entries that do not rise" judge_indexes 'out of order' overwrite $first.timeindex 0 '\x7f'
    damaged "a snapshot with another byte" judge_snapshots '[Cc]orrupt' flip "$newest" 20
    damaged "a missing snapshot" judge_snapshots '^snapshot: [<>]' rm "$newest"
    damaged "one epoch too few" judge_checkpoints 'Expected|exit 1' sed -i '$d' leader-epoch-checkpoint
    damaged "another first offset of an epoch" judge_checkpoints '^checkpoint: [<>]' sed -i '$s/$/9/' leader-epoch-checkpoint
    damaged "another topic" judge_checkpoints '^checkpoint: [<>]|Exception' sed -i 's/BwcH/CAgI/' partition.metadata
    echo "damaged copies that were noticed: $noticed of $damages"
    [ "$noticed" = "$damages" ]
}
