#!/usr/bin/env bash
# Between a gateway and its replicas every kind of message is cut at each of its bytes, in both directions: data frames up to two
# blocks behind their headers. Stripes of 16 sets lose one replica of each over and over; each cut is one connection.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

data=$(mktemp -d "$shm_dir/data.XXXXXX") # in memory: a rejoin waits for many a disk
for server in a b c; do
	mkdir "$data/$server"
	ln -s "$data/$server" "$tmp/$server"
	replica_start "$server"
done
proxy_start b
stripe=16 volumes=(batch bulk idle)
for volume in "${volumes[@]}"; do
	volume_create "$volume" 32m --sets "$stripe" --block-size 512 --chunk 64k --replica "a=$(replica_address a)" \
		--replica "b=$(proxy_address b)" --replica "c=$(replica_address c)"
done
declare -A options=([batch]="" [bulk]="--bulk-min 0" [idle]="--answer-deadline 0.3")
declare -A load=([batch]="--rate 1000" [bulk]="--rate 1000" [idle]="--rate 2")

serve()
{
	# shellcheck disable=SC2086 # words
	gateway_start "$1" --reconnect 10 --read-run 1 ${options[$1]}
}

for volume in "${volumes[@]}"; do
	# shellcheck disable=SC2086
	load_start "$volume" --seconds 3600 --min 1k --max 2k --depth 16 --seed 3 --busy 100 ${load[$volume]}
	serve "$volume"
done
for volume in "${volumes[@]}"; do wait_until 15 "volume $volume serves" load_serves "$volume"; done

step=$((SLOW * SLOW)) # a sanitizer takes every 16th byte
within()
{
	proxy b within "$@" "step=$step" >/dev/null
}

header=64 blocks=$((64 + 2 * 512))
asked=(HELLO PROBE PROMISE ACCEPT OPEN JOIN HEARTBEAT LIST_REGIONS STAMPED_REGIONS STAMP DIGEST FORGET)
answered=(WELCOME STATE ACCEPTED OPENED JOINED BEAT REGIONS STAMPED DIGESTED FORGOTTEN)
for name in "${asked[@]}"; do within up "$name" 0 end; done
for name in "${answered[@]}"; do within down "$name" 0 end; done
within up batch 0 $((header + blocks))
within up write 0 "$blocks"
within down read 0 "$blocks" lane=main
within down read 0 "$blocks" lane=bulk
within up read 0 "$header" lane=main
within up read 0 "$header" lane=bulk
for name in flush discard zeroes ping; do
	within up "$name" 0 "$header"
	within down "$name" 0 "$header"
done
within down write 0 "$header"

left()
{
	local stat
	stat=$(proxy b stat)
	printf '%s' "${stat##*pending=}"
}

# Lists of unstable regions are asked for when a gateway was lost; in the end they are what is left.
deadline=$((EPOCHSECONDS + 220 * SLOW))
for ((second = 1; EPOCHSECONDS < deadline; second++)); do
	pending=$(left)
	((pending)) || break
	sleep 1
	((second % (pending < 50 ? 3 : 8))) || { end KILL "${gateway_pid[bulk]}" && serve bulk; }
done
cuts=$(proxy b stat)
(($(left) == 0)) || fail "not everything was cut: $cuts"
proxy b clear >/dev/null
for volume in "${volumes[@]}"; do
	wait_until 30 "volume $volume serves again" state_is "$volume" serving
	whole "$volume" # one that is still being taken back at the end may differ
	load_end "$volume" now
	gateway_stop "$volume"
	mapfile -t servers < <(for ((set = 0; set < stripe; set++)); do echo "a b c"; done)
	replicas_match "$volume" 64k "${servers[@]}"
done
cuts=${cuts##*fired=}
echo "${cuts%% *} connections cut"
