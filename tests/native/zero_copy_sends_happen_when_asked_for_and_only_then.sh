#!/usr/bin/env bash
# Forced zero copy is SEND_ZC by the kernel's own notification (loopback reports a copy); 'never' sends none; 'auto' settles on plain sends here.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

sent_by()
{
	status_json vol | python3 -c '
import json, sys
legs = json.load(sys.stdin)["legs"]
print(*(sum(leg[key] for leg in legs) for key in ("zero_copy_bytes", "zero_copy_fallback_bytes", "bulk_copy_bytes", "gather_bytes")))'
}

for server in a b; do replica_start "$server"; done
volume_create vol 32m
initial=()
for how in always never auto; do
	gateway_options=(--bulk-min 0 --zero-copy-send "$how")
	volume_run vol --seconds 2 --max 512k --mix 20:80:0:0:1 --no-final "${initial[@]}"
	goes_on vol
	wait_until 10 "bytes were sent" served_more_than vol 50
	read -r zero_copy fallback copied gathered < <(sent_by)
	echo "$how: zero_copy=$zero_copy fallback=$fallback copied=$copied gathered=$gathered"
	((gathered == 0)) || fail "boundary 0 gathered $gathered bytes"
	case $how in
	always) ((zero_copy + fallback > 0 && copied == 0)) || fail "always: no SEND_ZC was counted" ;;
	never) ((zero_copy + fallback == 0 && copied > 0)) || fail "never: SEND_ZC was used" ;;
	auto) ((zero_copy + fallback > 0 && copied > 0)) || fail "auto: did not try, or did not settle" ;;
	esac
	load_end vol
	gateway_stop vol
	initial=(--mix 0:100:0:0:0)
done
