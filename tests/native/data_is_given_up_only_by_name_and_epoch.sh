#!/usr/bin/env bash
# The only replica in sync is gone for good: the attach is refused with the words that would give up what it had. Other
# words are refused; those words attach with what is left, count the loss, and overwrite the lost one when it turns up again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
for name in a b w; do replica_start "$name"; done
volume_create vol 8m --replica "a=$(replica_address a)" --replica "b=$(replica_address b)" --witness "w=$(replica_address w)"

attach=("$cli" volume attach vol --no-systemd --frontend "shm:$shm_dir/vol" --gateway-option=--attach-limit="$((4 * SLOW))")
attach()
{
	local pid
	pid=$(json 'd["pid"]' "${attach[@]}" "$@") || fail "attach $*: $(tail -n 3 "$run_dir/vol.log")"
	pids+=("$pid") # detached: not our child, but ours to end
}

leg_is()
{
	[[ $(json "[l['member'] for l in d['volumes'][0]['legs'] if l['name'] == '$1'][0]" "$cli" status vol) == "$2" ]]
}

says 2 "needs --accept-data-loss=vol@EPOCH" "${attach[@]}" --force
says 2 "has no effect without --force" "${attach[@]}" --accept-data-loss=vol@1
says 2 "'other@1' is not vol@EPOCH" "${attach[@]}" --force --accept-data-loss=other@1
says 2 "'vol@x' is not VOLUME@EPOCH" "${attach[@]}" --force --accept-data-loss=vol@x

# What is written while b is out, a alone has.
load_start vol --seconds 3600 --max 64k --seed 11
attach
wait_until 15 "the volume serves" load_serves vol
goes_on vol
replica_kill b
wait_until 20 "b is out" leg_is b out
goes_on vol
load_end vol now
"$cli" volume detach vol >/dev/null 2>&1 || fail "detach: $(tail -n 3 "$run_dir/vol.log")"
replica_kill a
replica_start b

load_start vol --seconds 3600 --max 64k --seed 12 --fill
says 6 "missing: a \($(replica_address a)\)" "${attach[@]}"
epoch=$(sed -nE 's/.*--force --accept-data-loss=vol@([0-9]+).*/\1/p' "$tmp/says.err" | head -n 1)
[[ $epoch ]] || fail "the refusal shows no epoch: $(cat "$tmp/says.err")"
says 5 "accepted for epoch $((epoch + 1)), but its replicas are at epoch $epoch" \
	"${attach[@]}" --force --accept-data-loss="vol@$((epoch + 1))"
attach --force --accept-data-loss="vol@$epoch"
[[ $(json 'd["volumes"][0]["sets"][0]["loss_count"]' "$cli" status vol) == 1 ]] || fail "$("$cli" status vol)"
grep -q "event=loss-recorded.*given up by the operator" "$run_dir/vol.log" || fail "no word of it: $(cat "$run_dir/vol.log")"
wait_until 15 "the volume serves" load_serves vol
replica_start a
wait_until 30 "a is taken back" leg_is a in-sync
load_end vol now
"$cli" volume detach vol >/dev/null 2>&1 || fail "detach: $(tail -n 3 "$run_dir/vol.log")"
replicas_match vol 1m "a b"
