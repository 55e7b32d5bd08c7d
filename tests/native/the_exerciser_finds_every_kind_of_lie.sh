#!/usr/bin/env bash
# The judge is judged: an honest volume passes, and each way of losing, mixing or leaking bytes is found.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# against LIE EXPECTED_EXIT EVERY
against()
{
	local lie=$1 expected=$2 every=$3 code=0
	load_start "$lie" --depth 16 --ops 6000 --max 64k --hot 256k --seed 7 --stall $((2 * SLOW))
	spawn "liar-$lie" "$tools/shmliar" "$shm_dir/$lie" 4m "$lie" "$every"
	wait "${load_pid[$lie]}" || code=$?
	end TERM "$spawned"
	((code == expected)) || fail "lie '$lie': the exerciser ended with $code instead of $expected"
	((code == 0)) || log_has "load-$lie" 'replay: |completion for' || fail "lie '$lie': nothing said how to run it again"
}

against none 0 1
for lie in lost torn late stale short beyond misplaced; do
	against "$lie" 1 50
done
against silent 1 3000
printf 'an honest volume passed, 8 lies were found\n'
