#!/usr/bin/env bash
# A detach in good order leaves nothing that may differ, and the replicas know: the next attach compares nothing, whatever
# was written last.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
volume_create vol 64m
gateway_options=(--sync-interval 3600000) # what the detach itself does not tell, nobody does
volume_run vol --seconds 3600 --span 32m --depth 16 --max 64k --mix 20:80:0:0:0 --seed 41
for round in 2 3; do
	goes_on vol
	freeze "${load_pid[vol]}" # a volume that is used is not detached
	gateway_stop vol
	gateway_start vol
	thaw "${load_pid[vol]}"
	wait_until 20 "gateway $round serves" state_is vol serving
done
goes_on vol
load_end vol now
gateway_stop vol
attached=$(grep -c 'event=attached ' "$tmp/gateway-vol.log")
((attached == 3)) || fail "$attached attachments are in the log, not 3"
! told vol reconciling "" || fail "something was compared: $(event_value vol reconciling "" text)"
replicas_match vol 1m "a b"
