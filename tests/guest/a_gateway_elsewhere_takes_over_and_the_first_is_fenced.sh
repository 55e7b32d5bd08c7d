#!/usr/bin/env bash
# A second gateway, as on another host, attaches the volume while the first one is stopped in the middle of its writes:
# it serves what is its own alone; when the first one wakes, none of its writes lands, its application gets errors, its
# device can be taken away, and the replicas are identical.
# kernels: 7.3
# limit: 120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b c
volume_create v 32M "a b c"

has_written()
{
	(($(status v "$status_of_volume.write_bytes") > 4 << 20))
}

failed()
{
	[[ $(state_of v) == failed ]]
}

first=$work/host1 second=$work/host2
on_host "$first"
gateway_begin v
old_device=$device
fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=32 --rw=randwrite --bsrange=4k-512k \
	--blockalign=4k --size=32m --time_based --runtime=600 >"$work/fio.out" 2>&1 &
load=$!
wait_until 40 has_written || fail "no load reaches the device"
kill -STOP "$(pid_of v)"

on_host "$second"
start=$SECONDS
gateway_begin v
note "attached elsewhere as $device after $((SECONDS - start)) s: $(last_event v attached)"
head -c 32M /dev/zero | tr '\0' 'B' >"$work/pattern"
dd if="$work/pattern" of="$device" bs=1M oflag=direct conv=fsync status=none

on_host "$first"
dmesg -n 1 # its lost requests are no news
kill -CONT "$(pid_of v)"
wait_until 60 failed || fail "the first gateway does not notice that it is fenced: it is $(state_of v)"
note "the first one: $(status v "$status_of_volume.reason")"
dmesg -n 4
wait_until 60 process_is_gone "$load" || fail "the first gateway's application hangs"
! wait "$load" || fail "the first gateway's application saw no error"
! dd if="$old_device" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null || fail "a fenced device still reads"
timeout 60 lockstep volume detach v --force || note "the detach of the fenced one says so: $?"
wait_until 30 process_is_gone "$(pid_of v)" || fail "the fenced gateway does not end"
gateway_forget v
[[ ! -b $old_device ]] || fail "$old_device is still there"

on_host "$second"
[[ $(state_of v) == serving ]] || fail "the second gateway is $(state_of v)"
(($(events v evicting) == 0)) || fail "the second gateway lost a replica by the first: $(last_event v evicting)"
dd if="$device" bs=1M iflag=direct status=none | cmp - "$work/pattern" || fail "something of the first gateway landed"
gateway_detach v
replicas_are_identical v 0 a b c || fail "the replicas differ"
