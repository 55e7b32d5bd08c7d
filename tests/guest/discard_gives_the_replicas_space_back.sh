#!/usr/bin/env bash
# blkdiscard and fstrim punch holes in the replicas' files; what was discarded or zeroed reads as zeros.
# kernels: 7.3 6.12
# limit: 150
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b
volume_create v 64M "a b"

# The most blocks any replica's data file occupies, in KiB.
used_kib()
{
	sync
	for file in $(data_files v 0 a b); do du -k "$file"; done | sort -n | tail -n 1 | cut -f 1
}

for mode in $(modes_of_this_kernel); do
	gateway_begin v --mode "$mode"
	head -c 64M /dev/zero | tr '\0' 'x' | dd of="$device" bs=1M iflag=fullblock oflag=direct status=none
	full=$(used_kib)
	((full > 60000)) || fail "64 MiB written, but the files hold $full KiB"
	blkdiscard --offset 16M --length 32M "$device"
	part=$(used_kib)
	((part < full - 30000)) || fail "32 MiB discarded, and the files still hold $part of $full KiB"
	cmp <(dd if="$device" bs=1M skip=16 count=32 iflag=direct status=none) <(head -c 32M /dev/zero) ||
		fail "discarded blocks do not read as zeros"
	blkdiscard --zeroout --offset 4096 --length 8k "$device"
	cmp <(dd if="$device" bs=4k skip=1 count=2 iflag=direct status=none) <(head -c 8k /dev/zero) ||
		fail "zeroed blocks do not read as zeros"
	blkdiscard "$device"
	none=$(used_kib)
	((none < 4000)) || fail "all discarded, and the files still hold $none KiB"
	gateway_detach v
	replicas_are_identical v 0 a b || fail "the replicas differ after discards in $mode mode"
	note "$mode: $full KiB, after discarding half $part, after all $none"
done
