#!/usr/bin/env bash
# What a start, a stop, a kill and many partitions cost, of the release build; about four minutes.
#
#   scripts/bench-starts.sh                     everything
#   scripts/bench-starts.sh idle many restart   only these parts
#   PARTITIONS=1000 GB=1 scripts/bench-starts.sh     less of everything
#
# Times run from the start of the process until /readyz says yes, asked every few milliseconds. A kill is SIGKILL; the page
# cache survives it, so what is read at the next start comes from memory. Takes GB x 1.2 of disk in target/bench-starts.
set -euo pipefail
cd "$(dirname "$0")/.."

partitions=${PARTITIONS:-10000}
gigabytes=${GB:-5}
topic_partitions=$((partitions < 1000 ? partitions : 1000))
thalweg=target/release/thalweg
port=$((20000 + RANDOM % 20000)) http=$((40000 + RANDOM % 20000))
pid=

[ -n "${NO_BUILD:-}" ] || cargo build --quiet --release --package thalweg
mkdir -p target/bench-starts
work=$(mktemp -d "$PWD/target/bench-starts/run-XXXXXX")
trap 'end_broker KILL; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export THALWEG_BROKER=127.0.0.1:$port

seconds() { awk "BEGIN { printf \"%.3f\", ($(date +%s%N) - $1) / 1e9 }"; }

# is_ready: asks /readyz.
is_ready() {
    local line
    {
        exec 3<>"/dev/tcp/127.0.0.1/$http" && printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3 && read -r line <&3 && exec 3>&-
    } 2>/dev/null && [[ $line == *" 200 "* ]]
}

# start_broker: sets pid, and took, the seconds until it was ready.
start_broker() {
    local began
    began=$(date +%s%N)
    "$thalweg" serve --data-dir "$work/data" --listen "127.0.0.1:$port" --http "127.0.0.1:$http" >>"$work/log.txt" 2>&1 &
    pid=$!
    until is_ready; do
        kill -0 "$pid" 2>/dev/null || { echo "the broker ended:"; tail -5 "$work/log.txt"; exit 1; }
        sleep 0.003
    done
    took=$(seconds "$began")
}

# end_broker TERM|KILL: sets took, the seconds until the process was gone.
end_broker() {
    local began
    began=$(date +%s%N)
    [ -n "$pid" ] || return 0
    kill "-$1" "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
    took=$(seconds "$began")
}

# again TERM|KILL <what>: ends the broker, starts it, and says how long both took.
again() {
    local stopped
    end_broker "$1"
    stopped=$took
    start_broker
    echo "  $2: ready after $took s (gone after $stopped s)"
}

ticks() {
    local stat fields
    stat=$(cat "/proc/$pid/stat")
    read -r -a fields <<<"${stat##*) }"
    echo $((fields[11] + fields[12]))
}

# standing <when>: memory, descriptors, maps, disk.
standing() {
    local resident anonymous
    resident=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$pid/status")
    anonymous=$(awk '/^RssAnon/ { print int($2 / 1024) }' "/proc/$pid/status")
    echo "  $1: $resident MiB resident, $anonymous of them anonymous; $(find "/proc/$pid/fd" | wc -l) descriptors," \
        "$(wc -l <"/proc/$pid/maps") maps; $(du -sm "$work/data" | cut -f1) MiB on disk"
}

quiet() {
    local before
    before=$(ticks)
    sleep 10
    echo "  quiet for 10 s: $(($(ticks) - before)) hundredths of a second of CPU"
}

# load <topic> <partitions> <options>
load() {
    local topic=$1 count=$2
    shift 2
    "$thalweg" bench produce --broker "$THALWEG_BROKER" --no-control --topic "$topic" --partitions "$count" --warm-up 100ms \
        --output json "$@" | grep -o '"records_per_second":[0-9.]*\|"p50":[0-9.]*\|"p99":[0-9.]*' | head -3 | tr '\n' ' '
    echo
}

fresh() {
    end_broker KILL
    rm -rf "$work/data"
    start_broker
}

idle() {
    echo "idle broker, no topics"
    fresh
    echo "  first start: ready after $took s"
    standing "then"
    quiet
    "$thalweg" topic create first -p 1 >/dev/null
    again TERM "clean stop"
    local began
    end_broker TERM
    began=$(date +%s%N)
    start_broker
    echo one | "$thalweg" produce first >/dev/null 2>&1
    echo "  first record acknowledged $(seconds "$began") s after the start of the broker, its client's start included"
}

many() {
    local topic began
    local paced=(--rate 19531 --linger 0ms --duration 4s)
    echo "$partitions partitions"
    fresh
    "$thalweg" topic create one -p 1 -c durability=replicated >/dev/null
    echo "  20 MB/s to one partition, of one: $(load one 1 "${paced[@]}")"
    began=$(date +%s%N)
    for topic in $(seq $((partitions / topic_partitions))); do
        "$thalweg" topic create "t$topic" -p "$topic_partitions" -c durability=replicated >/dev/null
    done
    echo "  made in $(seconds "$began") s, $topic_partitions at a time"
    standing "then"
    quiet
    echo "  20 MB/s to one partition, of all: $(load one 1 "${paced[@]}")"
    echo "  20 MB/s over $topic_partitions of them: $(load t1 "$topic_partitions" "${paced[@]}" --spread record)"
    again TERM "clean stop"
    again KILL "kill, nothing new"
    for topic in $(seq $((partitions / topic_partitions))); do
        load "t$topic" "$topic_partitions" --records 100000 --record-size 256 --spread record >/dev/null
    done
    standing "all written to"
    again KILL "kill"
    again TERM "clean stop"
    again TERM "clean stop, nothing new"
    standing "then"
}

restart() {
    local durability writer records=$((gigabytes * 1000000000 / 1130))
    for durability in synced replicated; do
        echo "$gigabytes GB in 100 partitions, $durability"
        fresh
        "$thalweg" topic create r -p 100 -c "durability=$durability" >/dev/null
        echo "  written: $(load r 100 --records "$records")"
        again KILL "kill at once"
        load r 100 --duration 6s --timeout 1s >"$work/load.txt" 2>&1 &
        writer=$!
        sleep 3
        again KILL "kill under load"
        wait "$writer" || true
        again TERM "clean stop"
        again KILL "kill, nothing new"
    done
}

for part in "${@:-idle many restart}"; do
    for each in $part; do "$each"; done
done
echo "$(nproc) cores, kernel $(uname -r), load $(cut -d' ' -f1 /proc/loadavg)"
