#!/usr/bin/env bash
# Fails when zero copy silently falls back. The replicas run outside the guest, behind a network card: there the kernel's
# notifications say how many bytes left without a copy (loopback always copies), and most bulk bytes must.
# kernels: 7.3
# limit: 150
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

[[ ${LOCKSTEP_HOST_REPLICAS-} ]] || skip "no replica-servers outside the guest (LOCKSTEP_HOST_REPLICAS)"
arguments=()
for address in $LOCKSTEP_HOST_REPLICAS; do
	arguments+=(--replica "$address")
done
((${#arguments[@]} != 4)) || arguments+=(--no-witness)
lockstep volume create "zc$$" --size 64M "${arguments[@]}"

# round OPTION...: 64 MiB of bulk writes, verified. Sets zero_copy, copied.
round()
{
	gateway_begin "zc$$" --mode zero-copy "$@"
	fio_verify "$device" --bs=512k --size=64m --iodepth=8
	zero_copy=$(sum_of_legs "zc$$" zero_copy_bytes)
	copied=$(sum_of_legs "zc$$" bulk_copy_bytes)
	direct=$(status "zc$$" "$status_of_volume.direct_read_bytes")
	note "'$*': $((zero_copy >> 20)) MiB left without a copy, $((copied >> 20)) MiB copied;" \
		"$((direct >> 20)) MiB read straight into requests"
	gateway_detach "zc$$"
}

round --zero-copy-send always
((zero_copy > 9 * copied)) || fail "of $((zero_copy + copied)) bulk bytes only $zero_copy left without a copy"
((direct >= 60 << 20)) || fail "only $direct of 64 MiB were received straight into the requests"
round
((zero_copy > 0)) || fail "by itself the gateway never used zero copy, though it works on this card"
# The counter itself is to be believed: where nothing can be zero-copy, it says so.
round --zero-copy-send never
((zero_copy == 0)) || fail "$zero_copy bytes are counted as zero-copy though SEND_ZC was not used"
lockstep volume delete "zc$$" --yes
