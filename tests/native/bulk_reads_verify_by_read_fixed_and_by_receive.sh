#!/usr/bin/env bash
# Both ways to fill a registered buffer from a socket; the one this kernel lacks is refused with the reason.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
volume_create vol 32m
initial=()
for how in read-fixed recv; do
	gateway_options=(--bulk-min 0 --receive "$how")
	load_start vol --ops 1200 --max 512k --mix 60:30:2:2:2 "${initial[@]}"
	gateway_start vol
	if [[ $how == recv ]] && ! wait_for_service vol; then
		grep -q 'receiving into registered buffers: this kernel cannot' "$tmp/gateway-vol.log" ||
			fail "refused without naming what the kernel lacks"
		echo "this kernel has no RECV into registered buffers: refused, as it must"
		exit 0
	fi
	load_end vol
	gateway_stop vol
	replicas_match vol 1m "a b"
	mv "$tmp/vol.image" "$tmp/before.image"
	initial=(--initial "$tmp/before.image" --seed 2)
done
