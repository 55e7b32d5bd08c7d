#!/usr/bin/env bash
# One replica's file system is full: writes that need space there fail and say so, what was acknowledged is kept, and with
# space the volume is whole again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
unshare -m true 2>/dev/null || skip "no mount namespaces here"

failed_some()
{
	(($(status_value vol .failed_requests) > 20))
}

replica_start a
mkdir "$tmp/b"
# shellcheck disable=SC2016 # expanded by the inner shell
replica_wrap=(unshare -m bash -euc 'mount -t tmpfs -o size=6m tmpfs "$0"; exec "$@"' "$tmp/b")
replica_start b
volume_create vol 16m
volume_run vol --seconds 3600 --max 256k --mix 30:70:0:0:1 --seed 13 --errors-allowed --no-final
wait_until 20 "writes fail for want of space" failed_some
goes_on vol
state_is vol serving || fail "the volume is $(status_value vol .state)"
# More space: from here on nothing fails. Then every block is written once more, and the replicas are alike.
nsenter -t "${replica_pid[b]}" -m mount -o remount,size=40m "$tmp/b"
load_end vol now
gateway_stop vol
volume_run vol --fill --ops 300 --max 1m --seed 14
load_end vol
gateway_stop vol
b_dir=("/proc/${replica_pid[b]}/root$tmp/b"/vol.0.*)
"$B/tests/native/imgcompare" "$(replica_dir a vol)/data" "${b_dir[0]}/data" || fail "replicas differ"
