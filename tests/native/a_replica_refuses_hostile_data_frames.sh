#!/usr/bin/env bash
# In an open session: stale numbers, ranges outside, wrong lengths, torn batches. A request is refused or the connection is closed; stored bytes do not change.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

replica_start a
volume_create vol 16m
volume_create honest 16m
uuids vol
volume_run honest --seconds 3600 --max 128k
session=0

# in_session COMMAND...: in a fresh session under epoch 5.
in_session()
{
	session=$((session + 1))
	talk a "hello data $ids" "expect welcome" "promise 5 7" "expect state" "open 5 $session" "expect opened" "$@"
}

# A main lane under the current session number, so that a bulk lane can join it; ends with $holder.
hold_session()
{
	: >"$tmp/holder.log"
	spawn holder "$tools/blockclient" "$(replica_address a)" "hello data $ids" "expect welcome" "promise 5 7" \
		"expect state" "open 5 $session" "expect opened" "hold 3600"
	holder=$spawned
	wait_until 5 "a session is held open" log_has holder holding
}

in_session "frame write offset=0 length=8192" "expect reply write" "frame read length=8192" "expect reply read length=8192 fill=0x77"
# The first frame of this batch is whole and right, and swallows the second one's header: it is a write like any other.
in_session "batch 3 4096 length=8192 offset=8388608" "expect refusal-or-closed"
in_session "frame flush" "expect reply flush" # a session opens when the one before it is done
cp "$(replica_dir a vol)/data" "$tmp/before"

# Requests that mean something, but not here and now.
in_session "frame write offset=65536 epoch=4" "expect reply write status=ESTALE"
in_session "frame write offset=65536 session=9999" "expect reply write status=ESTALE"
in_session "frame write offset=16777216" "expect reply write status=EINVAL"
in_session "frame write offset=16773120 length=8192" "expect reply write status=EINVAL"
in_session "frame write offset=18446744073709547520" "expect refused malformed"
in_session "frame write offset=65537" "expect reply write status=EINVAL"
in_session "frame write offset=65536 length=100" "expect reply write status=EINVAL"
in_session "frame read offset=16777216" "expect reply read status=EINVAL"
in_session "frame read offset=1 length=512" "expect reply read status=EINVAL"
in_session "frame discard offset=16773120 length=8192" "expect reply discard status=EINVAL"
in_session "frame zeroes offset=18446744073709547520 length=4096" "expect refused malformed"
# Headers that no version knows. (raw: the checksum is wrong; frame: it is right.)
in_session "frame write length=0" "expect refusal-or-closed"
in_session "frame read length=2097152" "expect refusal-or-closed"
in_session "frame write flags=0x8000" "expect refusal-or-closed"
in_session "frame write status=1" "expect refusal-or-closed"
in_session "frame read gen=1" "expect refusal-or-closed"
in_session "frame write type=99" "expect refusal-or-closed"
in_session "frame write type=0x83" "expect refusal-or-closed"
for byte in 0 1 2 3 20 60 63; do
	in_session "raw write $byte=0xff offset=65536" "expect refusal-or-closed"
done
# Batches whose inside does not add up.
in_session "batch 3 4096 offset=65537" "expect reply write status=EINVAL"
in_session "batch 3 4096 session=9" "expect refusal-or-closed"
in_session "batch 3 4096 type=4" "expect refusal-or-closed"
in_session "batch 3 4096 epoch=9 offset=65536" "expect refusal-or-closed"
in_session "frame batch length=64" "expect refusal-or-closed"
in_session "frame batch length=300000" "expect refusal-or-closed"
in_session "frame batch length=1000" "expect refusal-or-closed"
# Writes cut anywhere are not applied at all.
for bytes in 1 63 64 65 1000 4159; do
	in_session "cut $bytes" "frame write offset=65536" "close"
	in_session "cutfin $bytes" "frame write offset=65536" "close"
	in_session "cut $bytes" "batch 1 4096 offset=65536" "close"
done
# Reads on the bulk lane only, and nothing else there.
for wrong in "frame write" "frame flush" "frame discard" "batch 2 4096" "promise 6 7"; do
	session=$((session + 1))
	hold_session
	talk a "hello bulk $ids" "expect welcome" "join 5 $session" "expect joined" "$wrong" "expect refusal-or-closed"
	end TERM "$holder"
done

is_alive "${replica_pid[a]}" || fail "the server died"
in_session "frame flush" "expect reply flush"
cmp "$tmp/before" "$(replica_dir a vol)/data" || fail "a refused request changed the data"
goes_on honest
(($(status_value honest .legs.0.reconnects) == 0)) || fail "the honest volume lost a connection"
load_end honest now
gateway_stop honest
