#!/usr/bin/env bash
# The boundary decides how bytes travel and nothing else: 0 (all zero-copy), 4 KiB, the default and the largest.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
volume_create vol 32m
initial=()
for boundary in 0 4k 64k 128k; do
	gateway_options=(--bulk-min "$boundary")
	volume_run vol --ops $((1500 / SLOW)) --hot 1m --max 300k --meta 10 --seed $((${#boundary} * 31 + ${boundary%k})) "${initial[@]}"
	load_end vol
	gateway_stop vol
	replicas_match vol 1m "a b"
	mv "$tmp/vol.image" "$tmp/before.image"
	initial=(--initial "$tmp/before.image")
done
