#!/usr/bin/env bash
# A gateway elsewhere attaches the volume: the one before it serves nothing any more and says so.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
volume_create vol 16m
volume_run vol --seconds 3600 --max 128k --errors-allowed --no-final --stall 3600
goes_on vol
mkdir "$tmp/elsewhere"
# It writes every block, so that nothing that was in flight at the hand-over counts; from then on only its own writes may.
spawn load-successor "$tools/exerciser" --shm "$shm_dir/successor" --fill --ops 1000 --max 128k \
	--gateway-wait $((20 * SLOW)) --image "$tmp/vol.image" --seed 99
successor=$spawned
wait_until 5 "the successor's memory" test -s "$shm_dir/successor"
spawn gateway-successor "$B/lockstep-gateway" --volume-file "$config_dir/volumes/vol.yaml" --run-dir "$tmp/elsewhere" \
	--frontend "shm:$shm_dir/successor"
second=$spawned
must_end_well load-successor "$successor"
wait_until 10 "the first one's volume failed" state_is vol failed
lockstep status vol >"$tmp/status.out"
grep -qE "^vol: failed since [^:]*: volume vol: another gateway has attached it \(epoch 2\); use it there, and detach it here$" \
	"$tmp/status.out" || fail "$(cat "$tmp/status.out")"
lockstep events vol | has_line 'event=failed volume=vol .*text="volume vol: another gateway has attached it' ||
	fail "the events do not tell it: $(lockstep events vol)"
replicas_match vol 1m "a b"
code=0
lockstep volume detach vol 2>"$tmp/detach.err" || code=$?
((code == 5)) || fail "the detach of the fenced one ends with $code: $(cat "$tmp/detach.err")"
end TERM "$second"
((ended == 0)) || fail "the successor ended with $ended"
