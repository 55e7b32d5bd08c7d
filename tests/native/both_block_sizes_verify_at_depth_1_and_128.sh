#!/usr/bin/env bash
# Blocks of 512 and of 4096 bytes, one request in flight and 128.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
for block in 512 4096; do
	volume_create "v$block" 16m --block-size "$block"
	initial=()
	for depth in 1 128; do
		volume_run "v$block" --ops $(((depth == 1 ? 400 : 3000) / SLOW)) --hot 512k --max 256k --depth "$depth" \
			--io-bytes 256k --seed $((block + depth)) "${initial[@]}"
		load_end "v$block"
		gateway_stop "v$block"
		replicas_match "v$block" 1m "a b"
		mv "$tmp/v$block.image" "$tmp/before.image"
		initial=(--initial "$tmp/before.image")
	done
done
