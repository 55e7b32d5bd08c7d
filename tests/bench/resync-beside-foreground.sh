#!/usr/bin/env bash
# How much of its rate the application keeps while a replica is taken back: requests a second before (without the replica),
# during and after (with it), on loopback with real servers; the ratios are printed, nothing is judged.
# Usage: tests/bench/resync-beside-foreground.sh [ROUNDS] [SECONDS]; SIZE=256m of the volume. Last line of each measurement:
# "bench NAME key=value...".
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../native/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../native/lib/common.sh"

rounds=${1:-2} seconds=${2:-5} size=${SIZE:-256m}

# Requests so far.
requests()
{
	local before
	before=$(served "$1")
	((before > 0)) || fail "the gateway of $1 does not answer"
	printf '%s' "$before"
}

# rate NAME: requests a second over $seconds, in $rate; stops early when the log has the event $2.
rate()
{
	local from to begin end until_ns
	begin=${EPOCHREALTIME/[.,]/}
	from=$(requests "$1")
	until_ns=$((begin + seconds * 1000000))
	while ((${EPOCHREALTIME/[.,]/} < until_ns)); do
		[[ -z ${2-} ]] || ! log_has "gateway-$1" "event=$2" || break
		sleep 0.1
	done
	to=$(requests "$1")
	end=${EPOCHREALTIME/[.,]/}
	rate=$(((to - from) * 1000000 / (end - begin)))
}

filled()
{
	(($(status_value "$1" .write_bytes || echo 0) >= bytes))
}

ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'
}

# measure NAME MIN MAX DEPTH: one volume, one replica lost before anything is written, taken back under load.
measure()
{
	local name=$1 min=$2 max=$3 depth=$4 without during with began finished equal
	volume_create "$name" "$size"
	load_start "$name" --seconds 3600 --fill --no-final --min "$min" --max "$max" --depth "$depth" --mix 5:5:0:0:0 --seed 9
	gateway_start "$name"
	wait_until 15 "volume $name serves" load_serves "$name"
	replica_kill c
	wait_until 15 "c is evicted" log_has "gateway-$name" "event=evicted"
	wait_until 300 "every block is written" filled "$name"
	rate "$name"
	without=$rate
	replica_start c
	wait_until 60 "c is being taken back" log_has "gateway-$name" "event=rejoining"
	began=${EPOCHREALTIME/[.,]/}
	rate "$name" rejoined
	during=$rate
	wait_until 600 "c is in sync" log_has "gateway-$name" "event=rejoined"
	finished=${EPOCHREALTIME/[.,]/}
	equal=$(sed -nE 's/.*event=rejoined .*text="([0-9]+) bytes compared, [0-9]+ copied, ([0-9]+) of them.*/\1+\2/p' \
		"$tmp/gateway-$name.log" | tail -n 1)
	rate "$name"
	with=$rate
	load_end "$name" now >/dev/null
	gateway_stop "$name"
	printf 'bench resync-%s without=%s during=%s with=%s ratio_to_without=%s ratio_to_with=%s resync_mib_per_s=%s\n' \
		"$name" "$without" "$during" "$with" "$(ratio "$during" "$without")" "$(ratio "$during" "$with")" \
		"$(awk -v b="$((equal))" -v us="$((finished - began))" 'BEGIN { printf "%.1f", b / 1.048576 / us }')"
}

bytes=$(($(numfmt --from=iec "${size^^}")))
for server in a b c; do replica_start "$server"; done
for ((round = 1; round <= rounds; round++)); do
	measure "small-$round" 4k 4k 32
	measure "large-$round" 64k 512k 8
done
