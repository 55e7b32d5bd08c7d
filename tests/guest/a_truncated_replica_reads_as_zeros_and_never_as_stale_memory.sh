#!/usr/bin/env bash
# A data file cut while it is served answers with short reads. The rest must read as zeros, every byte of it, direct and
# through the page cache, whatever the request's size: anything else would be the kernel's stale memory.
# kernels: 7.3 6.12
# limit: 200
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

size=$((2 << 20))
replicas_begin a
volume_create v 2M a
data=$(data_files v 0 a)
# Nothing but 0xa5, so that stale memory is told from zeros wherever it comes from.
head -c "$size" /dev/zero | tr '\0' '\245' >"$work/pattern"

# expect_zeros_after CUT OPTION...
expect_zeros_after()
{
	local cut=$1 bs
	shift
	dd if="$work/pattern" of="$device" bs=1M oflag=direct conv=fsync status=none
	truncate -s "$cut" "$data"
	{ head -c "$cut" "$work/pattern" && head -c $((size - cut)) /dev/zero; } >"$work/expected"
	for bs in 4k 64k 1M; do # a small reply, the largest small one, a bulk one
		# Stale pages of the pattern lie around for the kernel to hand out.
		cat "$work/pattern" >/dev/null
		dd if="$device" of="$work/direct" bs="$bs" iflag=direct status=none
		cmp "$work/expected" "$work/direct" || fail "cut at $cut, $*, direct reads of $bs: wrong bytes"
	done
	echo 3 >/proc/sys/vm/drop_caches
	dd if="$device" of="$work/cached" bs=256k status=none
	cmp "$work/expected" "$work/cached" || fail "cut at $cut, $*, through the page cache: wrong bytes"
	# The cut file is whole again for the next round; the device's cache must not hide it.
	truncate -s "$size" "$data"
	blockdev --flushbufs "$device"
}

round()
{
	gateway_begin v "$@"
	for cut in 0 $((4096 * 3)) $(((1 << 20) + 4096 + 512)); do
		expect_zeros_after "$cut" "$@"
	done
	short=$(status v "$status_of_volume.short_reads")
	((short > 0)) || fail "no short read was counted with '$*': the test did not test"
	note "'$*': $short short reads, $(status v "$status_of_volume.zeroed_bytes") bytes zeroed"
	gateway_detach v
}

for mode in $(modes_of_this_kernel); do
	round --mode "$mode"
done
if [[ $LOCKSTEP_KERNEL != 6.12 ]]; then
	round --mode zero-copy --bulk-min 0
	round --mode zero-copy --bulk-min 0 --receive read-fixed
fi
