#!/usr/bin/env bash
# No ublk in the kernel, no rights, a volume attached twice, a device in use: each its own message and exit code.
# kernels: 7.3 6.12
# limit: 120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b
volume_create v 64M "a b"
file=$work/etc/volumes/v.yaml

# expect_refusal CODE WORD COMMAND...: ends with CODE, says WORD, and leaves no device.
expect_refusal()
{
	local expected=$1 word=$2 code=0
	shift 2
	timeout 30 "$@" >"$work/refusal" 2>&1 || code=$?
	note "$* -> $code: $(tail -n 1 "$work/refusal")"
	((code == expected)) || fail "exit code $code instead of $expected"
	grep -qi -- "$word" "$work/refusal" || { cat "$work/refusal" && fail "the message lacks '$word'"; }
}

rmmod ublk_drv
expect_refusal 5 modprobe lockstep-gateway --volume-file "$file" --run-dir "$run_dir"
modprobe ublk_drv
public=$(mktemp -d -p /tmp)
cp "$file" "$public/v.yaml"
chown -R 65534 "$public"
expect_refusal 5 root setpriv --reuid=65534 --regid=65534 --clear-groups \
	"$programs/lockstep-gateway" --volume-file "$public/v.yaml" --run-dir "$public"
rm -rf "$public"

gateway_begin v
expect_refusal 7 pid lockstep-gateway --volume-file "$file" --run-dir "$run_dir"
mkfs.ext4 -q -F "$device"
mkdir -p "$work/mnt"
mount "$device" "$work/mnt"
expect_refusal 7 "" lockstep volume detach v
[[ $(state_of v) == serving ]] || fail "a refused detach has changed the volume's state"
touch "$work/mnt/still_here"
umount "$work/mnt"
gateway_detach v
[[ ! -e $device ]] || fail "$device is still there after detach"
