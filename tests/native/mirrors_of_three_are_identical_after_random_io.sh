#!/usr/bin/env bash
# Random reads, writes, zeroes, discards and flushes on a mirror of three: every answer right, every replica identical.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b c; do replica_start "$server"; done
volume_create vol 64m
volume_run vol --seconds 4 --hot 1m --max 512k --meta 10 --history "$tmp/history"
load_end vol
gateway_stop vol
replicas_match vol 1m "a b c"
[[ -s $tmp/history ]] || fail "the history log is empty"
