#!/usr/bin/env bash
# Two servers with each other's directories: each refuses by name, and with them back in place the volume serves.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

for server in a b; do replica_start "$server"; done
volume_create vol 16m
for server in a b; do replica_kill "$server" TERM; done
mv "$tmp/a" "$tmp/x"
mv "$tmp/b" "$tmp/a"
mv "$tmp/x" "$tmp/b"
for server in a b; do replica_start "$server"; done
load_start vol --ops 300
gateway_start vol
wait_until 10 "the gateway says that the server does not have the replica" log_has gateway-vol 'no such replica|unknown-replica|does not have'
end TERM "${gateway_pid[vol]}"
for server in a b; do replica_kill "$server" TERM; done
mv "$tmp/a" "$tmp/x"
mv "$tmp/b" "$tmp/a"
mv "$tmp/x" "$tmp/b"
for server in a b; do replica_start "$server"; done
gateway_start vol
load_end vol
gateway_stop vol
replicas_match vol 1m "a b"
