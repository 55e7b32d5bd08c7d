#!/usr/bin/env bash
# A durable write that finds no space costs nothing else. One that was taken and then finds none, when it is to become
# durable, speaks for whatever was acknowledged before it: the replica has failed, and no flush is answered any more.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

faulty_replica_start a
volume_create vol 16m
uuids vol
session=("hello data $ids" "expect welcome" "promise 10 7" "expect state")

echo "write ENOSPC data" >"$tmp/fault-a"
talk a "${session[@]}" "open 10 1" "expect opened" "frame write flags=1" "expect reply write status=ENOSPC" \
	"frame flush" "expect reply flush status=ok"
echo "dsync ENOSPC data" >"$tmp/fault-a"
talk a "${session[@]}" "open 10 2" "expect opened" "frame write offset=4096" "expect reply write status=ok" \
	"frame write offset=8192 wseq=2 flags=1" "expect reply write status=EIO" "frame flush" "expect reply flush status=EIO"
echo "sync ENOSPC data" >"$tmp/fault-a"
replica_kill a
faulty_replica_start a
talk a "${session[@]}" "open 10 1" "expect opened" "frame discard flags=1" "expect reply discard status=EIO" \
	"frame flush" "expect reply flush status=EIO"
