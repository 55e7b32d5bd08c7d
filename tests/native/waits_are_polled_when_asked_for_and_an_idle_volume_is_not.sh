#!/usr/bin/env bash
# Busy polling by the gateway's and the servers' own counts: some under load and none when it is off; a volume that nobody uses is left asleep.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

polls()
{
	status_value vol .ring_poll_count
}

polled_more_than()
{
	(($(polls) > $1))
}

# The sum that the server logs at its end.
server_polls()
{
	sed -n 's/.*event=stats.* polls=\([0-9]*\).*/\1/p' "$tmp/replica-a.log" | tail -n 1
}

# session HOW: a gateway and a server under load, a request at a time. The longest limit there is: a busy machine is slow.
session()
{
	replica_start a --busy-poll "$1"
	[[ -e $tmp/etc/volumes/vol.yaml ]] || volume_create vol 16m
	gateway_options=(--busy-poll "$1")
	volume_run vol --seconds 3600 --depth 1 --max 4k --mix 50:50:0:0:0 --no-final "${initial[@]}"
	goes_on vol
	wait_until 30 "requests were served" served_more_than vol "$(($(served vol) + 500))"
}

session_end()
{
	load_end vol now
	gateway_stop vol
	replica_kill a TERM
}

initial=()
session 10000
wait_until 30 "waits are polled" polled_more_than 100
hits=$(status_value vol .ring_poll_hit_count)
((hits > 0)) || fail "not one of $(polls) polls found anything"
freeze "${load_pid[vol]}"
# What was under way ends, and the last wait forgets the short ones before it.
sleep 1
before=$(polls)
sleep 3
after=$(polls)
echo "10000: $after polls, $hits hits; idle: $((after - before))"
((after - before < 10)) || fail "an idle volume was polled $((after - before)) times in 3 s"
thaw "${load_pid[vol]}"
session_end
(($(server_polls) > 0)) || fail "the server did not poll: $(tail -n 3 "$tmp/replica-a.log")"

initial=(--mix 0:100:0:0:0) # what lies there is not this load's
session off
(($(polls) == 0)) || fail "off: the gateway polled $(polls) times"
session_end
(($(server_polls) == 0)) || fail "off: the server polled $(server_polls) times"
