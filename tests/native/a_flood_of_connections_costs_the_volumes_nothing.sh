#!/usr/bin/env bash
# More connections than a server takes, more than it has descriptors for, and some that say one byte and no more: they are
# dropped or wait, the volume that is served loses no connection, and who comes afterwards is let in.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

flood=()
open_some()
{
	local count=$1 fd
	local -r host=${address%:*} port=${address##*:}
	while ((count-- > 0)); do
		exec {fd}<>"/dev/tcp/$host/$port" || fail "a connection is refused"
		flood+=("$fd")
	done
}

close_all()
{
	local fd
	for fd in "${flood[@]}"; do exec {fd}>&-; done
	flood=()
}

is_listed()
{
	lockstep replica list --server "$address" >"$tmp/list.log" 2>&1
}

unharmed()
{
	goes_on vol
	(($(status_value vol .legs.0.reconnects) == 0)) || fail "the volume lost a connection: $1"
}

replica_wrap=(bash -c 'ulimit -n 100; exec "$@"' -)
replica_start a
replica_wrap=(env)
address=$(replica_address a)
volume_create vol 16m
volume_run vol --seconds 3600 --max 64k

open_some 160
printf 'L' >&"${flood[0]}"
wait_until 15 "the server says that it has no descriptor left" log_has replica-a 'event=accept_paused .*Too many open files'
unharmed "without descriptors"
paused=$(grep -c event=accept_paused "$tmp/replica-a.log")
((paused < 200)) || fail "it tried $paused times to accept what it had no descriptor for"
# Those that never say HELLO are dropped, so that after a while others are let in though nobody went away.
wait_until 30 "who says nothing is dropped" log_has replica-a 'event=dropped .*no HELLO within'
close_all
wait_until 15 "the next one is let in" is_listed
unharmed "after the flood"

# With enough descriptors there is a bound of its own.
replica_kill a TERM
replica_start a
wait_until 30 "the volume is served again" served_more_than vol "$(served vol)"
reconnects=$(status_value vol .legs.0.reconnects)
open_some 160
wait_until 15 "more than it takes are dropped" log_has replica-a 'event=dropped .*too many'
goes_on vol
(($(status_value vol .legs.0.reconnects) == reconnects)) || fail "the volume lost a connection beyond the bound"
close_all
wait_until 15 "the next one is let in" is_listed
load_end vol now
gateway_stop vol
