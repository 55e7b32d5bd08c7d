#!/usr/bin/env bash
# Two replicas and a witness: any one of the three may die. When two are gone nothing is acknowledged, and either of them
# that returns makes a majority again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

is_resumed()
{
	state_is vol serving && served_more_than vol "$1"
}

for server in a b w; do replica_start "$server"; done
volume_create vol 32m
volume_run vol --seconds 3600 --span 4m --hot 1m --max 256k --seed 32
for server in a b; do
	replica_kill "$server"
	wait_until 15 "$server is evicted" told vol evicted "$server"
	goes_on vol
	replica_start "$server"
	whole vol
done
# The witness alone is not missed.
replica_kill w
goes_on vol
evictions=$(status_value vol .evictions)
for returning in w b; do
	replica_kill b
	wait_until 15 "suspended with one voter of three" state_is vol suspended
	before=$(served vol)
	(($(status_value vol .evictions) == evictions)) || fail "b was evicted by one voter of three"
	replica_start "$returning"
	wait_until 20 "$returning is back, and I/O goes on" is_resumed "$before"
	[[ $returning == b ]] || replica_start b
	whole vol
	evictions=$(status_value vol .evictions)
	[[ $returning == b ]] || replica_kill w
done
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"
