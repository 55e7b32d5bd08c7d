#!/usr/bin/env bash
# Gateways of some volumes stand still with large reads outstanding, as on a machine that is paused: their answers take all
# of a data thread's memory. As soon as another volume needs some, their connections are closed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

replica_start a --threads 1 --buffer-mib 32
for volume in first second third busy; do volume_create "$volume" 64m; done
reads=()
for megabyte in {0..23}; do reads+=("frame read length=1048576 offset=$((megabyte * 1048576))"); done
session=("promise 10 7" "expect state" "open 10 1" "expect opened")
for volume in first second third; do
	uuids "$volume"
	spawn "still-$volume" "$tools/blockclient" "$(replica_address a)" "hello data $ids" "expect welcome" \
		"${session[@]}" "${reads[@]}" "hold 600"
	wait_until 10 "$volume stands still" log_has "still-$volume" holding
done
# Sent is not yet received: so many reads, and the counters are asked for until they say so.
all_are_there()
{
	kill -USR1 "${replica_pid[a]}"
	log_has replica-a 'event=stats .* reads=(2[4-9]|[3-9][0-9]) '
}
wait_until 10 "the reads have arrived" all_are_there
uuids busy
for number in 1 2; do
	talk a "hello data $ids" "expect welcome" "promise 10 7" "expect state" "open 10 $number" "expect opened" \
		"frame write length=131072" "expect reply write status=ok" "frame read length=1048576" "expect reply read"
done
wait_until 10 "the reason is in the log" log_has replica-a 'event=closed .*lane=main.*others wait for the memory'
