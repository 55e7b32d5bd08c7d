#!/usr/bin/env bash
# A replica that is killed, or stopped past the answer deadline, makes I/O wait, by name; when it is back everything goes
# on, every block verifies and the replicas are identical.
# kernels: 7.3 6.12
# limit: 240
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b
volume_create v 96M "a b"

suspended()
{
	[[ $(state_of v) == suspended ]]
}

has_written()
{
	(($(status v "$status_of_volume.write_bytes") > 4 << 20))
}

load_begin()
{
	fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=32 --rw=randwrite --bsrange=4k-512k \
		--blockalign=4k --size=90m --io_size=400m --verify=crc32c --verify_fatal=1 --minimal >"$work/fio.out" 2>&1 &
	load=$!
	wait_until 40 has_written || fail "no load reaches the device"
}

load_end()
{
	wait_until 150 process_is_gone "$load" || fail "the application hangs"
	wait "$load" || { tail -n 5 "$work/fio.out" && fail "fio --verify after $1"; }
}

lose_and_regain()
{
	local how=$1
	wait_until 30 suspended || fail "$how: the volume does not notice"
	[[ $(status v "$status_of_volume.waits_for") == *b* ]] || fail "$how: the status does not name the replica"
	note "$how: $(status v "$status_of_volume.waits_for")"
	! process_is_gone "$load" || fail "$how: the application ended while its replica was away"
}

for mode in $(modes_of_this_kernel); do
	gateway_begin v --mode "$mode"
	load_begin
	replica_signal b KILL
	lose_and_regain "$mode, SIGKILL"
	replica_start b "${replica_port[b]}"
	wait_until 40 gateway_serves v || fail "$mode: not serving again after b was started again"
	replica_signal b STOP
	lose_and_regain "$mode, SIGSTOP"
	replica_signal b CONT
	load_end "$mode"
	note "$mode: $(status v "$status_of_volume.resent_writes") writes sent again," \
		"$(status v "$status_of_volume.reissued_reads") reads asked again"
	gateway_detach v
	replicas_are_identical v 0 a b || fail "$mode: the replicas differ"
done
