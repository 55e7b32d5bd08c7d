#!/usr/bin/env bash
# Two gateways of different hosts attach at the same moment: one owns the volume, the other ends or fails and says why.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# attach_from HOST: its gateway and its load; both may lose.
declare -A load_of gateway_of
attach_from()
{
	local host=$1
	mkdir -p "$tmp/$host-run"
	rm -f "$tmp/load-$host.log" "$tmp/gateway-$host.log" "$shm_dir/$host"
	spawn "load-$host" "$tools/exerciser" --shm "$shm_dir/$host" --seconds 3600 --max 64k --seed 38 \
		--errors-allowed --no-final --mix 0:100:0:0:0 --gateway-wait 3600 --stall 3600
	load_of[$host]=$spawned
	wait_until 5 "the memory of $host" test -s "$shm_dir/$host"
	spawn "gateway-$host" "$B/lockstep-gateway" --volume-file "$config_dir/volumes/vol.yaml" --run-dir "$tmp/$host-run" \
		--frontend "shm:$shm_dir/$host"
	gateway_of[$host]=$spawned
}

state_of()
{
	is_alive "${gateway_of[$1]}" || { echo ended && return; }
	LOCKSTEP_RUN_DIR=$tmp/$1-run status_value vol .state || echo none
}

is_decided()
{
	states="$(state_of x) $(state_of y)"
	[[ $states == "serving failed" || $states == "serving ended" || $states == "failed serving" || $states == "ended serving" ]]
}

for server in a b c; do replica_start "$server"; done
volume_create vol 16m
for round in 1 2 3; do
	attach_from x
	attach_from y
	wait_until 30 "one of two serves and the other does not" is_decided
	owner=x loser=y
	[[ $states == serving* ]] || owner=y loser=x
	echo "round $round: $owner serves, $loser has $(state_of $loser)"
	LOCKSTEP_RUN_DIR=$tmp/$owner-run goes_on vol
	is_decided || fail "it did not stay decided: $states"
	grep -qE "another gateway" "$tmp/gateway-$loser.log" || [[ $(state_of $loser) == failed &&
		$(LOCKSTEP_RUN_DIR=$tmp/$loser-run status_value vol .reason) == *"another gateway"* ]] || fail "the loser does not say why"
	for host in x y; do
		end KILL "${load_of[$host]}"
		end KILL "${gateway_of[$host]}"
	done
done
volume_run vol --fill --ops 200 --max 128k --seed 39
whole vol
load_end vol
gateway_stop vol
replicas_match vol 1m "a b c"
