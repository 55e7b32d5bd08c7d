#!/usr/bin/env bash
# SIGKILL of the gateway with sends in flight, against a healthy replica, a stopped one, and one whose window is closed:
# the device can be deleted, the driver unloaded, and no process hangs, each within a bound.
# kernels: 7.3 6.12
# limit: 300
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b
volume_create v 128M "a b"

load_begin()
{
	fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=64 --rw=randwrite --bs="$1" \
		--size=100m --time_based --runtime=120 >"$work/fio.out" 2>&1 &
	load=$!
	wait_until 40 has_written || fail "no load reaches the device"
}

has_written()
{
	(($(status v "$status_of_volume.write_bytes") > 1 << 20))
}

suspended()
{
	[[ $(state_of v) == suspended ]]
}

# Everything that must hold after a SIGKILL, whatever the replica did.
expect_clean_end()
{
	local what=$1 start=$SECONDS id
	id=${device#/dev/ublkb}
	gateway_kill v
	device_delete "$device" || fail "$what: /dev/ublkb$id cannot be deleted"
	[[ ! -e $device && ! -e /dev/ublkc$id ]] || fail "$what: the device is still there"
	wait_until 30 process_is_gone "$load" || fail "$what: the application hangs though its device is gone"
	wait "$load" 2>/dev/null || true
	wait_until 30 rmmod ublk_drv || fail "$what: ublk_drv cannot be unloaded"
	modprobe ublk_drv
	note "$what: killed, deleted and unloaded in $((SECONDS - start)) s"
}

# A gateway may not notice by itself before it is killed: hence the long deadline.
for mode in $(modes_of_this_kernel); do
	gateway_begin v --mode "$mode" --answer-deadline 300
	load_begin 256k
	expect_clean_end "$mode, healthy replicas"

	gateway_begin v --mode "$mode" --answer-deadline 300
	load_begin 4k
	replica_signal b STOP
	sleep 1
	expect_clean_end "$mode, a stopped replica"
	replica_signal b CONT

	gateway_begin v --mode "$mode" --answer-deadline 300
	load_begin 512k
	replica_signal b STOP
	wait_send_queue_stands b 1 "$mode"
	expect_clean_end "$mode, a closed window"
	replica_signal b CONT
done

# The volume is as usable as before.
gateway_begin v
fio_verify "$device" --bs=64k
gateway_detach v
