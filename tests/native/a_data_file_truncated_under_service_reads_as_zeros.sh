#!/usr/bin/env bash
# Truncated while being served: what is missing reads as zeros on every byte, never as what the memory held before.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

replica_start a
volume_create vol 16m
for boundary in 0 128k; do
	gateway_options=(--bulk-min "$boundary")
	volume_run vol --ops 500 --mix 0:100:0:0:0 --max 512k --seed 12
	load_end vol
	file=$(replica_dir a vol)/data
	truncate -s 5000704 "$file" # in the middle of a block of 4096
	cp "$file" "$tmp/expected.image"
	truncate -s 16m "$tmp/expected.image"
	load_start vol --ops 400 --mix 100:0:0:0:0 --max 512k --initial "$tmp/expected.image"
	gateway_stop vol
	gateway_start vol
	load_end vol
	(($(status_value vol .zeroed_bytes) > 0)) || fail "nothing was filled with zeros"
	gateway_stop vol
	truncate -s 16m "$file"
done
