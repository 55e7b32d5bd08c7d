#!/usr/bin/env bash
# With fewer places in the buffer table than requests in flight, the kernel hands requests over unregistered
# (UBLK_IO_F_NEED_REG_BUF); they are served all the same.
# kernels: 7.3
# limit: 120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b
volume_create v 64M "a b"
for table in 1 3; do
	gateway_begin v --mode zero-copy --buffer-table "$table" --queue-depth 64
	fio_verify "$device" --bsrange=4k-512k --blockalign=4k --iodepth=48
	fallbacks=$(status v "$status_of_volume.buffer_fallbacks")
	((fallbacks > 0)) || fail "a table of $table places never overflowed: the test did not test"
	note "table of $table: $fallbacks requests fell back, all verified"
	gateway_detach v
done
replicas_are_identical v 0 a b || fail "the replicas differ"
