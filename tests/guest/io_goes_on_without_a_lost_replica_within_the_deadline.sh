#!/usr/bin/env bash
# Of three replicas one is killed, stopped, or does not read any more with its window closed: I/O goes on without it
# within the answer deadline, every block verifies, and once it was taken back the replicas are identical.
# kernels: 7.3 6.12
# limit: 200
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b c
volume_create v 64M "a b c"

has_written()
{
	(($(status v "$status_of_volume.write_bytes") > written + (2 << 20)))
}

# load_begin [OPTION]...: until load_end
load_begin()
{
	written=$(status v "$status_of_volume.write_bytes")
	fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --rw=randwrite --time_based \
		--runtime=600 --output-format=json "$@" >"$work/fio.json" 2>"$work/fio.out" &
	load=$!
	wait_until 40 has_written || fail "no load reaches the device"
}

# fio ends with 128 when it was told to; its own count of errors is what decides.
load_end()
{
	local slowest
	! process_is_gone "$load" || fail "$1: the application ended while replicas came and went"
	kill -INT "$load"
	wait_until 60 process_is_gone "$load" || fail "$1: the application hangs"
	wait "$load" || true
	sed -n '/^{/,$p' "$work/fio.json" >"$work/fio.result"
	[[ $(jq '.jobs[0].error' "$work/fio.result") == 0 ]] || { cat "$work/fio.out" && fail "$1: fio --verify"; }
	slowest=$(jq '[.jobs[0].write.clat_ns.max, .jobs[0].read.clat_ns.max] | max / 1000000 | floor' "$work/fio.result")
	note "$1: the application waited $slowest ms at most, by fio"
}

told()
{
	note "$1: $2 evicted after $pause ms: $(in_last text v evicted "$2"); back with $(in_last text v rejoined "$2")"
}

for mode in $(modes_of_this_kernel); do
	gateway_begin v --mode "$mode"
	load_begin --size=8m --bs=16k --iodepth=16 --verify=crc32c --verify_fatal=1 --verify_backlog=64
	lose a KILL
	regain a
	told "$mode, killed" a
	lose b STOP
	regain b
	told "$mode, stopped" b
	load_end "$mode, 16k"

	load_begin --size=64m --bs=512k --iodepth=64
	replica_signal c STOP
	wait_send_queue_stands c 0.3 "$mode"
	wait_evicted c
	load_end "$mode, 512k"
	regain c
	told "$mode, closed window" c
	gateway_detach v
	replicas_are_identical v 0 a b c || fail "$mode: the replicas differ"
	rm -f "$(gateway_log v)"
done
