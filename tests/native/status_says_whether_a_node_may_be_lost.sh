#!/usr/bin/env bash
# A replica goes and comes back: `status` says at every step who is in sync, whether a node may be lost now and why not, and
# how far the rejoin is; `--watch` shows it as plain lines where there is no terminal.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
for name in a b w; do replica_start "$name"; done
volume_create vol 16m --replica "a=$(replica_address a)" --replica "b=$(replica_address b)" --witness "w=$(replica_address w)"
volume_run vol --seconds 3600 --max 512k --seed 5

answer() { json '(d["volumes"][0]["can_lose_node"], d["volumes"][0]["why_not"])' "$cli" status vol; }
answer_is() { [[ $(answer) == "$1" ]]; }
members() { json '[(l["name"], l["kind"], l["member"]) for l in d["volumes"][0]["legs"]]' "$cli" status vol; }
members_are() { [[ $(members) == "$1" ]]; }
all_well="[('a', 'replica', 'in-sync'), ('b', 'replica', 'in-sync'), ('w', 'witness', 'votes')]"

wait_until 10 "a node may be lost" answer_is "(True, '')"
members_are "$all_well" || fail "$(members)"
"$cli" status vol | has_line "can a node be lost now? yes" || fail "$("$cli" status vol)"

replica_kill w
wait_until 20 "the witness is missed" answer_is "(False, 'set 0: without one more voter there is no majority')"
state_is vol serving || fail "$("$cli" status vol)"
replica_start w
wait_until 20 "the witness votes again" answer_is "(True, '')"

replica_kill b
wait_until 20 "b is out" members_are "${all_well/"'b', 'replica', 'in-sync'"/"'b', 'replica', 'out'"}"
answer_is "(False, 'set 0: one replica in sync')" || fail "$(answer)"
"$cli" status vol >"$tmp/status.out"
grep -q "can a node be lost now? no: set 0: one replica in sync" "$tmp/status.out" || fail "$(cat "$tmp/status.out")"
grep -qE "set 0  serving .*1 of 2 in sync, 2 of 3 vote" "$tmp/status.out" || fail "$(cat "$tmp/status.out")"
grep -qE "replica +b .*out, .*" "$tmp/status.out" || fail "$(cat "$tmp/status.out")"
goes_on vol
replica_start b
wait_until 60 "b is back" answer_is "(True, '')"
members_are "$all_well" || fail "$(members)"
[[ $(json '(d["volumes"][0]["evictions"], d["volumes"][0]["rejoins"])' "$cli" status vol) == "(1, 1)" ]] || fail "$("$cli" status vol)"
[[ $("$cli" status vol --watch=1 --count 2 | grep -c "can a node be lost now? yes") == 2 ]] || fail "--watch"
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"


# Slowly, to see it on its way.
load_start vol --seconds 3600 --max 512k --seed 6 --fill
gateway_start vol --resync-rate 1M
wait_until 15 "the volume serves" load_serves vol
replica_kill b
wait_until 20 "b is out" members_are "${all_well/"'b', 'replica', 'in-sync'"/"'b', 'replica', 'out'"}"
goes_on vol
replica_start b
progress()
{
	[[ $(json '[0 < l["resync_left_bytes"] < l["resync_total_bytes"] and l["resync_rate_bytes"] > 0 and l["resync_eta_ms"] > 0
		for l in d["volumes"][0]["legs"] if l["member"] == "syncing"]' "$cli" status vol) == "[True]" ]]
}
wait_until 30 "the rejoin shows its progress" progress
"$cli" status vol | has_line -E "resync: .* left to compare, .* copied, .*/s, ready in " || fail "$("$cli" status vol)"
load_end vol now
gateway_stop vol
