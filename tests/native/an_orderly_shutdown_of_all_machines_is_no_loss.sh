#!/usr/bin/env bash
# Detached, all servers stopped in order, their machines restarted: the next attach records no loss, because nothing can have
# been lost, nor when one server's machine went on. Killed and all restarted it may have been, and is said so. Another boot is
# a boot id in its own mount namespace.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

cat /proc/sys/kernel/random/uuid >"$tmp/boot"
unshare -m mount --bind "$tmp/boot" /proc/sys/kernel/random/boot_id 2>/dev/null || skip "no mounts in a namespace of its own here"

# server_start NAME: on the machine that it ran on.
server_start()
{
	# shellcheck disable=SC2016 # both are the inner shell's
	replica_wrap=(unshare -m sh -c 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"' "$tmp/boot-$1")
	replica_start "$1"
	replica_wrap=(env)
}

# machine_start NAME: which was restarted.
machine_start()
{
	cat /proc/sys/kernel/random/uuid >"$tmp/boot-$1"
	server_start "$1"
}

# with_all COMMAND [ARGUMENT...]: for each server.
with_all()
{
	local name
	for name in a b c; do "$1" "$name" "${@:2}"; done
}

# serve: attached, used, detached.
serve()
{
	volume_run vol --seconds 3600 --max 64k --seed 5 --record-only
	goes_on vol
	load_end vol now
	gateway_stop vol
}

losses() { grep -c "event=loss-recorded" "$tmp/gateway-vol.log" || true; }

with_all machine_start
volume_create vol 8m
serve
with_all replica_kill TERM
with_all machine_start
serve
(($(losses) == 0)) || fail "a loss where nothing was: $(grep event=loss-recorded "$tmp/gateway-vol.log")"
grep -q 'event=reconciling .*text="[0-9]* regions may differ: no replica-server remembers' "$tmp/gateway-vol.log" ||
	fail "not said why all is compared: $(grep event=reconciling "$tmp/gateway-vol.log")"
"$B/lockstep" replica check "$(replica_dir a vol)" | has_line "losses" && fail "$("$B/lockstep" replica check "$(replica_dir a vol)")"

# Killed on the same boot: the page cache has it all.
with_all replica_kill KILL
with_all server_start
serve
(($(losses) == 0)) || fail "a loss after a kill alone: $(grep event=loss-recorded "$tmp/gateway-vol.log")"

# Killed by the end of two machines and missing the third replica: which machine went on is enough, and all others are compared.
with_all replica_kill KILL
server_start a
machine_start b
serve
(($(losses) == 0)) || fail "a loss though a kept its page cache: $(grep event=loss-recorded "$tmp/gateway-vol.log")"
server_start c

# Killed by the end of their machines.
serve
with_all replica_kill KILL
with_all machine_start
serve
(($(losses) == 1)) || fail "$(losses) losses are told after all machines went down at once"
