#!/usr/bin/env bash
# SIGKILL of the gateway under load: the next one on the same host waits for nobody's lease, serves at once, and copies no
# more than what was in flight, however large the volume is. One replica stands still at the kill, so that it lacks what
# the other has: some of it is made equal by the requests themselves, which are driven again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

depth=16 most=$((64 << 10)) volume_mib=128 span_mib=16
for server in a b; do replica_start "$server"; done
volume_create vol ${volume_mib}m
gateway_options=(--sync-interval 20)
volume_run vol --seconds 3600 --span ${span_mib}m --depth "$depth" --max "$most" --mix 20:75:0:0:5 --seed 36
for round in 1 2 3; do
	goes_on vol
	replica_freeze b
	sleep 0.2 # what is in flight reaches the other one
	end KILL "${gateway_pid[vol]}"
	replica_thaw b
	gateway_start vol
	wait_until 20 "gateway $((round + 1)) serves" state_is vol serving
	goes_on vol
	wait_until 20 "everything is equal" is_whole vol
	waited=$(event_value vol attached "" duration_ms)
	regions=0 copied=0
	if told vol reconciled "" && [[ $(event_value vol reconciled "" text) =~ ^([0-9]+)\ regions\ compared,\ ([0-9]+)\ bytes ]]; then
		regions=${BASH_REMATCH[1]} copied=${BASH_REMATCH[2]}
	fi
	# Compared and copied in pieces of 64 KiB: a write touches two of them at most.
	echo "attached in $waited ms, $regions of $volume_mib regions compared, $copied bytes copied," \
		"at most $((depth * most)) in flight"
	((copied <= 2 * depth * most)) || fail "more was copied than what was in flight"
	((regions <= span_mib)) || fail "more was compared than was ever written"
done
load_end vol now
grep -q 'gateways=4' "$tmp/load-vol.log" || fail "not four gateways served"
gateway_stop vol
replicas_match vol 1m "a b"
