#!/usr/bin/env bash
# `volume attach` starts the gateway, waits, and shows a refusal's own words; `status`, `detach` and `delete` then say the
# truth about it. No gateway stays behind that was not wanted.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
for name in a b; do
	replica_start "$name"
done
volume_create vol 16m
attach=("$cli" volume attach vol --no-systemd --frontend "shm:$shm_dir/vol")

# Without the shared memory the gateway itself refuses; its words arrive here.
code=0
timeout $((60 * SLOW)) "${attach[@]}" >"$tmp/refused.out" 2>"$tmp/refused.err" || code=$?
((code != 0 && code != 8)) || fail "attach without its shared memory ended with $code: $(cat "$tmp/refused.err")"
grep -q "$shm_dir/vol" "$tmp/refused.err" || fail "the refusal's text is not shown: $(cat "$tmp/refused.err")"
[[ ! -e $run_dir/vol.sock ]] || fail "a refused gateway left its socket"

load_start vol --seconds 3600 --max 64k
pid=$(json 'd["pid"]' "${attach[@]}")
pids+=("$pid") # detached: not our child, but ours to end
is_alive "$pid" || fail "attach says pid $pid, which is not there"
says 4 "is attached already as .*pid $pid" "${attach[@]}"
wait_for_service vol

[[ $(status_value vol .state) == serving ]] || fail "status: $("$cli" status vol)"
"$cli" status | has_line "^vol: serving since" || fail "$("$cli" status)"
[[ $("$cli" status vol --watch=1 --count 2 | grep -c "^vol: ") == 2 ]] || fail "--watch --count 2 does not show it twice"
"$cli" volume list | has_line -E "^vol .*serving" || fail "$("$cli" volume list)"
# Its list is the control thread's, which hears of a session a moment after the gateway.
is_in_use() { [[ $(json 'd["servers"][0]["replicas"][0]["session_open"]' "$cli" replica list --server "$(replica_address a)") == True ]]; }
wait_until 5 "the replica says that it is in use" is_in_use

says 7 "is attached; 'lockstep volume detach vol' first" "$cli" volume delete vol --yes
# Another host knows nothing of this gateway, but the servers do.
LOCKSTEP_RUN_DIR=$tmp/elsewhere says 7 "in use by a gateway" "$cli" volume delete vol --yes
replica_dir a vol 0 >/dev/null

load_end vol now
"$cli" volume detach vol >"$tmp/detach.out" 2>"$tmp/detach.err" || fail "detach: $(cat "$tmp/detach.err")"
grep -q "volume vol detached: everything is durable" "$tmp/detach.out" || fail "$(cat "$tmp/detach.out")"
wait_until 5 "the gateway is gone after detach" process_is_gone "$pid"
says 3 "is not attached" "$cli" volume detach vol

# A replica is missing: attach waits, gives up in time, and leaves no gateway behind.
replica_kill b
load_start vol --seconds 3600 --max 64k
says 8 "not attached in time.*the gateway was stopped" "${attach[@]}" --timeout 2
grep -q "vol: attaching" "$tmp/says.err" || fail "no progress was shown: $(cat "$tmp/says.err")"
[[ ! -e $run_dir/vol.sock ]] || fail "the gateway that was given up is still there"

# Killed while it attaches, as by the kernel when memory is short: said as that, not by some line of its log.
spawn attach "${attach[@]}"
attach_pid=$spawned
wait_until 10 "the gateway attaches" log_has attach "vol: attaching"
kill -KILL "$(pgrep -P "$attach_pid")"
end CONT "$attach_pid"
((ended == 1)) || fail "an attach whose gateway was killed ended with $ended"
log_has attach "^lockstep: vol: the gateway was killed by signal 9" || fail "it says: $(cat "$tmp/attach.log")"

# A gateway that was killed leaves a socket nobody listens to: said as that, and no obstacle.
replica_start b
pid=$(json 'd["pid"]' "${attach[@]}")
pids+=("$pid")
kill -KILL "$pid"
wait_until 10 "the killed gateway is gone" process_is_gone "$pid"
says 3 "its gateway is dead.*'lockstep volume attach vol'" "$cli" volume detach vol
"$cli" status | has_line "^vol: unreachable: its gateway is dead.*'lockstep volume attach vol'" || fail "$("$cli" status)"
says_json 6 unreachable "its gateway is dead" "$cli" status vol
[[ $(json 'd["volumes"][0]["state"]' "$cli" volume list) == unreachable ]] || fail "$("$cli" volume list)"
"$cli" volume show vol | has_line "^state: unreachable: its gateway is dead" || fail "$("$cli" volume show vol)"
# Over ublk its device stays, too, for the next one: as its record says.
echo 7 >"$run_dir/vol.device"
says 3 "its gateway is dead.*'lockstep volume attach vol' takes.*'lockstep-gateway --delete-device 7'" "$cli" volume detach vol
says 6 "'lockstep-gateway --delete-device 7'" "$cli" status vol
rm "$run_dir/vol.device"

# A run directory whose name is not UTF-8 is said in JSON all the same, as far as that can.
odd=$tmp/$'run\xff'
mkdir "$odd"
pid=$(json 'd["pid"]' "${attach[@]}" --run-dir "$odd")
pids+=("$pid")
is_alive "$pid" || fail "attach with an odd run directory says pid $pid"
kill -KILL "$pid"
