#!/usr/bin/env bash
# A server is killed while the disk still has a write of it in its hands. Until that is over no other server may promise
# anything: the write would take effect after the promise.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

unshare -m true 2>/dev/null || skip "no mount namespaces here"
command -v mkfs.ext4 fsfreeze >/dev/null || skip "no mkfs.ext4 or fsfreeze (packages e2fsprogs, util-linux)"
spawn holder unshare -m sleep 1000
holder=$spawned
in_its_namespace()
{
	nsenter -t "$holder" -m "$@"
}
namespace_is_there()
{
	[[ $(readlink "/proc/$holder/ns/mnt") != "$(readlink /proc/self/ns/mnt)" ]]
}
wait_until 5 "the mount namespace is there" namespace_is_there

# A disk on a file of another file system: while that one is frozen, writes to the disk are neither done nor failed.
mkdir "$tmp/below" "$tmp/disk"
truncate -s 100m "$shm_dir/below"
mkfs.ext4 -q "$shm_dir/below"
in_its_namespace mount -o loop "$shm_dir/below" "$tmp/below" 2>"$tmp/mount.err" || skip "no loop device: $(cat "$tmp/mount.err")"
in_its_namespace truncate -s 64m "$tmp/below/disk"
in_its_namespace mkfs.ext4 -q -b 4096 "$tmp/below/disk"
in_its_namespace mount -o loop "$tmp/below/disk" "$tmp/disk"

# The data of the replica, and nothing else of it, are on that disk.
replica_wrap=(nsenter -t "$holder" -m)
replica_start a
volume_create vol 16m
replica_kill a TERM
data=$(replica_dir a vol)/data
in_its_namespace dd if=/dev/zero of="$tmp/disk/data" bs=1M count=16 conv=fsync 2>/dev/null
in_its_namespace mount --bind "$tmp/disk/data" "$data"
replica_start a
is_ready_again()
{
	(($(grep -c 'event=ready' "$tmp/replica-a.log") == 2))
}
wait_until 20 "the server takes signals" is_ready_again
log_has replica-a 'io=direct' || skip "no direct I/O here"
uuids vol
hello=("hello data $ids" "expect welcome")
has_it()
{
	in_its_namespace env LC_ALL=C grep -qa wwwwwwwwwwwwwwww "$tmp/below/disk"
}
# However this ends, nothing may stay frozen: whoever syncs the whole machine would wait for it.
thaw_and_finish()
{
	local code=$?
	set +e
	in_its_namespace fsfreeze -u "$tmp/below" 2>/dev/null
	(exit "$code")
	finish
}
trap thaw_and_finish EXIT
# shellcheck disable=SC2016 # expanded by the inner shell
spawn thaw nsenter -t "$holder" -m bash -c 'sleep 90; fsfreeze -u "$0"' "$tmp/below"
in_its_namespace sync -f "$tmp/disk"
in_its_namespace fsfreeze -f "$tmp/below"
spawn writer "$tools/blockclient" "$(replica_address a)" "${hello[@]}" "promise 10 7" "expect state" "open 10 1" \
	"expect opened" "frame write" "hold 100"
is_under_way()
{
	kill -USR1 "${replica_pid[a]}"
	log_has replica-a 'event=stats .* writes=1 '
}
wait_until 10 "the write is under way" is_under_way
replica_kill a
replica_start a
wait_until 30 "the next server is refused" log_has replica-a 'event=not_started .*still at work'
! has_it || fail "the write was done meanwhile"
in_its_namespace fsfreeze -u "$tmp/below"
replica_start a
talk a "${hello[@]}" "promise 11 7" "expect state" "open 11 1" "expect opened"
has_it || fail "a promise was given before the write of the killed server was over"
