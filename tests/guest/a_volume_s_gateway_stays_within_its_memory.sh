#!/usr/bin/env bash
# At most 32 MiB resident for a zero-copy volume at queue depth 128, under load and after it.
# kernels: 7.3
# limit: 120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

resident_kib()
{
	sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$(pid_of v)/status"
}

replicas_begin a b c
volume_create v 64M "a b c"
gateway_begin v --mode zero-copy --queue-depth 128
idle=$(resident_kib)
fio_verify "$device" --bsrange=4k-1m --blockalign=4k --iodepth=128
most=$(resident_kib)
note "resident at most: $idle KiB before the load, $most KiB after it"
((most <= 32 * 1024)) || fail "the gateway used $most KiB, more than 32 MiB"
gateway_detach v
