#!/usr/bin/env bash
# A replica is stopped: an ordinary detach is refused or waits, a forced one ends within a bound, says that not everything is durable
# (exit code 9), and fails what was outstanding. With requests outstanding, and with none but unsynced writes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# The gateway's own exit code, not the shell's opinion of it.
expect_gateway_code()
{
	wait_until 20 "the gateway of $1 ends" gateway_is_gone "$1"
	code=0
	wait "${gateway_pid[$1]}" || code=$?
	((code == $2)) || fail "the gateway of $1 ended with $code, not $2"
}

gateway_is_gone()
{
	! is_alive "${gateway_pid[$1]}"
}

for server in a b; do replica_start "$server"; done
volume_create busy 32m
volume_run busy --seconds 3600 --errors-allowed --no-final --seed 21
goes_on busy
replica_freeze b
wait_until 20 "busy is suspended" state_is busy suspended

lockstep volume detach busy >"$tmp/detach.out" 2>&1 && fail "detached with requests outstanding"
grep -q 'outstanding' "$tmp/detach.out" || fail "the refusal does not say why: $(cat "$tmp/detach.out")"
state_is busy suspended || fail "the refused detach changed something"

timeout $((20 * SLOW)) "$B/lockstep" volume detach busy --force >"$tmp/force.out" 2>&1 && fail "force claims that all is durable"
grep -q 'durable' "$tmp/force.out" || fail "force does not say what is lost: $(cat "$tmp/force.out")"
expect_gateway_code busy 9
replica_thaw b
end KILL "${load_pid[busy]}"

# Nothing outstanding, but written and not flushed: the last SYNC has nobody to ask.
volume_create idle 32m
gateway_options=(--sync-interval 3600000)
volume_run idle --ops 50 --mix 10:90:0:0:0 --seed 22
load_end idle
replica_freeze b
timeout $((20 * SLOW)) "$B/lockstep" volume detach idle --force >"$tmp/force.out" 2>&1 && fail "force claims that all is durable"
expect_gateway_code idle 9
replica_thaw b

# Served again afterwards, by a gateway that fences the old one; what was completed is there.
gateway_options=()
cp "$tmp/idle.image" "$tmp/before.image"
volume_run idle --ops 500 --seed 23 --initial "$tmp/before.image"
load_end idle
gateway_stop idle
