#!/usr/bin/env bash
# At depth 128 with every kind of request: not one allocation while serving, at most 32 MiB resident (as the gateway itself counts).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

case $B in */asan | */tsan | */ubsan) skip "allocations and memory of a sanitizer's run say nothing" ;; esac

# Allocations so far: one line a thread, "NAME COUNT".
allocations()
{
	python3 -c '
import struct, sys
data = open(sys.argv[1], "rb").read()
for tid, count, size, name in struct.iter_unpack("<QQQ16s", data):
    if tid:
        print(name.split(b"\0")[0].decode() or tid, count)' "$1"
}

for server in a b; do replica_start "$server"; done
volume_create vol 32m
gateway_wrap=(env "LD_PRELOAD=$B/tests/native/malloc_count.so" "MALLOC_COUNT_FILE=$tmp/gateway.count")
volume_run vol --seconds 3600 --depth 128 --io-bytes 128k --max 128k --hot 1m --meta 10 --seed 14
goes_on vol
sleep 1 # every kind of request has been served
allocations "$tmp/gateway.count" >"$tmp/before"
sleep 2
allocations "$tmp/gateway.count" >"$tmp/after"
cat "$tmp/after"
[[ -s $tmp/after ]] || fail "the counter counted nothing"
cmp "$tmp/before" "$tmp/after" || fail "allocations while serving: $(diff "$tmp/before" "$tmp/after")"
goes_on vol
resident=$(status_value vol .resident_bytes)
anonymous=$(awk '/^RssAnon/ { print $2 * 1024 }' "/proc/${gateway_pid[vol]}/status")
echo "resident $((resident >> 20)) MiB, of it anonymous $((anonymous >> 20)) MiB"
# The request memory belongs to the client here (to the block layer with ublk): shared pages do not count.
((anonymous <= 32 << 20)) || fail "$anonymous bytes of anonymous memory are resident, more than 32 MiB"
load_end vol now
gateway_stop vol
