#!/usr/bin/env bash
# Everything is off, and the directory of one of three replicas is set back to what it was before the last attachment. The
# others attach without it, and it is refused by name; with the right directory it comes back. Evicted meanwhile, and set
# back to before it came back in, it is compared in full, not only where stamps say so.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
servers=(a b c)

all_start() { for server in "${servers[@]}"; do replica_start "$server"; done; }
all_end() { for server in "${servers[@]}"; do replica_kill "$server" TERM; done; }

# Filled with other bytes each time, and detached in order.
attached_once()
{
	load_start vol --seconds 3600 --max 64k --seed "$1" --fill
	gateway_start vol --reconnect 20
	wait_until 15 "the volume serves" load_serves vol
	goes_on vol
}

ended()
{
	load_end vol now
	gateway_stop vol
}

# put WHICH: c's server is off, and its directory is that copy from now on.
put()
{
	rm -rf "$dir"
	cp -a "$tmp/$1" "$dir"
}

all_start
volume_create vol 8m
dir=$(replica_dir c vol)
attached_once 1
ended
all_end
cp -a "$dir" "$tmp/earlier"
all_start
attached_once 2
ended
all_end
cp -a "$dir" "$tmp/right"

put earlier
all_start
attached_once 3
c_is_refused() { "$cli" status vol | has_line "its state is older than what it had stored; its disk was rolled back"; }
wait_until 15 "c is refused by name" c_is_refused
[[ $(json "[l['member'] for l in d['volumes'][0]['legs'] if l['name'] == 'c'][0]" "$cli" status vol) == out ]] ||
	fail "$("$cli" status vol)"
replica_kill c TERM
put right
replica_start c
whole vol
ended
replicas_match vol 1m "a b c"

# Out and in again, then out: what it had in between is nowhere stamped.
attached_once 5
replica_kill c TERM
wait_until 15 "c is evicted" told vol evicted c 1
cp -a "$dir" "$tmp/earlier"
replica_start c
whole vol
goes_on vol
replica_kill c
wait_until 15 "c is evicted" told vol evicted c 2
ended
put earlier
replica_start c
attached_once 6
whole vol
ended
grep -q "event=rejoining.*replica=c.*compared in full" "$tmp"/gateway-vol.log || fail "$(grep rejoining "$tmp"/gateway-vol.log)"
replicas_match vol 1m "a b c"
