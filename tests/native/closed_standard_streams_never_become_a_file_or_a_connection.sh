#!/usr/bin/env bash
# Both daemons started with standard input, output and error closed: nothing that they open takes one of these numbers, where
# a line of the log would go into a lock, a volume's memory or a replica's connection.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

without_streams()
{
	exec "$@" <&- >&- 2>&-
}

# they_are_null PID: all three.
they_are_null()
{
	local fd
	for fd in 0 1 2; do
		[[ $(readlink "/proc/$1/fd/$fd") == /dev/null ]] || fail "of process $1, $fd is $(readlink "/proc/$1/fd/$fd")"
	done
}

mkdir "$tmp/a"
replica_port[a]=$next_port
spawn replica-a without_streams "$B/lockstep-replica" --listen "$(replica_address a)" --data "$tmp/a"
replica_pid[a]=$spawned
wait_until 10 "the replica-server listens" can_connect "$(replica_address a)"
they_are_null "${replica_pid[a]}"

volume_create vol 4m
load_start vol --seconds 3600 --max 64k --seed 5
spawn gateway-vol without_streams "$B/lockstep-gateway" --volume-file "$config_dir/volumes/vol.yaml" --run-dir "$run_dir" \
	--frontend "shm:$shm_dir/vol"
gateway_pid[vol]=$spawned
wait_until 15 "the volume serves" load_serves vol
they_are_null "${gateway_pid[vol]}"
load_end vol now
gateway_stop vol
