#!/usr/bin/env bash
# A replica leaves and returns, the gateway is killed, another one ends in good order: `events` tells all of it in its order,
# with cause and duration, while they serve and when nobody does; a file that cannot be written holds up nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
says 3 "no such volume" "$cli" events vol
for name in a b c; do replica_start "$name"; done
volume_create vol 16m
[[ -z $("$cli" events vol) && $(json 'd' "$cli" events) == "{'events': []}" ]] || fail "events of nothing: $("$cli" events)"
says 2 "neither a time" "$cli" events vol --since yesterday

has_event() { "$cli" events vol | has_line -E "event=$1 volume=vol $2"; }
volume_run vol --seconds 3600 --max 64k --seed 5
wait_until 10 "it is attached" has_event attached "set=0 replica= .*text=\"epoch 1, 3 of 3 replicas in sync\""
spawn follow timeout $((60 * SLOW)) "$cli" events vol --follow
follow_pid=$spawned
replica_kill b
wait_until 20 "b is evicted" has_event evicted "set=0 replica=b gen=[0-9]+ duration_ms=[0-9]+ bytes=0 text=\".+\""
goes_on vol
replica_start b
wait_until 30 "b is back" has_event rejoined "set=0 replica=b .*bytes=[0-9]+ text=\"[0-9]+ bytes compared"
replica_kill b
replica_kill c
wait_until 20 "it is suspended" has_event suspended "set=0 .*text=\"no majority of the voters answers\""
replica_start b
replica_start c
wait_until 30 "it goes on" has_event resumed "set=0 replica= gen=[0-9]+ duration_ms=[1-9]"
wait_until 5 "they are followed" log_has follow "event=resumed"
end TERM "$follow_pid"
[[ $(grep -c . "$tmp/follow.log") -ge 6 ]] || fail "followed: $(cat "$tmp/follow.log")"
goes_on vol
end KILL "${gateway_pid[vol]}"

# Nobody serves: it is all there, in order, and the same in JSON.
"$cli" events vol >"$tmp/events.out"
cut -d" " -f1 "$tmp/events.out" | sort -c || fail "not in the order of their times: $(cat "$tmp/events.out")"
told_in_order()
{
	sed -nE 's/.* event=([a-z_-]+) .*/\1/p' "$tmp/events.out" | grep -xE "${1// /|}" | uniq |
		head -n "$(wc -w <<<"$1")" | paste -sd' ' >"$tmp/order"
	[[ $(cat "$tmp/order") == "$1" ]] || fail "not '$1', but '$(cat "$tmp/order")'"
}
told_in_order "attaching serving evicted rejoined"
# Of the two that were lost at once one is evicted, too: before the suspension or when the other is back.
told_in_order "attaching serving rejoined suspended resumed"
[[ $(json 'len(d["events"])' "$cli" events vol) == $(grep -c . "$tmp/events.out") ]] || fail "$("$cli" events vol --json)"
[[ $(json '[type(e["duration_ms"]).__name__ for e in d["events"] if e["event"] == "evicted"][0]' "$cli" events) == int ]] ||
	fail "$("$cli" events --json)"
[[ $("$cli" events vol --count 2 | grep -c .) == 2 ]] || fail "--count"
[[ -z $("$cli" events vol --since 2100-01-01) ]] || fail "--since 2100"
[[ $("$cli" events vol --since 1h | grep -c .) == $(grep -c . "$tmp/events.out") ]] || fail "--since 1h"

# The next one cannot write there: it serves all the same, says so once in its log, and counts what is missing.
mv "$run_dir/vol.events" "$tmp/kept"
mkdir "$run_dir/vol.events"
gateway_start vol
wait_until 20 "the next gateway serves" state_is vol serving
goes_on vol
[[ $(grep -c "event=event_file_failed" "$tmp/gateway-vol.log") == 1 ]] || fail "$(tail "$tmp/gateway-vol.log")"
rmdir "$run_dir/vol.events"
load_end vol now
gateway_stop vol
"$cli" events vol | has_line -E "event=events-missed count=[0-9]+" || fail "$("$cli" events vol)"
has_event detached "duration_ms=" || fail "$("$cli" events vol)"
"$cli" volume delete vol --yes >/dev/null 2>&1
[[ -z $(find "$run_dir" -name "*.events*") ]] || fail "a deleted volume leaves $(ls "$run_dir")"
