#!/usr/bin/env bash
# One replica's file system is full: no write that did not reach it is acknowledged, nothing else breaks, and space makes it whole.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

unshare -m true 2>/dev/null || skip "no mount namespaces here"
replica_start a
mkdir "$tmp/b"
# shellcheck disable=SC2016 # expanded by the inner shell
replica_wrap=(unshare -m bash -euc 'mount -t tmpfs -o size=6m tmpfs "$0"; exec "$@"' "$tmp/b")
replica_start b
volume_create vol 16m
volume_run vol --seconds 3600 --max 256k --mix 20:80:0:0:1 --seed 13 --errors-allowed
wait_until 20 "space is used up" log_has replica-b 'ENOSPC|No space|space'
sleep 1
is_alive "${replica_pid[b]}" || fail "the full server died"
is_alive "${gateway_pid[vol]}" || fail "the gateway died"
