#!/usr/bin/env bash
# SIGKILL of a replica-server under load: I/O waits, status says for whom, and it goes on when the server is back.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

suspended_for()
{
	[[ $(status_value vol .waits_for 2>/dev/null) == *"$1"* ]]
}

for server in a b c; do replica_start "$server"; done
volume_create vol 64m
volume_run vol --seconds 3600 --hot 1m --max 512k --seed 3
for server in a b c; do
	goes_on vol
	replica_kill "$server"
	wait_until 10 "status says suspended" state_is vol suspended
	wait_until 5 "status names $server" suspended_for "$server"
	lockstep status vol >"$tmp/status.log" 2>&1 || true
	grep -q "waiting for.*$server" "$tmp/status.log" || fail "'lockstep status' does not say whom it waits for: $(cat "$tmp/status.log")"
	replica_start "$server"
	wait_until 15 "serving again" state_is vol serving
done
goes_on vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b c"
