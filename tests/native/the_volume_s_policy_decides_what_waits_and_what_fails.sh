#!/usr/bin/env bash
# The same loss under each policy: without a majority I/O waits, or fails after its deadline and is never acknowledged; with
# fewer replicas than min-in-sync nothing is evicted and I/O waits. The file says it, and an option goes over it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
for name in a b w; do replica_start "$name"; done
volume_create vol 16m --replica "a=$(replica_address a)" --replica "b=$(replica_address b)" --witness "w=$(replica_address w)" \
	--policy slow-factor=never --policy answer-deadline="$((3 * SLOW))"
file=$config_dir/volumes/vol.yaml
says_policy() { sed -i '/^on-no-quorum\|^quorum-deadline\|^min-in-sync/d' "$file" && printf '%s\n' "$@" >>"$file"; }
reason_is() { [[ $(json 'd["volumes"][0]["reason"]' "$cli" status vol) == "$1" ]]; }
value() { json "d['volumes'][0]['$1']" "$cli" status vol; }
both_in_sync() { [[ $(json '[l["member"] for l in d["volumes"][0]["legs"]]' "$cli" status vol) == "['in-sync', 'in-sync', 'votes']" ]]; }
failed_some() { (($(value failed_requests) > 0)); }

grep -qx "slow-factor: never" "$file" || fail "$(cat "$file")"
"$cli" volume show vol | has_line -x "answer-deadline: $((3 * SLOW))" || fail "$("$cli" volume show vol)"

# suspend: nothing fails, however long.
volume_run vol --seconds 3600 --max 64k --seed 1
replica_kill w # first: with its vote b would be evicted, and a go on alone
replica_kill b
wait_until 20 "it is suspended" reason_is "set 0: no majority of the voters answers"
before=$(served vol)
sleep 2
[[ $(served vol) == "$before" && $(value failed_requests) == 0 ]] || fail "$("$cli" status vol)"
replica_start b
replica_start w
goes_on vol
wait_until 30 "both are in sync" both_in_sync
load_end vol now
gateway_stop vol

# error: it fails after its deadline, and goes on when they are back.
says_policy "on-no-quorum: error" "quorum-deadline: 1"
[[ $(json '(d["volume"]["policy"]["on_no_quorum"], d["volume"]["policy"]["quorum_deadline_s"])' "$cli" volume show vol) == "('error', 1)" ]] ||
	fail "$("$cli" volume show vol)"
# What the first load left: a fill may fail, too.
mv "$tmp/vol.image" "$tmp/before.image"
load_start vol --seconds 3600 --max 64k --seed 2 --errors-allowed --no-final --initial "$tmp/before.image"
gateway_start vol
wait_until 15 "it serves" load_serves vol
goes_on vol
replica_kill w
replica_kill b
wait_until 20 "requests fail" failed_some
reason_is "set 0: no majority of the voters answers" || fail "$("$cli" status vol)"
replica_start b
replica_start w
goes_on vol
wait_until 30 "both are in sync" both_in_sync
load_end vol now
gateway_stop vol

# min-in-sync: the one that is left does not go on alone, though there is a majority.
says_policy "min-in-sync: 2"
load_start vol --seconds 3600 --max 64k --seed 3 --fill
gateway_start vol
wait_until 15 "it serves" load_serves vol
replica_kill b
wait_until 20 "it is suspended" reason_is "set 0: fewer replicas in sync than min-in-sync"
[[ $(value evictions) == 0 ]] || fail "$("$cli" status vol)"
replica_start b
goes_on vol
wait_until 30 "both are in sync" both_in_sync
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b"

# An option goes over the file; what cannot be is refused.
load_start vol --seconds 3600 --max 64k --seed 4 --fill
gateway_start vol --min-in-sync 1
wait_until 15 "it serves" load_serves vol
replica_kill b
wait_until 20 "b is evicted" log_has gateway-vol "event=evicted .*replica=b"
goes_on vol
load_end vol now
gateway_stop vol
says 2 "min-in-sync 3: set 0 has 2 replicas only" "$B/lockstep-gateway" --volume-file "$file" --run-dir "$run_dir" --min-in-sync 3 \
	--frontend "shm:$shm_dir/vol"
says_policy "min-in-sync: 3"
says 10 "vol.yaml:[0-9]+: min-in-sync: .*set 0 has 2 replicas only" "$cli" volume show vol
