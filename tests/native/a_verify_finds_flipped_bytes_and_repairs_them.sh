#!/usr/bin/env bash
# Bytes of a replica's data file change under its server, as a lying disk would: a verify beside the application names exactly
# those, repairs them from the majority, or between two from the replica that people name, and finds nothing afterwards.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

piece=65536

# flip SERVER VOLUME OFFSET: one bit.
flip()
{
	python3 - "$(replica_dir "$1" "$2")/data" "$3" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
at = int(sys.argv[2])
os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 0x40]), at)
os.fsync(fd)
END
}

filled()
{
	(($(status_value "$1" .write_bytes || echo 0) >= $2))
}

# verify CODE NAME [OPTION...]: its JSON answer goes to verify.json.
verify()
{
	local expected=$1 name=$2 code=0
	shift 2
	timeout $((60 * SLOW)) "$B/lockstep" volume verify "$name" --json "$@" >"$tmp/verify.json" </dev/null || code=$?
	((code == expected)) || fail "verify $name $* ended with $code instead of $expected: $(cat "$tmp/verify.json")"
}

# found EXPRESSION: true of the last answer, `d`.
found()
{
	python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
f = [(x["offset"], x["length"], x["wrong"], x["repaired"]) for x in d["findings"]]
sys.exit(not eval(sys.argv[2]))' "$tmp/verify.json" "$1" || fail "not '$1' in $(cat "$tmp/verify.json")"
}

# Who is lost is compared less: not the matter here, also on a machine that is busy with something else.
gateway_options=(--answer-deadline 30)
for server in a b c; do replica_start "$server"; done
volume_create vol 32m
volume_run vol --seconds 3600 --fill --span 8m --max 64k --depth 8 --seed 5
wait_until 60 "every block is written" filled vol $((32 << 20))
goes_on vol

verify 0 vol
found 'd["state"] == "done" and d["compared_bytes"] == 32 << 20 and f == []'
found '[r["compared_bytes"] for r in d["replicas"]] == 3 * [32 << 20]'

# In the middle, over the edge of a piece, and the last byte of all: on two replicas.
flip b vol $((20 * 1048576 + 12345))
flip b vol $((50 * piece - 1 + 12 * 1048576))
flip b vol $((50 * piece + 12 * 1048576))
flip c vol $((32 * 1048576 - 1))
expected="[($((12 * 1048576 + 49 * piece)), $((2 * piece)), ['b'], REPAIRED), ($((20 * 1048576)), $piece, ['b'], REPAIRED),
	($((32 * 1048576 - piece)), $piece, ['c'], REPAIRED)]"
verify 11 vol
found "sorted(f) == ${expected//REPAIRED/False} and d['repaired_bytes'] == 0"
verify 0 vol --repair
found "sorted(f) == ${expected//REPAIRED/True} and d['repaired_bytes'] == $((4 * piece))"
verify 0 vol
found 'd["state"] == "done" and f == []'
(($(status_value vol .repaired_bytes) == 4 * piece)) || fail "status does not count what was repaired"
log_has gateway-vol "event=difference .* b differs, repaired" || fail "the log names no difference"
goes_on vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b c"

# Between two nothing tells who is right, but people do.
volume_create pair 16m --replica "a=$(replica_address a)" --replica "b=$(replica_address b)" --no-witness
volume_run pair --seconds 3600 --fill --span 4m --max 64k --depth 8 --seed 6
wait_until 60 "every block is written" filled pair $((16 << 20))
flip a pair $((10 * 1048576))
verify 11 pair --repair
found "f == [($((10 * 1048576)), $piece, [], False)] and d['undecided_bytes'] == $piece"
timeout $((60 * SLOW)) "$B/lockstep" volume verify pair >"$tmp/text" 2>"$tmp/progress" && fail "a difference ends with 0"
grep -q "a, b differ, no majority says which is right" "$tmp/text" || fail "the text does not say so: $(cat "$tmp/text")"
grep -q "next: .*--from REPLICA" "$tmp/text" || fail "no next step: $(cat "$tmp/text")"
grep -qE "^pair: .*%, .* of 16" "$tmp/progress" || fail "no line of progress: $(cat "$tmp/progress")"
verify 0 pair --repair --from b
found "f == [($((10 * 1048576)), $piece, ['a'], True)]"
verify 0 pair
found 'f == []'

# One at a time; followed, cancelled, and no hindrance for a detach.
says 2 "has no replica 'x'" "$B/lockstep" volume verify pair --repair --from x
says 2 "only makes sense with --repair" "$B/lockstep" volume verify pair --from a
spawn slow "$B/lockstep" volume verify pair --rate 1m
slow=$spawned
wait_until 10 "it runs" log_has slow "^pair: "
says 7 "being verified already" "$B/lockstep" volume verify pair
verify 12 pair --cancel
found 'd["state"] == "ended" and d["reason"] == "cancelled"'
wait "$slow" && fail "the cancelled one ended with 0"
spawn slow2 "$B/lockstep" volume verify pair --rate 1m
slow=$spawned
wait_until 10 "it runs" log_has slow2 "^pair: "
load_end pair now
gateway_stop pair
wait "$slow" && fail "a verify of a volume that was detached ended with 0"
replicas_match pair 1m "a b"
says 3 "is not attached" "$B/lockstep" volume verify pair
