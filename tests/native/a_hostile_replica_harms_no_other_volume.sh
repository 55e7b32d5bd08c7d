#!/usr/bin/env bash
# A replica that answers well-formed lies loses its connection; its own volume's bytes stay right and another volume never notices.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
proxy_start b
volume_create vol 32m --replica "a=$(replica_address a)" --replica "b=$(proxy_address b)"
volume_create other 32m --replica "a=$(replica_address a)" --replica "b=$(replica_address b)"
gateway_options=(--bulk-min 32k --reconnect 20)
volume_run vol --seconds 3600 --span 4m --hot 1m --max 256k --seed 9
volume_run other --seconds 3600 --hot 1m --max 256k --seed 10
count=0

# lie RULE...: fires once; the leg goes and comes back.
lie()
{
	local before
	before=$(status_value vol .legs.1.reconnects)
	proxy b frame down "$@" >/dev/null
	count=$((count + 1))
	wait_until 20 "lie '$*' was told" proxy_fired b "$count"
	wait_until 20 "the leg was dropped for '$*'" reconnected_since "$before"
	wait_until 20 "serving again after '$*'" state_is vol serving
}

reconnected_since()
{
	(($(status_value vol .legs.1.reconnects) > $1))
}

lie write 2 id=+1                      # answers what was not asked
lie write 2 id=12345678901234
lie write 2 epoch=+1                   # of another attachment
lie write 2 session=+7
lie write 2 status=9                   # outside the table
lie flush 1 id=+77
lie read 2 lane=main length=+512       # more than asked for
lie read 2 lane=bulk length=+4096
lie read 2 lane=bulk id=+1             # out of order
lie read 2 lane=bulk session=-1
lie write 2 type=0x84 checksum=0            # a reply of another type
lie read 2 lane=bulk type=0x83 length=0
others=$(status_value other .legs.1.reconnects)
((others == 0)) || fail "the other volume lost a connection: $(status_value other .legs.1.last_error)"
goes_on other
load_end vol now
load_end other now
gateway_stop vol
gateway_stop other
replicas_match vol 1m "a b"
replicas_match other 1m "a b"
echo "$count lies"
