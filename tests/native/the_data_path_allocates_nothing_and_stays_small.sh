#!/usr/bin/env bash
# At depth 128 with every kind of request: not one allocation and no lock on a request's path, in gateway and replica-servers; the gateway at most 32 MiB resident.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

case $B in */asan | */tsan | */ubsan) skip "allocations and memory of a sanitizer's run say nothing" ;; esac

# Allocations and locks so far: one line a thread, "NAME ALLOCATIONS LOCKS".
taken()
{
	python3 -c '
import struct, sys
data = open(sys.argv[1], "rb").read()
for tid, count, size, locks, name in struct.iter_unpack("<QQQQ16s", data):
    if tid:
        print(name.split(b"\0")[0].decode() or tid, count, locks)' "$1"
}

taken_by_all()
{
	local name
	for name in a b gateway; do
		taken "$tmp/$name.count" | sed "s/^/$name: /"
	done
}

for server in a b; do
	replica_wrap=(env "LD_PRELOAD=$B/tests/native/malloc_count.so" "MALLOC_COUNT_FILE=$tmp/$server.count")
	replica_start "$server"
done
volume_create vol 32m
gateway_wrap=(env "LD_PRELOAD=$B/tests/native/malloc_count.so" "MALLOC_COUNT_FILE=$tmp/gateway.count")
volume_run vol --seconds 3600 --depth 128 --io-bytes 128k --max 128k --hot 1m --meta 10 --seed 14
goes_on vol
sleep 1 # every kind of request has been served
requests=$(served vol)
taken_by_all >"$tmp/before"
sleep 2
taken_by_all >"$tmp/after"
requests=$(($(served vol) - requests))
(($(grep -c ': data' "$tmp/after") >= 3)) || fail "a data thread was not counted"
paste -d ' ' "$tmp/before" "$tmp/after" |
	awk '{ printf "%s %s: %d allocations, %d locks\n", $1, $2, $7 - $3, $8 - $4 }' >"$tmp/taken"
echo "$requests requests; taken meanwhile:"
cat "$tmp/taken"
! grep -v ' 0 allocations' "$tmp/taken" || fail "allocations while serving"
# The control thread asks for the volume's state a few times a second: its letters have a lock, requests have none.
awk -v most=$((requests / 20)) '$2 ~ /^data/ && $5 > most { exit 1 }' "$tmp/taken" || fail "locks while serving"
goes_on vol
resident=$(status_value vol .resident_bytes)
anonymous=$(awk '/^RssAnon/ { print $2 * 1024 }' "/proc/${gateway_pid[vol]}/status")
echo "resident $((resident >> 20)) MiB, of it anonymous $((anonymous >> 20)) MiB"
# The request memory belongs to the client here (to the block layer with ublk): shared pages do not count.
((anonymous <= 32 << 20)) || fail "$anonymous bytes of anonymous memory are resident, more than 32 MiB"
load_end vol now
gateway_stop vol
