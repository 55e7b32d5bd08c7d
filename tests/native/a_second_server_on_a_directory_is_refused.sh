#!/usr/bin/env bash
# Two servers never serve one directory; the second says whose it is, the first goes on.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

replica_start a
volume_create vol 16m
volume_run vol --seconds 3600 --max 128k
code=0
timeout $((10 * SLOW)) "$B/lockstep-replica" --listen "$ip:9999" --data "$tmp/a" >"$tmp/second.log" 2>&1 || code=$?
((code != 0 && code != 124)) || fail "the second server ended with $code: $(cat "$tmp/second.log")"
grep -qE "$tmp/a.*(lock|in use|served)|(lock|in use|served).*$tmp/a" "$tmp/second.log" || fail "not said why: $(cat "$tmp/second.log")"
# And a port in use is its own message.
code=0
mkdir "$tmp/empty"
timeout $((10 * SLOW)) "$B/lockstep-replica" --listen "$(replica_address a)" --data "$tmp/empty" >"$tmp/third.log" 2>&1 || code=$?
((code != 0 && code != 124)) || fail "the third server ended with $code"
grep -q "$(replica_address a)" "$tmp/third.log" || fail "the address in use is not named: $(cat "$tmp/third.log")"
# One server that is given a directory twice, by two names, is not told to stop itself.
code=0
ln -s "$tmp/empty" "$tmp/again"
timeout $((10 * SLOW)) "$B/lockstep-replica" --listen "$ip:9999" --data "$tmp/empty" --data "$tmp/again" >"$tmp/twice.log" 2>&1 ||
	code=$?
((code != 0 && code != 124)) || fail "a server with a directory twice ended with $code"
grep -q "$tmp/again: is given twice" "$tmp/twice.log" || fail "it says: $(cat "$tmp/twice.log")"
goes_on vol
load_end vol now
gateway_stop vol
