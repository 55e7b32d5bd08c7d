#!/usr/bin/env bash
# A data file shorter than its set at start: the replica is listed with that reason and not served; its neighbour is.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

replica_start a
volume_create short 16m
volume_create whole 16m
replica_kill a TERM
truncate -s 5m "$(replica_dir a short)/data"
replica_start a
lockstep replica list --server "$(replica_address a)" >"$tmp/list.log" 2>&1 || true
grep -E 'short' "$tmp/list.log" | has_line -E 'data.*(short|bytes|trunc)' || fail "not listed with its reason: $(cat "$tmp/list.log")"
load_start short --ops 10 --gateway-wait 3600
gateway_start short
wait_until 10 "the gateway says why it waits or was refused" log_has gateway-short 'data'
volume_run whole --ops 200
load_end whole
gateway_stop whole
