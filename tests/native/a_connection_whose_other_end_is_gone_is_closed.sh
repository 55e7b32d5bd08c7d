#!/usr/bin/env bash
# A gateway's machine loses power, or the network between: no end of its connections ever arrives. The server finds out by
# itself and lets them go, or they would take up its places until the system's keepalive of two hours.
set -euo pipefail
[[ ${own_network-} ]] || {
	unshare -n true 2>/dev/null || { echo "skip: no network namespaces here" && exit 77; }
	own_network=yes exec unshare -n "$0"
}
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

if ! command -v ip >/dev/null || ! command -v ss >/dev/null; then
	skip "no ip and ss (package iproute2)"
fi
ip link set lo up
replica_start a
volume_create vol 16m
uuids vol
for client in 1 2 3; do
	spawn "client-$client" "$tools/blockclient" "$(replica_address a)" "hello data $ids" "expect welcome" \
		"promise 10 7" "expect state" "hold 600"
done
are_idle()
{
	(($(grep -lx holding "$tmp"/client-*.log | wc -l) == 3)) &&
		(($(ss -Hnto state established "sport = :${replica_port[a]}" | grep -c timer:.keepalive) == 3))
}
wait_until 10 "three are connected and owe each other nothing" are_idle
ip link set lo down
all_are_closed()
{
	(($(grep -c 'event=closed .*lane=main.*ETIMEDOUT' "$tmp/replica-a.log") == 3))
}
wait_until 40 "the server has closed what nobody is at the other end of" all_are_closed
