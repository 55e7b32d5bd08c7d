#!/usr/bin/env bash
# One replica's file system is full: it leaves with that reason and the application sees nothing but a pause; with space
# it is taken back and made equal.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

unshare -m true 2>/dev/null || skip "no mount namespaces here"
replica_start a
replica_start c
mkdir "$tmp/b"
# shellcheck disable=SC2016 # expanded by the inner shell
replica_wrap=(unshare -m bash -euc 'mount -t tmpfs -o size=6m tmpfs "$0"; exec "$@"' "$tmp/b")
replica_start b
volume_create vol 16m
volume_run vol --seconds 3600 --max 256k --mix 30:70:0:0:1 --seed 13
wait_until 20 "b is evicted" told vol evicted b
[[ $(event_value vol evicted b text) == *ENOSPC* ]] || fail "the reason is $(event_value vol evicted b text)"
goes_on vol
state_is vol serving || fail "the volume is $(status_value vol .state)"
nsenter -t "${replica_pid[b]}" -m mount -o remount,size=40m "$tmp/b"
wait_until 30 "b is in sync again" told vol rejoined b
whole vol
load_end vol now
gateway_stop vol
b_dir=("/proc/${replica_pid[b]}/root$tmp/b"/vol.0.*)
"$tools/imgcompare" "$(replica_dir a vol)/data" "$(replica_dir c vol)/data" "${b_dir[0]}/data" || fail "replicas differ"
