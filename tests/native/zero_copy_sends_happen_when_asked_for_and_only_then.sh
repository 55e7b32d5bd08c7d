#!/usr/bin/env bash
# Forced zero copy is SEND_ZC by the kernel's own notification (loopback reports a copy); 'never' sends none; 'auto' settles on plain sends here.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# At one moment: writes asked for, then sums over the legs: notifications from the kernel, payload bytes by path.
sent_by()
{
	status_json vol | python3 -c '
import json, sys
volume = json.load(sys.stdin)
legs = volume["legs"]
print(volume["write_count"], *(sum(leg[key] for leg in legs)
      for key in ("notifications", "zero_copy_bytes", "bulk_copy_bytes", "gather_bytes")))'
}

# 'auto' tries the first sends of each leg, then counts writes without notifications.
has_settled()
{
	local writes notified rest
	read -r writes notified rest < <(sent_by)
	((notified > 0 && notified < writes))
}

for server in a b; do replica_start "$server"; done
volume_create vol 32m
initial=()
for how in always never auto; do
	gateway_options=(--bulk-min 0 --zero-copy-send "$how")
	volume_run vol --seconds 3600 --max 512k --mix 20:80:0:0:1 --no-final "${initial[@]}"
	goes_on vol
	wait_until 10 "bytes were sent" served_more_than vol 50
	[[ $how != auto ]] || wait_until 30 "auto tried zero copy and settled on plain sends" has_settled
	read -r writes notified zero_copied copied gathered < <(sent_by)
	echo "$how: $writes writes, $notified notifications, bytes: $zero_copied zero-copy, $copied copied, $gathered gathered"
	((gathered == 0)) || fail "boundary 0 gathered $gathered bytes"
	((zero_copied + copied > 0)) || fail "nothing was counted"
	case $how in
	# Two legs; what is in flight has been counted as a write and not yet notified.
	always) ((notified >= 2 * (writes - 32))) || fail "always: fewer notifications than sends" ;;
	never) ((notified == 0)) || fail "never: SEND_ZC was used" ;;
	esac
	load_end vol now
	gateway_stop vol
	initial=(--mix 0:100:0:0:0)
done
