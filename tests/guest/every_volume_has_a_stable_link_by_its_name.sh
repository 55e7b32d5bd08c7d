#!/usr/bin/env bash
# /dev/lockstep/NAME leads to the volume's device, by udev where it runs and by the gateway itself where it does not, and
# is gone after detach; two volumes do not take each other's link.
# kernels: 7.3
# limit: 120
set -euo pipefail
run_dir=/run/lockstep # the one that udev's rule knows
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

# settled VOLUME DEVICE
link_leads_to()
{
	[[ -L /dev/lockstep/$1 && $(readlink -f "/dev/lockstep/$1") == "$2" ]]
}

expect_links()
{
	local first
	gateway_begin one
	first=$device
	gateway_begin two
	wait_until 20 link_leads_to one "$first" || fail "$1: /dev/lockstep/one does not lead to $first"
	wait_until 20 link_leads_to two "$device" || fail "$1: /dev/lockstep/two does not lead to $device"
	note "$1: one is $(readlink -f /dev/lockstep/one), two is $(readlink -f /dev/lockstep/two)"
	gateway_detach one
	gateway_detach two
	wait_until 20 no_links || fail "$1: links stay behind after detach: $(ls /dev/lockstep)"
}

no_links()
{
	[[ ! -e /dev/lockstep/one && ! -L /dev/lockstep/one && ! -L /dev/lockstep/two ]]
}

replicas_begin a
volume_create one 16M a
volume_create two 16M a
expect_links "without udev"

udevd=/lib/systemd/systemd-udevd
[[ -x $udevd ]] || skip "the gateway's own links are right; no udev is installed to test its rule"
mkdir -p /etc/udev/rules.d
cp "$top/deploy/60-lockstep.rules" /etc/udev/rules.d/
"$udevd" --daemon
udevadm control --ping --timeout 20
expect_links "by udev"
udevadm control --exit --timeout 20
