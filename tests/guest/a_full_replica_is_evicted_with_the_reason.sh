#!/usr/bin/env bash
# One replica's file system is full: that replica is evicted, by its reason, and the application notices nothing; with
# space it is taken back, and the replicas are identical.
# kernels: 7.3
# limit: 90
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

mkdir -p "$work/c"
mount -t tmpfs -o size=8m tmpfs "$work/c"
replicas_begin a b c
volume_create v 32M "a b c"
gateway_begin v
fio_verify "$device" --bs=128k --size=32m
has_told v 1 evicted c || fail "c, which is full, was not evicted"
reason=$(in_last text v evicted c)
[[ $reason == *ENOSPC* ]] || fail "the reason is '$reason'"
note "c was evicted after $(in_last duration_ms v evicted c) ms: $reason"
[[ $(state_of v) == serving ]] || fail "the volume is $(state_of v)"
mount -o remount,size=64m "$work/c"
wait_until 60 has_told v 1 rejoined c || fail "c is not taken back though it has space"
note "c is back: $(in_last text v rejoined c)"
gateway_detach v
replicas_are_identical v 0 a b c || fail "the replicas differ"
