#!/usr/bin/env bash
# SIGKILL of the gateway under a load that verifies what it wrote: the next gateway takes the device over, the load waits
# meanwhile and sees no error and no stale block. Also with a replica that is stopped, a mounted file system, and again and
# again; a gateway that does not fit the device is refused and changes nothing; and where another host has attached the
# volume meanwhile, nothing is repeated and the device fails. A device that somebody serves is left alone.
# kernels: 7.3 6.12
# limit: 300
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b c
volume_create v 64M "a b c"

has_written()
{
	(($(status v "$status_of_volume.write_bytes") > 2 << 20))
}

has_failed() { [[ $(state_of v) == failed ]]; }

load_ended() { process_is_gone "$load"; }

goes_on() { load_ended || has_written; }

# Reads back after each 32 blocks what it has written. load_begin SECONDS
load_begin()
{
	fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=16 --rw=randwrite --bsrange=4k-256k \
		--blockalign=4k --size=64m --time_based --runtime="$1" --verify=crc32c --verify_backlog=32 --verify_fatal=1 \
		--randrepeat=0 >"$work/fio.out" 2>&1 &
	load=$!
	wait_until 40 has_written || fail "no load reaches the device"
}

load_is_well()
{
	wait_until 120 load_ended || fail "$1: the load hangs"
	wait "$load" || { tail -n 20 "$work/fio.out" && fail "$1: the load saw an error"; }
}

# takeover WHAT [OPTION]...: "again": the load may end just before.
takeover()
{
	local what=$1 before=$device start=$SECONDS
	shift
	gateway_kill v
	[[ $what == *again ]] || ! load_ended || fail "$what: the load had ended before"
	gateway_begin v "$@"
	[[ $device == "$before" ]] || fail "$what: served as $device, was $before"
	wait_until 40 goes_on || fail "$what: the load does not go on"
	note "$what: taken over, and written to again, after $((SECONDS - start)) s"
}

for mode in $(modes_of_this_kernel); do
	gateway_begin v --mode "$mode"
	load_begin 8
	takeover "$mode" --mode "$mode"
	while sleep 1 && ! load_ended; do takeover "$mode, again" --mode "$mode"; done
	load_is_well "$mode"
	gateway_detach v
	replicas_are_identical v 0 a b c || fail "$mode: the replicas differ"
done

# With sends that a stopped replica does not take, which hold the device until their connection is given up.
gateway_begin v
load_begin 12
replica_signal c STOP
sleep 1
takeover "a stopped replica"
replica_signal c CONT
load_is_well "a stopped replica"
gateway_detach v

# A file system notices nothing.
gateway_begin v
mkfs.ext4 -q -F "$device"
mkdir -p "$work/mnt"
mount "$device" "$work/mnt"
head -c 24M /dev/urandom >"$work/data"
cp "$work/data" "$work/mnt/data" &
copy=$!
gateway_kill v
code=0
"$programs/lockstep-gateway" --volume-file "$work/etc/volumes/v.yaml" --run-dir "$run_dir" --queue-depth 64 \
	>"$work/refused" 2>&1 || code=$?
((code == 8)) || fail "with a queue depth that does not fit the device it ended with $code"
grep -q "queue depth .*, which is 64 now" "$work/refused" || fail "the device does not fit, and it says: $(cat "$work/refused")"
gateway_begin v
wait "$copy" || fail "the copy saw an error"
sync -f "$work/mnt"
cmp "$work/data" "$work/mnt/data" || fail "the file is not what was copied"
umount "$work/mnt"
e2fsck -fn "$device" >"$work/fsck.out" 2>&1 || { cat "$work/fsck.out" && fail "the file system is damaged"; }
gateway_detach v
replicas_are_identical v 0 a b c || fail "the replicas differ"

# Another host has it now.
first=$work/host1 second=$work/host2
on_host "$first"
gateway_begin v
left=$device
load_begin 120
gateway_kill v
on_host "$second"
gateway_begin v
dd if=/dev/zero of="$device" bs=1M count=64 oflag=direct conv=fsync status=none
on_host "$first"
dmesg -n 1 # its lost requests are no news
code=0
"$programs/lockstep-gateway" --volume-file "$work/etc/volumes/v.yaml" --run-dir "$run_dir" >>"$(gateway_log v)" 2>&1 || code=$?
note "the first host's next gateway: $code, $(tail -n 1 "$(gateway_log v)")"
((code == 4)) || fail "it ended with $code"
wait_until 30 load_ended || fail "the first host's load hangs"
! wait "$load" || fail "the first host's load saw no error"
dmesg -n 4
[[ ! -b $left ]] || fail "$left is still there"
on_host "$second"
[[ $(state_of v) == serving ]] || fail "the second gateway is $(state_of v)"
cmp -n $((64 << 20)) "$device" /dev/zero || fail "something of the first host was repeated"

# A record that is out of date names a device that somebody serves: that is left alone.
served=$device
cp "$second/v.device" "$second/v.flight" "$first/"
on_host "$first"
gateway_begin v
[[ $device != "$served" ]] || fail "the device that the second host serves was taken over"
on_host "$second"
wait_until 30 has_failed || fail "the second gateway is $(state_of v)"
[[ -b $served ]] || fail "the device that the second host serves is gone"
timeout 60 lockstep volume detach v --force || note "the detach of the fenced one says so: $?"
wait_until 30 process_is_gone "$(pid_of v)" || fail "the fenced gateway does not end"
gateway_forget v
on_host "$first"
gateway_detach v
replicas_are_identical v 0 a b c || fail "the replicas differ"
