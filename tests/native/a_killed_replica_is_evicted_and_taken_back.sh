#!/usr/bin/env bash
# SIGKILL of a replica-server under load: the others go on without it, and it is made equal when it is back.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# told EVENT REPLICA NTH: the gateway's log says so for the NTH time.
told()
{
	(($(grep -c "event=$1 .*replica=$2 " "$tmp/gateway-vol.log") >= $3))
}

for server in a b c; do replica_start "$server"; done
volume_create vol 64m
volume_run vol --seconds 3600 --hot 1m --max 512k --seed 3
for server in a b c; do
	goes_on vol
	replica_kill "$server"
	wait_until 10 "$server is evicted" told evicted "$server" 1
	goes_on vol
	state_is vol serving || fail "the volume is $(status_value vol .state) with two of three replicas"
	replica_start "$server"
	wait_until 30 "$server is in sync again" told rejoined "$server" 1
done
goes_on vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b c"
