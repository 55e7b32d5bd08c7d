#!/usr/bin/env bash
# SIGSTOP longer than the deadline: the connection is aborted, the volume waits; after SIGCONT it goes on and nothing is lost.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# told EVENT REPLICA: the gateway's log says so.
told()
{
	grep -q "event=$1 .*replica=$2 " "$tmp/gateway-vol.log"
}

for server in a b; do replica_start "$server"; done
volume_create vol 64m
gateway_options=(--answer-deadline $((1 * SLOW)))
volume_run vol --seconds 3600 --hot 1m --max 512k --seed 4
for server in a b; do
	goes_on vol
	kill -STOP "${replica_pid[$server]}"
	wait_until 10 "the volume is suspended" state_is vol suspended
	kill -CONT "${replica_pid[$server]}"
	wait_until 15 "serving again" state_is vol serving
	wait_until 30 "$server is in sync again" told rejoined "$server"
done
goes_on vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"
