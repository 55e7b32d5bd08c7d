#!/usr/bin/env bash
# A contender takes promises and comes to nothing: the gateway attaches again in place, above it, and its application
# sees a pause and no error (R10). Nothing is made equal again but what was not stable.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b c; do replica_start "$server"; done
volume_create vol 16m
mapfile -t uuid < <(grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' "$config_dir/volumes/vol.yaml")
volume_run vol --seconds 3600 --span 4m --max 128k --seed 40
# The promise goes to two of three, by the uuids in the order of the volume's file.
contend()
{
	local epoch=$1 server nth count=0
	for nth in 2 3 4; do
		for server in a b c; do
			[[ $(replica_dir "$server" vol) == *".${uuid[$nth]:0:8}" ]] || continue
			((++count <= 2)) || return 0
			# The second one is refused where the gateway has attached again already, after the first.
			(talk "$server" "hello data volume=${uuid[0]} set=${uuid[1]} replica=${uuid[$nth]}" "expect welcome" \
				"promise $epoch 77" "expect state") || { ((count == 2)) && tail -n 1 "$tmp/talk.log" | has_line "REFUSED stale-epoch"; } ||
				fail "promise $count is refused"
		done
	done
}
for epoch in 10 30; do
	goes_on vol
	reattaches=$(status_value vol .reattaches)
	contend "$epoch"
	wait_until 20 "attached again above $epoch" eval "((\$(status_value vol .epoch) > $epoch))"
	wait_until 20 "serving again" state_is vol serving
	goes_on vol
	(($(status_value vol .reattaches) > reattaches)) || fail "it did not attach again"
done
whole vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b c"
