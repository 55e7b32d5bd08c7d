#!/usr/bin/env bash
# The connections of one replica are broken at chosen bytes, lane by lane and direction by direction, by reset and by end of file.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
proxy_start b
volume_create vol 32m --replica "a=$(replica_address a)" --replica "b=$(proxy_address b)"
gateway_options=(--bulk-min 32k --reconnect 20)
volume_run vol --seconds 3600 --span 4m --hot 1m --max 256k --seed 6
count=0
for how in rst fin; do
	bytes="1 63 64 65 150 400 1000 70001 300064 1000003"
	[[ $how == rst ]] || bytes="65 400 70001"
	for byte in $bytes; do
		for place in "up main" "down main" "up bulk" "down bulk"; do
			read -r direction lane <<<"$place"
			# A lane's first bytes are the handshake: small numbers hit it, large ones the data. Little goes up the bulk lane.
			[[ $place != "up bulk" ]] || ((byte < 20000)) || continue
			[[ $place != "down main" ]] || ((byte < 500000)) || continue
			proxy b cut "$direction" "$byte" "lane=$lane" "how=$how" >/dev/null
			proxy b reset >/dev/null # bytes are counted from the start of a connection
			count=$((count + 1))
			wait_until 20 "cut $count: $direction $lane at $byte by $how" proxy_fired b "$count"
		done
	done
done
proxy b clear >/dev/null
wait_until 15 "serving again" state_is vol serving
goes_on vol
whole vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"
echo "$count connections cut"
