#!/usr/bin/env bash
# An application that changes its buffers while they are written directly: the replicas hold the same bytes afterwards
# though each was sent from the buffer itself, nobody is evicted for it, and the status counts what was repaired.
# kernels: 7.3
# limit: 60
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b c
volume_create v 48M "a b c"
gateway_begin v --mode zero-copy --bulk-min 0
"$programs/tests/native/blockscribbler" "$device" 6 4k 64k 128k 256k 1m 1m || fail "the application's writes fail"
repaired=$(status v "$status_of_volume.checksum_mismatches")
((repaired > 0)) || fail "no write was repaired: the test did not test"
note "$repaired times replicas had stored different bytes, $(events v checksum-repaired) writes repaired"
(($(events v evicting) == 0)) || fail "a replica was evicted: $(last_event v evicting)"
gateway_detach v
replicas_are_identical v 0 a b c || fail "the replicas differ"
