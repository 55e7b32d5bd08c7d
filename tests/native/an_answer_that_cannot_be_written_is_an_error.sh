#!/usr/bin/env bash
# Standard output on a full disk: every command says so and ends with an error, also where what it was asked for is done.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

replica_start a
a=$(replica_address a)

# cannot_say COMMAND...: ends with 1 and says why.
cannot_say()
{
	local code=0
	timeout $((60 * SLOW)) "$B/lockstep" "$@" >/dev/full 2>"$tmp/err" </dev/null || code=$?
	((code == 1)) || fail "'lockstep $*' on a full disk ended with $code"
	grep -q "^lockstep: standard output: cannot be written.*; the command itself has done its work" \
		"$tmp/err" || fail "'lockstep $*' on a full disk says: $(cat "$tmp/err")"
}

cannot_say volume create vol --size 1M --replica "a=$a"
[[ -e $config_dir/volumes/vol.yaml ]] || fail "the volume that was created has no file"
for json in "" --json; do
	for command in "volume list" "volume show vol" "replica list" "status" "version"; do
		# shellcheck disable=SC2086 # words
		cannot_say $command $json
	done
done
cannot_say events --json
cannot_say status --watch=1 --count 1000000
cannot_say --help
cannot_say volume show --help

# A command that fails keeps its own code.
code=0
"$B/lockstep" volume show nothing --json >/dev/full 2>"$tmp/err" || code=$?
((code == 3)) || fail "a failed command on a full disk ended with $code"
grep -q "cannot be written.*has failed, too" "$tmp/err" || fail "it says: $(cat "$tmp/err")"
