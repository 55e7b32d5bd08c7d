#!/usr/bin/env bash
# As many administrators as a server takes are connected and ask nothing, longer than a gateway can wait: it is let in, and
# so is one more of them.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

replica_start a
volume_create vol 16m
for _ in {1..128}; do
	spawn idle "$tools/blockclient" "$(replica_address a)" "hello admin" "expect welcome" "hold 600"
done
all_are_in()
{
	(($(grep -cx holding "$tmp/idle.log") == 128))
}
wait_until 20 "they are connected" all_are_in
volume_run vol --ops 200 --seed 3
lockstep replica list --server "$(replica_address a)" >"$tmp/list.log" 2>&1 || fail "not listed: $(cat "$tmp/list.log")"
load_end vol
gateway_stop vol
log_has replica-a 'event=dropped .*it asks nothing'
