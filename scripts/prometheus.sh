#!/usr/bin/env bash
# Gets Debian's Prometheus, and with it promtool, for the tests of metrics, alerts and dashboard.
#
#   scripts/prometheus.sh                   fails (exit 1) when it cannot be had
#   scripts/prometheus.sh --if-available    says so, and ends with exit 0: those tests then say that they did not run
#
# What is on PATH is used. Else the package is unpacked into target/prometheus, where the tests look next: not
# installed, since an installed package would start a service that nobody asked for.
set -euo pipefail
cd "$(dirname "$0")/.."

absent=1
case "${1:-}" in
    "") ;;
    --if-available) absent=0 ;;
    *) echo "usage: $0 [--if-available]" >&2; exit 2 ;;
esac
did_not() { echo "prometheus: cannot be had: $1"; exit "$absent"; }

if command -v prometheus promtool > /dev/null; then
    echo "prometheus: $(command -v prometheus)"
    exit 0
fi
folder=$PWD/target/prometheus
if [ -x "$folder/usr/bin/prometheus" ] && [ -x "$folder/usr/bin/promtool" ]; then
    echo "prometheus: $folder/usr/bin/prometheus"
    exit 0
fi
command -v apt-get dpkg-deb > /dev/null || did_not "this is no Debian; put prometheus and promtool on PATH"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
if [ "$(id -u)" = 0 ]; then
    echo "prometheus: apt-get update"
    apt-get update -qq > "$work/log" 2>&1 || did_not "apt-get update failed: $(tail -1 "$work/log")"
fi
echo "prometheus: apt-get download prometheus"
(cd "$work" && apt-get download -qq prometheus > log 2>&1) || did_not "apt-get download failed: $(tail -1 "$work/log")"
mkdir -p "$folder"
dpkg-deb --extract "$work"/prometheus_*.deb "$folder" || did_not "the package cannot be unpacked"
"$folder/usr/bin/prometheus" --version > "$work/log" 2>&1 || did_not "it does not run here: $(tail -1 "$work/log")"
echo "prometheus: unpacked into $folder: $(head -1 "$work/log")"
