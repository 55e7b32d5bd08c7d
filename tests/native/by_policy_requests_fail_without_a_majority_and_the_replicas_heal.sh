#!/usr/bin/env bash
# on-no-quorum: error. Requests fail after the deadline and not before; when a majority is back everything goes on, and
# what failed reads the same from both replicas. An application that reads the whole volume meanwhile reads again what failed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

failed_some()
{
	(($(status_value vol .failed_requests) > 0))
}

for server in a b; do replica_start "$server"; done
volume_create vol 32m
gateway_options=(--on-no-quorum error --quorum-deadline 1)
volume_run vol --seconds 3600 --span 4m --hot 1m --max 256k --seed 33 --errors-allowed
goes_on vol
replica_kill b
wait_until 15 "suspended" state_is vol suspended
wait_until 15 "requests fail" failed_some
replica_start b
wait_until 20 "serving again" state_is vol serving
waited=$(event_value vol resumed "" duration_ms)
echo "without a majority for $waited ms"
((waited >= 1000)) || fail "requests failed after $waited ms already"
whole vol
goes_on vol
failed=$(status_value vol .failed_requests)
goes_on vol
(($(status_value vol .failed_requests) == failed)) || fail "requests go on failing"

failed_more()
{
	(($(status_value vol .failed_requests) > failed))
}
replica_kill b
wait_until 15 "suspended again" state_is vol suspended
kill -TERM "${load_pid[vol]}"
wait_until 15 "the whole volume is being read" log_has load-vol '^verifying'
failed=$(status_value vol .failed_requests)
wait_until 15 "those reads fail" failed_more
replica_start b
load_end vol
whole vol
gateway_stop vol
replicas_match vol 1m "a b"
