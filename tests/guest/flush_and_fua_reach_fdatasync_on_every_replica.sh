#!/usr/bin/env bash
# An application's fsync and O_DSYNC writes end in fdatasync of every replica's data file, counted in the kernel by
# ext4's own tracepoint; plain writes do not.
# kernels: 7.3 6.12
# limit: 150
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

tracing=/sys/kernel/tracing
event=$tracing/events/ext4/ext4_sync_file_enter
[[ -d $event ]] || skip "this kernel has no tracepoint ext4_sync_file_enter"
[[ $(stat -f -c %T "$work") == ext2/ext3 ]] || skip "the scratch disk is not ext4"

replicas_begin a b
volume_create v 64M "a b"
# Background durability must not be counted for an application's flush.
gateway_begin v --sync-interval 3600000
inodes=$(for file in $(data_files v 0 a b); do stat -c %i "$file"; done)

begin_trace()
{
	: >$tracing/trace
	echo 1 >"$event/enable"
}

# syncs INODE: how often that file was synced since begin_trace.
syncs()
{
	grep -cE "ext4_sync_file_enter:.* ino $1 " $tracing/trace || true
}

expect_syncs()
{
	local least=$1 most=$2 what=$3 inode count
	echo 0 >"$event/enable"
	for inode in $inodes; do
		count=$(syncs "$inode")
		note "$what: data file with inode $inode was synced $count times"
		((count >= least && count <= most)) || fail "$what: $count syncs, expected $least to $most"
	done
}

begin_trace
dd if=/dev/zero of="$device" bs=4k count=64 oflag=direct status=none
expect_syncs 0 1 "64 plain writes" # dd closes the device, which may flush once

begin_trace
fio --name=flush --filename="$device" --ioengine=psync --direct=1 --rw=write --bs=4k --size=80k --fsync=1 \
	--minimal >/dev/null
expect_syncs 19 80 "20 writes, each with fsync"

begin_trace
dd if=/dev/zero of="$device" bs=4k count=20 oflag=direct,dsync status=none
expect_syncs 20 80 "20 FUA writes of 4 KiB"

begin_trace
dd if=/dev/zero of="$device" bs=256k count=20 oflag=direct,dsync status=none
expect_syncs 20 80 "20 FUA writes of 256 KiB"
gateway_detach v
