#!/usr/bin/env bash
# ext4 and xfs on a volume: a tree copied, unmounted and mounted again has the same checksums, the file
# system's own checker finds nothing, and the replicas are identical.
# kernels: 7.3 6.12
# limit: 300
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b
volume_create v 320M "a b"
mkdir -p "$work/mnt"
tree=$LOCKSTEP_RESULTS/tree # packed by tests/run

# round FILESYSTEM CHECKER...: with $mode
round()
{
	local filesystem=$1
	shift
	gateway_begin v --mode "$mode"
	"mkfs.$filesystem" -q "$([[ $filesystem == xfs ]] && echo -f || echo -F)" "$device"
	mount -t "$filesystem" "$device" "$work/mnt"
	tar -C "$work/mnt" -xf "$tree.tar"
	sync -f "$work/mnt"
	umount "$work/mnt"
	echo 3 >/proc/sys/vm/drop_caches
	mount -t "$filesystem" "$device" "$work/mnt"
	(cd "$work/mnt" && md5sum --quiet -c "$tree.md5") || fail "$filesystem in $mode mode: files differ"
	umount "$work/mnt"
	"$@" "$device" >"$work/check" 2>&1 || { cat "$work/check" && fail "$* finds faults"; }
	gateway_detach v
	replicas_are_identical v 0 a b || fail "$filesystem in $mode mode: the replicas differ"
	note "$filesystem in $mode mode: $(wc -l <"$tree.md5") files equal, replicas identical"
}

# A file system does not know the mode, nor the mode the file system: each pair once is enough.
read -r mode _ < <(modes_of_this_kernel)
round ext4 e2fsck -fn
mode=copy
round xfs xfs_repair -n
