#!/usr/bin/env bash
# Bit flips in headers and control messages, garbage and messages out of place, both directions: the connection goes, the data stays right.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
proxy_start b
volume_create vol 32m --replica "a=$(replica_address a)" --replica "b=$(proxy_address b)"
gateway_options=(--bulk-min 32k --reconnect 20)
volume_run vol --seconds 3600 --span 4m --hot 1m --max 256k --seed 8
count=0

# spoil RULE...: arms it, makes new connections where the rule is about a handshake, waits until it fired.
spoil()
{
	proxy b "$@" >/dev/null
	[[ $1 == raw ]] || proxy b reset >/dev/null
	count=$((count + 1))
	wait_until 20 "rule '$*' fired" proxy_fired b "$count"
}

# Every field of a header, in a request and in a reply: magic, version, type, flags, status, ..., checksum.
for byte in 0 1 2 3 5 8 12 20 24 32 56 60 63; do
	spoil raw up write 3 "$byte=0xee"
	spoil raw down write 3 "$byte=0xee"
done
spoil raw down read 2 0=0 lane=bulk
spoil raw up read 2 20=0xff lane=bulk
spoil raw up batch 2 20=0xff
# WELCOME, STATE, OPENED, JOINED; and HELLO, PROBE, PROMISE, OPEN, JOIN.
for kind in 2 5 10 12; do
	for fault in garbage badcrc as=3 as=2; do
		[[ $kind/$fault != 2/as=2 ]] || continue
		((kind != 5)) || continue # after the attachment the gateway may go without
		spoil control down "$kind" "$fault"
	done
done
for kind in 1 9 11; do
	for fault in garbage badcrc; do
		spoil control up "$kind" "$fault"
	done
done
# The handshake's bytes: flipped in the header and in the packed message.
for byte in 5 21 66 70 90 110; do
	spoil flip up "$byte" mask=0x40
	spoil flip down "$byte" mask=0x40
done
proxy b clear >/dev/null
wait_until 15 "serving again" state_is vol serving
goes_on vol
whole vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"
echo "$count faults"
