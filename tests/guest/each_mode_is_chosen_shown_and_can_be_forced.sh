#!/usr/bin/env bash
# The mode is chosen by probing, said in one line of the log and in the status, and each can be forced.
# kernels: 7.3 6.12
# limit: 120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

replicas_begin a b
volume_create v 64M "a b"

# expect_mode MODE OPTION...
expect_mode()
{
	local expected=$1 shown stable scheduler
	shift
	gateway_begin v "$@"
	shown=$(status v "$status_of_volume.mode")
	[[ $shown == "$expected" ]] || fail "with '$*' the mode is $shown, not $expected"
	[[ $(status v "$status_of_volume.mode_reason") ]] || fail "no reason is given for mode $shown"
	grep -q "$expected" "$(gateway_log v)" || fail "the log does not name the mode $expected"
	stable=$(cat "/sys/block/${device#/dev/}/queue/stable_writes")
	[[ $stable == 1 ]] || fail "queue/stable_writes of $device is $stable"
	scheduler=$(cat "/sys/block/${device#/dev/}/queue/scheduler")
	[[ $scheduler == *'[none]'* ]] || fail "queue/scheduler of $device is $scheduler"
	note "'$*' gives $shown: $(status v "$status_of_volume.mode_reason")"
	gateway_detach v
	rm -f "$(gateway_log v)"
}

if [[ $LOCKSTEP_KERNEL == 6.12 ]]; then
	expect_mode copy
	code=0
	timeout 30 lockstep-gateway --volume-file "$work/etc/volumes/v.yaml" --run-dir "$run_dir" --mode zero-copy \
		>"$work/refusal" 2>&1 || code=$?
	cat "$work/refusal"
	((code == 6)) || fail "forcing zero-copy on a kernel without registered buffers ends with $code, not 6"
	grep -q zero-copy "$work/refusal" || fail "the refusal does not name the mode"
else
	expect_mode zero-copy
	expect_mode zero-copy --mode zero-copy
fi
expect_mode copy --mode copy
