#!/usr/bin/env bash
# A server dies and its directory is gone: `replica replace` makes a new one, under load, and it is copied in full. The same
# for a witness, and while the volume is detached. What is replaced has no vote any more: the old directory is refused.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# refuses WORDS COMMAND...: the command fails and says so.
refuses()
{
	local words=$1 said
	shift
	said=$(lockstep "$@" 2>&1) && fail "'lockstep $*' is not refused: $said"
	[[ $said == *"$words"* ]] || fail "'lockstep $*' says '$said', not '$words'"
	echo "$said"
}

last_error_has()
{
	lockstep status vol | sed -n 's/^ *last error: //p' | has_line -- "$1"
}

for server in a b w; do replica_start "$server"; done
volume_create vol 16m
gateway_options=(--reconnect 20)
volume_run vol --seconds 3600 --span 8m --depth 4 --max 64k --seed 7 --fill
wait_until 30 "the volume was filled" served_more_than vol 150

# What is there, or unknown, is not replaced.
refuses "still there" replica replace vol b
refuses "no such replica" replica replace vol x

# A replica, under load.
replica_kill b
wait_until 15 "b is evicted" told vol evicted b
dir=$(replica_dir b vol)
mv "$dir" "$tmp/old"
replica_start b
goes_on vol
# Its server answers and does not know it: the whole sentence, up to the next step.
wait_until 10 "status says what to do about b" last_error_has "not on this server (.*'lockstep replica replace'"
lockstep replica replace vol b 2>"$tmp/replace.log" || fail "replica replace: $(cat "$tmp/replace.log")"
told vol replaced b || fail "no event says that b was replaced"
[[ $(event_value vol rejoined b text) =~ ^([0-9]+)\ bytes\ compared,\ ([0-9]+)\ copied,\ ([0-9]+)\ of ]]
((BASH_REMATCH[1] + BASH_REMATCH[3] == 16 << 20)) || fail "not all of it was made equal"
((BASH_REMATCH[2] > 4 << 20)) || fail "only ${BASH_REMATCH[2]} bytes were copied"
whole vol
goes_on vol

# The old one is back in its place.
replica_kill b
wait_until 15 "b is evicted again" told vol evicted b 2
mv "$dir" "$tmp/new"
cp -a "$tmp/old" "$dir"
replica_start b
wait_until 20 "the old directory is refused" last_error_has "was replaced"
goes_on vol
replica_kill b TERM
rm -rf "$dir"
mv "$tmp/new" "$dir"
replica_start b
whole vol

# The last one in sync is not given up: with a gone, and without its server.
replica_kill a
wait_until 15 "a is evicted" told vol evicted a
refuses "last replica in sync" replica replace vol b
replica_start a
whole vol

# The witness.
replica_kill w
rm -r "$(replica_dir w vol)"
replica_start w
lockstep replica replace vol w 2>"$tmp/replace.log" || fail "replica replace of a witness: $(cat "$tmp/replace.log")"
told vol replaced w || fail "no event says that w was replaced"
# It votes: without b, a and w are a majority.
replica_kill b
wait_until 15 "b is evicted a third time" told vol evicted b 3
goes_on vol
replica_start b
whole vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"

# While nobody has it attached: the next attach gives it its vote.
replica_kill b TERM
rm -r "$(replica_dir b vol)"
replica_start b
lockstep replica replace vol b | has_line "next: lockstep volume attach" || fail "no next step is named"
lockstep replica replace vol b >/dev/null || fail "asked again, it is not the same"
volume_run vol --seconds 3600 --span 8m --depth 4 --max 64k --seed 8 --fill
wait_until 30 "the volume was filled" served_more_than vol 150
whole vol
told vol replaced b 1 || fail "no event says that b was replaced by the attach"
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"

# On another server, from now on; not while the old one is there.
replica_start c
refuses "still on" replica replace vol b --address "$(replica_address c)"
replica_kill b TERM
refuses "same address" replica replace vol b --address "$(replica_address a)"
lockstep replica replace vol b --address "$(replica_address c)" >/dev/null || fail "it is not replaced on another server"
lockstep volume show vol | has_line "$(replica_address c)" || fail "the volume's file does not name the new server"
volume_run vol --seconds 3600 --span 8m --depth 4 --max 64k --seed 9 --fill
wait_until 30 "the volume was filled" served_more_than vol 150
whole vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a c"

# Of two voters none is a majority.
volume_create pair 16m --replica "a=$(replica_address a)" --replica "c=$(replica_address c)"
refuses "set 0 has 2 voters" replica replace pair a
