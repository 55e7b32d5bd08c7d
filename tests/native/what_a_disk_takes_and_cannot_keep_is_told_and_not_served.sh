#!/usr/bin/env bash
# Under the page cache a disk has no space: writes succeed, and fail when they are to become durable. The kernel tells of it
# once, and keeps what it could not write as if it were on the disk. Neither may hide the loss.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

unshare -m true 2>/dev/null || skip "no mount namespaces here"
command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4 (package e2fsprogs)"
# A file system on a loop device on a file that cannot grow: what is written to new blocks of it fails, and only then.
mkdir "$tmp/thin" "$tmp/a"
spawn holder unshare -m sleep 1000
holder=$spawned
in_its_namespace()
{
	nsenter -t "$holder" -m "$@"
}
namespace_is_there()
{
	[[ $(readlink "/proc/$holder/ns/mnt") != $(readlink /proc/self/ns/mnt) ]]
}
wait_until 5 "the mount namespace is there" namespace_is_there
in_its_namespace mount -t tmpfs -o size=24m tmpfs "$tmp/thin"
in_its_namespace truncate -s 64m "$tmp/thin/disk"
in_its_namespace mkfs.ext4 -q -b 4096 -O ^has_journal "$tmp/thin/disk"
in_its_namespace mount -o loop "$tmp/thin/disk" "$tmp/a" 2>"$tmp/mount.err" || skip "no loop device: $(cat "$tmp/mount.err")"
in_its_namespace rmdir "$tmp/a/lost+found"


open_session()
{
	session=$((session + 1))
	talk a "hello data $ids" "expect welcome" "promise 10 7" "expect state" "open 10 $session" "expect opened" "$@"
}

write_back()
{
	in_its_namespace sync -f "$tmp/a" 2>/dev/null || true # the error of an earlier one may be told again
}

disk_is_full()
{
	write_back
	in_its_namespace dd if=/dev/zero of="$tmp/thin/filler" bs=64k 2>/dev/null || true
}

server_failed()
{
	log_has replica-a "event=failed replica=$1"
}

replica_wrap=(nsenter -t "$holder" -m)
replica_start a --io-direct off
session=0
volume_create first 8m
volume_create second 8m

# A server started anew compares and serves what the disk has.
uuids first
open_session "frame flush" "expect reply flush status=ok"
disk_is_full
open_session "frame write" "expect reply write status=ok" "frame flush" "expect reply flush status=EIO"
wait_until 10 "the failure is noted" server_failed first
replica_kill a
in_its_namespace rm "$tmp/thin/filler"
replica_start a --io-direct off
open_session "frame read" "expect reply read length=4096 fill=0"

# The one who is told is a durable write, of another block: what fails is not its space, but what was acknowledged before.
uuids second
open_session "frame flush" "expect reply flush status=ok"
disk_is_full
open_session "frame write" "expect reply write status=ok"
write_back
open_session "frame write offset=1048576 wseq=2 flags=1" "expect reply write status=EIO" "frame flush" "expect reply flush status=EIO"
wait_until 10 "the failure is noted" server_failed second
