#!/usr/bin/env bash
# One gateway per volume and host: the second ends with 'busy' and the first goes on. From elsewhere, a successor fences the first.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
volume_create vol 16m
volume_run vol --seconds 3600 --max 128k
code=0
timeout $((10 * SLOW)) "$B/lockstep-gateway" --volume-file "$config_dir/volumes/vol.yaml" --run-dir "$run_dir" \
	--frontend "shm:$shm_dir/vol" >"$tmp/second.log" 2>&1 || code=$?
((code == 7)) || fail "the second gateway ended with $code, not 7 (busy): $(cat "$tmp/second.log")"
grep -q "vol" "$tmp/second.log" || fail "the volume is not named: $(cat "$tmp/second.log")"
goes_on vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"
