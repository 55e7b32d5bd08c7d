#!/usr/bin/env bash
# One slot of the superblock damaged: the other is used. Both: the replica is refused by name and other replicas of the server are served.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# damage VOLUME SLOT: ten bytes in the middle of its header.
damage()
{
	printf 'DAMAGED!!!' | dd of="$(replica_dir a "$1")/superblock" bs=1 seek=$(($2 * 65536 + 64)) conv=notrunc status=none
}

replica_start a
volume_create one 16m
volume_create both 16m
volume_run one --ops 200 --seed 1
load_end one
mv "$tmp/one.image" "$tmp/before.image"
gateway_stop one
seed=2
for slot in 0 1; do
	replica_kill a TERM
	damage one "$slot"
	replica_start a
	volume_run one --ops 200 --seed "$seed" --initial "$tmp/before.image"
	load_end one
	mv "$tmp/one.image" "$tmp/before.image"
	gateway_stop one
	seed=$((seed + 1))
done
replica_kill a TERM
damage both 0
damage both 1
replica_start a
lockstep replica list --server "$(replica_address a)" >"$tmp/list.log" 2>&1 || true
log_has replica-a 'both.*superblock|superblock.*both' || fail "the server's log does not name the replica: $(tail -n 5 "$tmp/replica-a.log")"
load_start both --ops 10 --gateway-wait 3600
gateway_start both
wait_until 10 "the gateway says why it waits" log_has gateway-both 'superblock|no such replica|unknown-replica|does not have'
volume_run one --ops 200 --seed "$seed" --initial "$tmp/before.image"
load_end one
gateway_stop one
