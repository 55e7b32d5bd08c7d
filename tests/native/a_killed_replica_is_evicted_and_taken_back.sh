#!/usr/bin/env bash
# SIGKILL of a replica-server under load: the others go on without it, and it is made equal when it is back, by what was
# written meanwhile and not by all that it holds.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

volume_bytes=$((64 << 20))
for server in a b c; do replica_start "$server"; done
volume_create vol 64m
volume_run vol --seconds 3600 --span 8m --hot 1m --max 512k --seed 3 --fill
wait_until 30 "the volume was filled" served_more_than vol 150
for server in a b c; do
	goes_on vol
	replica_kill "$server"
	wait_until 15 "$server is evicted" told vol evicted "$server"
	goes_on vol
	state_is vol serving || fail "the volume is $(status_value vol .state) with two of three replicas"
	replica_start "$server"
	wait_until 30 "$server is in sync again" told vol rejoined "$server"
	[[ $(event_value vol rejoined "$server" text) =~ ^([0-9]+)\ bytes\ compared,\ ([0-9]+)\ copied,\ ([0-9]+)\ of ]]
	compared=${BASH_REMATCH[1]} copied=${BASH_REMATCH[2]} unseen=${BASH_REMATCH[3]}
	echo "$server: of $volume_bytes bytes $compared were compared and $copied copied, $unseen of them unseen"
	((copied > 0 && unseen <= copied && copied <= compared + unseen && compared + unseen <= 8 << 20)) ||
		fail "$server: compared $compared, copied $copied, unseen $unseen"
	whole vol
done
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b c"
