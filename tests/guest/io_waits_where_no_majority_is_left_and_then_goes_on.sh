#!/usr/bin/env bash
# Of two replicas, with nobody else to vote, one is killed: I/O waits, by name, without an error; when it is back
# everything goes on, every block verifies and the replicas are identical.
# kernels: 7.3
# limit: 120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b
volume_create v 24M "a b"

suspended()
{
	[[ $(state_of v) == suspended ]]
}

has_written()
{
	(($(status v "$status_of_volume.write_bytes") > 4 << 20))
}

gateway_begin v
fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=16 --rw=randwrite --bsrange=4k-256k \
	--blockalign=4k --size=24m --io_size=400m --verify=crc32c --verify_fatal=1 --minimal >"$work/fio.out" 2>&1 &
load=$!
wait_until 40 has_written || fail "no load reaches the device"
replica_signal b KILL
wait_until 30 suspended || fail "the volume does not notice"
waits_for=$(status v "$status_of_volume.waits_for")
[[ $waits_for == *b* ]] || fail "the status does not name the replica, it says '$waits_for'"
! process_is_gone "$load" || fail "the application ended while its volume was suspended"
note "suspended, waits for $waits_for: $(in_last text v suspended)"
replica_start b "${replica_port[b]}"
wait_until 60 has_told v 1 resumed || fail "the volume does not go on after b is back"
note "resumed after $(in_last duration_ms v resumed) ms," \
	"$(status v "$status_of_volume.resent_writes") writes sent again"
wait_until 120 process_is_gone "$load" || fail "the application hangs"
wait "$load" || { tail -n 5 "$work/fio.out" && fail "fio --verify"; }
wait_until 60 has_told v 1 rejoined b || fail "b is not made equal"
note "b is back with $(in_last text v rejoined b)"
gateway_detach v
replicas_are_identical v 0 a b || fail "the replicas differ"
