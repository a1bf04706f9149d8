#!/usr/bin/env bash
# Decoders under libFuzzer, on the stable toolchain: the compiler's coverage passes are reached by their names.
#   scripts/fuzz-guided.sh SECONDS [--if-built]
# What reaches new code is kept in target/guided/corpus; what breaks a decoder, in target/guided/found.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
target=$(rustc --version --verbose | sed -n 's/^host: //p')
binary=fuzz/target/$target/release/thalweg-guided

if [ "${2:-}" = --if-built ]; then
    if [ ! -x "$binary" ]; then
        echo "GUIDED FUZZING DID NOT RUN: build it once with make fuzz-guided" >&2
        exit 0
    fi
else
    command -v c++ >/dev/null || { echo "GUIDED FUZZING DID NOT RUN: libFuzzer wants a C++ compiler" >&2; exit 1; }
    passes="-Cpasses=sancov-module"
    for option in level=4 inline-8bit-counters pc-table trace-compares; do
        passes="$passes -Cllvm-args=-sanitizer-coverage-$option"
    done
    # With a target named, build scripts and macros are built without the passes.
    RUSTFLAGS="$passes --cfg fuzzing" \
        cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target "$target"
fi

mapfile -t decoders < <(NAMES=1 "$binary" 2>/dev/null)
each=$(( seconds / ${#decoders[@]} ))
each=$(( each > 0 ? each : 1 ))
found=$PWD/target/guided/found/
mkdir -p "$found"
for decoder in "${decoders[@]}"; do
    corpus=target/guided/corpus/${decoder//[^a-z]/-}
    DECODER=$decoder SEEDS=$corpus "$binary" 2>/dev/null
    log=$(mktemp)
    if ! DECODER=$decoder "$binary" -max_total_time="$each" -rss_limit_mb=512 -timeout=10 -seed="${SEED:-1}" \
        -artifact_prefix="$found" -print_final_stats=1 "$corpus" >"$log" 2>&1; then
        tail -40 "$log" >&2
        echo "GUIDED $decoder broke; the input is in $found" >&2
        exit 1
    fi
    stat() { sed -n "s/^stat::$1: *//p" "$log"; }
    printf 'GUIDED %-28s %12s executions %8s inputs kept %6s MiB\n' "$decoder" "$(stat number_of_executed_units)" \
        "$(find "$corpus" -type f | wc -l)" "$(stat peak_rss_mb)"
    rm -f "$log"
done
