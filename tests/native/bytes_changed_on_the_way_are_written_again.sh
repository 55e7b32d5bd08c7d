#!/usr/bin/env bash
# A payload that reaches one replica changed (as a changed buffer would): checksums of the acknowledgements differ, the write is repeated.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
proxy_start b
volume_create vol 32m --replica "a=$(replica_address a)" --replica "b=$(proxy_address b)"
# Far enough from any header: every write is larger than the distance between the flips and a header.
gateway_options=(--bulk-min 0)
for byte in 300000 1500000 3000000; do proxy b flip up "$byte" lane=main >/dev/null; done
volume_run vol --seconds 3600 --min 256k --max 256k --mix 10:90:0:0:0 --seed 11
wait_until 20 "three flips" proxy_fired b 3
goes_on vol
(($(status_value vol .checksum_mismatches) >= 1)) || fail "nobody noticed"
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"
