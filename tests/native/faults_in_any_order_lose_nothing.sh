#!/usr/bin/env bash
# Kills, stops, cuts and flips in a random order, on a stripe of two mirror sets with every second replica behind a proxy
# and a witness for both.
# SEED=N repeats a run, ROUNDS=N makes it longer.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

SEED=${SEED:-$((EPOCHSECONDS % 100000))}
ROUNDS=${ROUNDS:-10}
RANDOM=$((SEED % 32768))
echo "SEED=$SEED ROUNDS=$ROUNDS"
servers=(a b c d) proxied=(b d) directions=(up down) lanes=(main bulk)

for server in "${servers[@]}" w; do replica_start "$server"; done
for server in "${proxied[@]}"; do proxy_start "$server"; done
volume_create vol 32m --chunk 128k --replica "a=$(replica_address a)" --replica "b=$(proxy_address b)" \
	--replica "c=$(replica_address c)" --replica "d=$(proxy_address d)" \
	--witness "w=$(replica_address w)" --replicas-set a,b --replicas-set c,d
boundaries=(0 16k 64k 128k) zero_copies=(auto always never)
gateway_options=(--answer-deadline $((1 * SLOW)) --reconnect 20 --bulk-min "${boundaries[RANDOM % 4]}"
	--zero-copy-send "${zero_copies[RANDOM % 3]}" --read-run $((1 + RANDOM % 32)))
echo "gateway: ${gateway_options[*]}"
volume_run vol --seconds 3600 --hot 1m --max 512k --depth $((1 + RANDOM % 64)) --seed "$SEED"

# Somebody is lost, out, or being taken back; or the gateway was killed a moment ago.
is_missed()
{
	! is_whole vol
}

fault()
{
	local server=${servers[RANDOM % 4]} behind=${proxied[RANDOM % 2]}
	case $((RANDOM % 8)) in
	0 | 1)
		echo "kill replica-server $server"
		replica_kill "$server"
		replica_start "$server"
		;;
	2)
		echo "stop $server"
		replica_freeze "$server"
		wait_until 10 "somebody is missed" is_missed
		replica_thaw "$server"
		;;
	3 | 4)
		echo "kill the gateway"
		end KILL "${gateway_pid[vol]}"
		gateway_start vol
		;;
	5)
		echo "cut $behind"
		proxy "$behind" cut "${directions[RANDOM % 2]}" $((RANDOM * 20)) "lane=${lanes[RANDOM % 2]}" times=2 >/dev/null
		proxy "$behind" reset >/dev/null
		;;
	6)
		echo "flip a bit on the way to $behind"
		proxy "$behind" raw "${directions[RANDOM % 2]}" write 2 $((RANDOM % 64))=0xa5 >/dev/null
		;;
	7)
		echo "$behind reads nothing for a while"
		proxy "$behind" stop "${directions[RANDOM % 2]}" >/dev/null
		wait_until 10 "somebody is missed" is_missed
		proxy "$behind" go >/dev/null
		;;
	esac
}

for ((round = 0; round < ROUNDS; round++)); do
	fault
	# Half of the faults come while the one before is not over.
	((RANDOM % 2)) || continue
	wait_until 30 "serving after round $round" state_is vol serving
	goes_on vol
done
for server in "${proxied[@]}"; do proxy "$server" clear >/dev/null; done
wait_until 30 "serving at the end" state_is vol serving
goes_on vol
whole vol
load_end vol now
gateway_stop vol
replicas_match vol 128k "a b" "c d"
