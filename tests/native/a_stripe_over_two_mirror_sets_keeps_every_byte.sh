#!/usr/bin/env bash
# Requests that cross up to 17 chunks of a stripe over two mirror sets; the last chunk is a partial one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b c d; do replica_start "$server"; done
volume_create vol 49924k --chunk 64k --replicas-set a,b --replicas-set c,d --no-witness
volume_run vol --seconds 4 --hot 2m --max 1m --meta 10
load_end vol
gateway_stop vol
replicas_match vol 64k "a b" "c d"
