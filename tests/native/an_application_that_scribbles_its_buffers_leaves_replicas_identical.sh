#!/usr/bin/env bash
# R13, P10: buffers that change while they are written reach the replicas differently; the gateway notices, writes again from
# a private copy, counts it, and the replicas end byte-identical, by a verify and by their files.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

scribbles()
{
	is_alive "$scribbler" || fail "the scribbler ended: $(tail -n 3 "$tmp/scribbler.log")"
	[[ $(head -c 7 "$shm_dir/vol" 2>/dev/null | tr -d '\0') == LOCKSHM ]]
}

repaired()
{
	(($(status_value vol .checksum_repairs || echo 0) > 0))
}

# round MIN MAX [GATEWAY-OPTION...]: writes of such sizes for some seconds.
round()
{
	local min=$1 max=$2
	shift 2
	rm -f "$tmp/scribbler.log" "$tmp/gateway-vol.log"
	spawn scribbler "$tools/scribbler" "$shm_dir/vol" 3 "$min" "$max" 7
	scribbler=$spawned
	wait_until 10 "the shared memory is there" scribbles
	# Nobody is to be evicted for a machine that is busy with something else.
	gateway_start vol --answer-deadline 30 "$@"
	wait_until 60 "copies differ and were repaired" repaired
	must_end_well scribbler "$scribbler"
	(($(status_value vol .checksum_mismatches) >= $(status_value vol .checksum_repairs))) || fail "more repairs than mismatches"
	log_has gateway-vol "event=checksum-repaired .*changed while they were sent" || fail "the log says nothing of it"
	printf '%s, %s mismatches, %s repairs, %s evictions\n' "$(tail -n 1 "$tmp/scribbler.log")" \
		"$(status_value vol .checksum_mismatches)" "$(status_value vol .checksum_repairs)" \
		"$(grep -c event=evicted "$tmp/gateway-vol.log")"
	lockstep volume verify vol >"$tmp/verify.out" 2>&1 || fail "$(cat "$tmp/verify.out")"
	gateway_stop vol
	"$tools/imgcompare" "$(replica_dir a vol)/data" "$(replica_dir b vol)/data" "$(replica_dir c vol)/data" ||
		fail "the replicas differ"
	log_has gateway-vol "event=evicted" && fail "a replica was evicted for what the application did"
	return 0
}

for server in a b c; do replica_start "$server"; done
volume_create vol 16m
round 128k 512k
# Everything from the request's own buffer, small writes too.
round 4k 256k --bulk-min 0
