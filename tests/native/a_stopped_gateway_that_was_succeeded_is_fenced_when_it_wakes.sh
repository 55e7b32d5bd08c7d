#!/usr/bin/env bash
# The gateway is stopped (SIGSTOP), another one elsewhere takes the volume over; when the first wakes it is fenced: its
# device fails, and nothing of what it still had in its hands reaches a replica.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b c; do replica_start "$server"; done
volume_create vol 16m
volume_run vol --seconds 3600 --max 128k --errors-allowed --no-final --stall 3600 --seed 37
goes_on vol
freeze "${gateway_pid[vol]}"
mkdir "$tmp/elsewhere"
spawn load-successor "$tools/exerciser" --shm "$shm_dir/successor" --fill --seconds 3600 --max 128k \
	--gateway-wait $((20 * SLOW)) --stall $((30 * SLOW)) --image "$tmp/vol.image" --seed 99
successor=$spawned
wait_until 5 "the successor's memory" test -s "$shm_dir/successor"
spawn gateway-successor "$B/lockstep-gateway" --volume-file "$config_dir/volumes/vol.yaml" --run-dir "$tmp/elsewhere" \
	--frontend "shm:$shm_dir/successor"
second=$spawned
wait_until 20 "the successor serves" log_has load-successor '^serving'
LOCKSTEP_RUN_DIR=$tmp/elsewhere goes_on vol
thaw "${gateway_pid[vol]}"
wait_until 15 "the first one's volume has failed" state_is vol failed
[[ $(status_value vol .reason) == *"another gateway"* ]] || fail "the reason is $(status_value vol .reason)"
LOCKSTEP_RUN_DIR=$tmp/elsewhere goes_on vol
kill -TERM "$successor"
must_end_well load-successor "$successor"
end TERM "$second"
((ended == 0)) || fail "the successor ended with $ended"
replicas_match vol 1m "a b c"
