#!/usr/bin/env bash
# SIGKILL of the gateway under load: the next one on the same memory executes what was submitted, and no answer goes back in time.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
volume_create vol 64m
volume_run vol --seconds 3600 --hot 512k --max 512k --seed 5
for round in 1 2 3; do
	goes_on vol
	end KILL "${gateway_pid[vol]}"
	gateway_start vol
	wait_until 20 "gateway $((round + 1)) serves" state_is vol serving
done
goes_on vol
load_end vol now
grep -q 'gateways=4' "$tmp/load-vol.log" || fail "not four gateways served"
gateway_stop vol
replicas_match vol 1m "a b"
