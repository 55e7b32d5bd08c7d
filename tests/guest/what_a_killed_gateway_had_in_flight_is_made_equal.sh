#!/usr/bin/env bash
# SIGKILL of a gateway under load, and attach again: what it had in flight may be on some replicas only, and is made equal
# on all of them; no more than that is copied.
# kernels: 7.3
# limit: 90
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

block=65536 depth=32
replicas_begin a b c
volume_create v 64M "a b c"

has_written()
{
	(($(status v "$status_of_volume.write_bytes") > 6 << 20))
}

gateway_begin v
fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=$depth --rw=randwrite --bs=$block \
	--size=64m --time_based --runtime=120 >"$work/fio.out" 2>&1 &
load=$!
wait_until 40 has_written || fail "no load reaches the device"
gateway_kill v
device_delete "$device"
wait_until 30 process_is_gone "$load" || fail "the application hangs though its device is gone"
wait "$load" 2>/dev/null || true

gateway_begin v
wait_until 60 has_told v 1 reconciled || fail "nothing was reconciled: $(tail -n 3 "$(gateway_log v)")"
copied=$(in_last text v reconciled | sed -E 's/.* ([0-9]+) bytes copied/\1/')
note "in flight at most $((depth * block)) bytes; $(in_last text v reconciled) in $(in_last duration_ms v reconciled) ms"
# A block that differs on two replicas is copied to both.
((copied <= 2 * depth * block)) || fail "$copied bytes were copied"
gateway_detach v
replicas_are_identical v 0 a b c || fail "the replicas differ"
