#!/usr/bin/env bash
# SIGSTOP longer than the deadline: the others and the witness decide, the application waits no longer than the deadline
# (by the gateway's own count), and the replica is made equal when it goes on. Either of the two may be the one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

deadline=$((1 * SLOW))
for server in a b w; do replica_start "$server"; done
volume_create vol 64m
gateway_options=(--answer-deadline "$deadline")
volume_run vol --seconds 3600 --hot 1m --max 512k --seed 4
for server in a b; do
	goes_on vol
	replica_freeze "$server"
	wait_until 15 "$server is evicted" told vol evicted "$server"
	goes_on vol
	state_is vol serving || fail "the volume is $(status_value vol .state) with one replica and the witness"
	pause_ms=$(event_value vol evicted "$server" duration_ms)
	echo "$server: the application waited $pause_ms ms"
	# The deadline, the tick that notices it, and the two rounds of the decision on a machine that does other things too.
	((pause_ms >= deadline * 1000 && pause_ms <= deadline * 1000 + 1000 * SLOW)) || fail "$server was waited for $pause_ms ms"
	replica_thaw "$server"
	wait_until 30 "$server is in sync again" told vol rejoined "$server"
	whole vol
done
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"
