#!/usr/bin/env bash
# A directory that cannot be written: the server (or the replica) says which and why, and acknowledges nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

unshare -m true 2>/dev/null || skip "no mount namespaces here"
replica_start a
volume_create vol 16m
replica_kill a TERM
# The directory is bound read-only over itself in the server's own mount namespace.
# shellcheck disable=SC2016 # expanded by the inner shell
replica_wrap=(unshare -m bash -euc 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"' "$tmp/a")
spawn replica-ro "${replica_wrap[@]}" "$B/lockstep-replica" --listen "$(replica_address a)" --data "$tmp/a"
wait_until 10 "the log names the directory and the reason" log_has replica-ro "$tmp/a.*([Rr]ead-only|EROFS)"
load_start vol --ops 10 --gateway-wait 3600
gateway_start vol
! wait_for_service vol || fail "a read-only replica was served"
