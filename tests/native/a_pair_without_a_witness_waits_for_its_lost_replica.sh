#!/usr/bin/env bash
# Two replicas and no witness: one alone is no majority, so I/O waits for the other, visibly, and goes on when it is back.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
volume_create vol 32m
volume_run vol --seconds 3600 --hot 1m --max 256k --seed 31
for server in a b; do
	goes_on vol
	replica_kill "$server"
	wait_until 15 "the volume is suspended" state_is vol suspended
	[[ $(status_value vol .waits_for) == *"$server"* ]] || fail "it waits for $(status_value vol .waits_for), not for $server"
	before=$(served vol)
	! told vol evicted "$server" || fail "$server was evicted without a majority"
	replica_start "$server"
	wait_until 15 "serving again" state_is vol serving
	wait_until 20 "the volume goes on" served_more_than vol "$before"
	# Its memory is another: it is out by its own vote, and made equal.
	wait_until 30 "$server is in sync again" told vol rejoined "$server"
	whole vol
done
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"
