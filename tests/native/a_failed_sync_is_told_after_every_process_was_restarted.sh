#!/usr/bin/env bash
# fsync fails on the only replica, and gateway and server are killed: whoever attaches then is told that completed writes
# may be gone, from the replica's superblock alone. Where that cannot be written either, the server says so.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

check_says()
{
	lockstep replica check "$(replica_dir a vol)" >"$tmp/check.log" || fail "replica check: $(cat "$tmp/check.log")"
	grep -q "could not be made durable $1 times" "$tmp/check.log"
}

attach()
{
	volume_run vol --seconds 3600 --span 4m --max 64k --mix 40:55:0:0:5 --seed "$1" --record-only --no-final
	goes_on vol
}

kill_both()
{
	end KILL "${load_pid[vol]}"
	end KILL "${gateway_pid[vol]}"
	replica_kill a KILL
}

faulty_replica_start a
volume_create vol 16m
attach 1

# Killed in the ordinary way: the page cache has everything.
kill_both
faulty_replica_start a
attach 2
! told vol loss-recorded || fail "a loss was told of servers that were only killed"

echo "sync EIO data" >"$tmp/fault-a"
wait_until 15 "the failure is noted on disk" check_says 1
log_has replica-a 'event=failed .*restart the server' || fail "the server does not say what to do: $(cat "$tmp/replica-a.log")"
kill_both
rm "$tmp/fault-a"
faulty_replica_start a
attach 3
told vol loss-recorded || fail "nothing was told: $(cat "$tmp/gateway-vol.log")"
text=$(event_value vol loss-recorded '' text)
[[ $text == *"failed to sync its disk"*"may be gone"* ]] || fail "the loss is told as: $text"
echo "loss: $text"

# Once told it is over: the next attach has nothing to tell.
kill_both
faulty_replica_start a
attach 4
! told vol loss-recorded '' 2 || fail "the same loss was told twice"

printf '%s\n' "sync EIO data" "write EIO superblock" >"$tmp/fault-a"
wait_until 15 "the server says that it cannot note it" log_has replica-a 'event=failed .*neither data nor superblock'
check_says 1 || fail "the count rose: $(cat "$tmp/check.log")"
kill_both
