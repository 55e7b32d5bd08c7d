#!/usr/bin/env bash
# No replica has space left: the write fails with ENOSPC, what was acknowledged is kept, reads and overwrites go on, and
# with space everything does.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

unshare -m true 2>/dev/null || skip "no mount namespaces here"
failed_some()
{
	(($(status_value vol .failed_requests) > 20))
}

for server in a b; do
	mkdir "$tmp/$server"
	# shellcheck disable=SC2016 # expanded by the inner shell
	replica_wrap=(unshare -m bash -euc 'mount -t tmpfs -o size=6m tmpfs "$0"; exec "$@"' "$tmp/$server")
	replica_start "$server"
done
volume_create vol 16m
volume_run vol --seconds 3600 --max 256k --mix 30:70:0:0:1 --seed 13 --errors-allowed
wait_until 20 "writes fail for want of space" failed_some
goes_on vol
state_is vol serving || fail "the volume is $(status_value vol .state)"
for server in a b; do nsenter -t "${replica_pid[$server]}" -m mount -o remount,size=40m "$tmp/$server"; done
whole vol
load_end vol now
gateway_stop vol
dirs=("/proc/${replica_pid[a]}/root$tmp/a"/vol.0.* "/proc/${replica_pid[b]}/root$tmp/b"/vol.0.*)
"$tools/imgcompare" --image "$tmp/vol.image" --chunk 1m "${dirs[0]}/data,${dirs[1]}/data" || fail "replicas differ"
