#!/usr/bin/env bash
# `lockstep bench --against-raw` on a real device: a scratch volume is measured in each mode that the kernel has, beside what is under it; nothing of it stays, nor after SIGINT.
# kernels: 7.3 6.12
# limit: 200
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

# Too long a path for the gateway's socket: what is made lies in /tmp, then.
export TMPDIR=$work/a_directory_whose_path_is_too_long_for_a_socket_below_it
mkdir -p "$TMPDIR" "$work/disk"
raw_port=7429

is_listening()
{
	grep -q '^measuring' "$work/raw.log"
}

options=(--against-raw --replica a=127.0.0.1:7441 --replica b=127.0.0.1:7442 --raw-port "$raw_port" --size 32M --seconds 1)

# mode NAME FILTER: of the document, one mode's part.
mode()
{
	jq -r ".volume[] | select(.mode == \"$1\") | $2" "$work/figures"
}

check_mode()
{
	[[ $(mode "$1" .measured) == true ]] || fail "mode $1 was not measured: $(cat "$work/errors")"
	[[ $(mode "$1" '[.jobs[] | .iops > 0 and .cpu_s_per_gib > 0 and .overhead > 0] | all') == true ]] ||
		fail "a figure of mode $1 is missing: $(cat "$work/figures")"
	note "$1: $(mode "$1" '.jobs | to_entries | map("\(.key) x \(.value.overhead * 10 | round / 10)") | join(", ")')"
}

has_a_device()
{
	compgen -G '/dev/ublkb*' >/dev/null
}

nothing_stays()
{
	[[ -z $(compgen -G '/tmp/lockstep-bench.*') ]] || fail "it stays: $(echo /tmp/lockstep-bench.*)"
	[[ -z $(ls -A "$TMPDIR") ]] || fail "it stays: $(ls -A "$TMPDIR")"
	! has_a_device || fail "a device stays: $(echo /dev/ublkb*)"
	[[ $(lockstep replica list --server 127.0.0.1:7441 --json | jq '[.servers[].replicas | length] | add') == 0 ]] ||
		fail "a scratch replica stays"
}

replicas_begin a b
lockstep bench --serve "$work/disk" --listen "127.0.0.1:$raw_port" --size 32M >"$work/raw.log" 2>&1 &
raw=$!
wait_until 20 is_listening || fail "the raw end does not listen"
timeout 120 lockstep bench "${options[@]}" --json >"$work/figures" 2>"$work/errors" || fail "it ended with $?: $(cat "$work/figures" "$work/errors")"
check_mode copy
if [[ $LOCKSTEP_KERNEL == 6.12 ]]; then
	[[ $(mode zero-copy .measured) == false ]] || fail "this kernel has no zero-copy mode, yet it was measured"
	note "zero-copy: $(mode zero-copy .reason)"
	[[ $(mode zero-copy .reason) == *zero-copy* ]] || fail "it is not said why zero-copy was not measured"
else
	check_mode zero-copy
fi
nothing_stays
kill -INT "$raw"
wait "$raw" || fail "the raw end ended with $?"

[[ $LOCKSTEP_KERNEL == 7.3 ]] || exit 0
# In the middle, without a raw end this time: the volume is measured all the same.
lockstep bench "${options[@]}" >"$work/out" 2>"$work/errors" &
interrupted=$!
wait_until 30 has_a_device || fail "there is no device to interrupt: $(cat "$work/errors")"
kill -INT "$interrupted"
code=0
wait "$interrupted" || code=$?
((code == 12)) || fail "an interrupted measurement ended with $code: $(cat "$work/errors")"
nothing_stays
