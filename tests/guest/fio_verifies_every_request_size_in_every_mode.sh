#!/usr/bin/env bash
# What is written in requests of 4 KiB to 1 MiB reads back the same: both modes, both block sizes, both data paths,
# both ways of receiving; and the replicas are identical afterwards.
# kernels: 7.3 6.12
# limit: 400
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b c
volume_create small 24M "a b" --block-size 512
volume_create large 24M "a b c" --block-size 4096 --replicas-set a,b --replicas-set c,a --chunk 64K \
	--witness b --witness c

verify()
{
	local volume=$1 first=$2
	shift 2
	gateway_begin "$volume" "$@"
	fio_verify "$device" --bsrange="$first-1m" --blockalign="$first" --size=20m
	note "$volume ($(blockdev --getss "$device")-byte blocks) with '$*': verified"
	gateway_detach "$volume"
}

for mode in $(modes_of_this_kernel); do
	verify small 512 --mode "$mode"
	verify large 4096 --mode "$mode"
done
if [[ $LOCKSTEP_KERNEL != 6.12 ]]; then
	verify small 512 --mode zero-copy --bulk-min 0
	verify large 4096 --mode zero-copy --bulk-min 0 --receive read-fixed
	verify large 4096 --mode zero-copy --zero-copy-send always
fi
replicas_are_identical small 0 a b || fail "the replicas of 'small' differ"
replicas_are_identical large 0 a b || fail "the replicas of set 0 of 'large' differ"
replicas_are_identical large 1 c a || fail "the replicas of set 1 of 'large' differ"
