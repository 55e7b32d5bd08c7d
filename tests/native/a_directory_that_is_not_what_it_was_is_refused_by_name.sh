#!/usr/bin/env bash
# While a volume of three serves, one server comes back with a directory that is not what it was: emptied, rolled back to
# an earlier day, a clone of another replica's, or another volume's. Each is refused by name, the other two go on, and with
# the right directory it is taken back.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# The last error of c, the only one that has any.
refusal()
{
	lockstep status vol | sed -n 's/^ *last error: //p'
}

refused_as()
{
	[[ $(refusal) == *"$1"* ]]
}

c_is_out()
{
	lockstep status vol | has_line -E '^ *replica +c .* out, '
}

# wrong WHAT WHY PUT-COMMAND...: with c down its directory is put away, another put in place; then it is put back.
wrong()
{
	local what=$1 why=$2
	shift 2
	count=$((count + 1))
	replica_kill c
	wait_until 15 "c is evicted" told vol evicted c "$count"
	mv "$dir" "$tmp/right"
	"$@"
	replica_start c
	wait_until 20 "$what: it is refused with '$why'" refused_as "$why"
	echo "$what: $(refusal)"
	goes_on vol
	c_is_out || fail "$what: it is not out: $(lockstep status vol)"
	replica_kill c TERM
	rm -rf "$dir"
	mv "$tmp/right" "$dir"
	replica_start c
	whole vol
}

for server in a b c; do replica_start "$server"; done
volume_create vol 16m
volume_create other 16m
dir=$(replica_dir c vol) count=0
gateway_options=(--reconnect 20)
volume_run vol --seconds 3600 --span 4m --depth 4 --max 64k --seed 41
goes_on vol
# An earlier day: it has left and come back since, so it had stored younger configs than these.
cp -a "$dir" "$tmp/earlier"
count=$((count + 1))
replica_kill c
wait_until 15 "c is evicted" told vol evicted c "$count"
replica_start c
whole vol

wrong emptied "'superblock' is missing" mkdir "$dir"
wrong "not there" "unknown-replica" true
wrong "rolled back" "rolled back" cp -a "$tmp/earlier" "$dir"
wrong "a clone of another replica's" "unknown-replica" cp -a "$(replica_dir a vol)" "$tmp/c/$(basename "$(replica_dir a vol)")"
rm -rf "$tmp/c/$(basename "$(replica_dir a vol)")"
wrong "a clone under its name" "unknown-replica" cp -a "$(replica_dir a vol)" "$dir"
wrong "another volume's" "unknown-replica" cp -a "$(replica_dir c other)" "$dir"
(($(grep -c "event=not_served.*mixed up" "$tmp/replica-c.log") == 2)) || fail "the server does not say whose they are"
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b c"
