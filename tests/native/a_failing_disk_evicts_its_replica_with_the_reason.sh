#!/usr/bin/env bash
# EIO from a write or from fsync on one replica's disk evicts that replica with the reason; started anew with a sound disk
# it is taken back. A read that fails is answered by another. When every disk fails the application gets the error.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

failed_some()
{
	(($(status_value vol .failed_requests) > $1))
}

replica_start a
replica_start c
faulty_replica_start b
volume_create vol 16m
volume_run vol --seconds 3600 --span 4m --hot 1m --max 256k --mix 40:50:2:2:6 --seed 34
count=0
for operation in write sync; do
	goes_on vol
	echo "$operation EIO data" >"$tmp/fault-b"
	count=$((count + 1))
	wait_until 15 "b is evicted for its $operation" told vol evicted b "$count"
	reason=$(event_value vol evicted b text)
	[[ $reason == *EIO* ]] || fail "the reason is $reason"
	echo "$operation: $reason"
	goes_on vol
	rm "$tmp/fault-b"
	# A disk that failed is not trusted again by itself.
	replica_kill b TERM
	faulty_replica_start b
	wait_until 30 "b is in sync again" told vol rejoined b "$count"
	whole vol
done
echo "read EIO data" >"$tmp/fault-b"
reissued=$(status_value vol .reissued_reads)
reads_go_elsewhere()
{
	(($(status_value vol .reissued_reads) > reissued))
}
wait_until 15 "a failed read goes to another replica" reads_go_elsewhere
rm "$tmp/fault-b"
(($(status_value vol .failed_requests) == 0)) || fail "the application got an error though two replicas were sound"
whole vol
load_end vol now
gateway_stop vol
replicas_match vol 1m "a b c"

# Every replica's disk fails. A write that all refused fails; those after it wait for a sound disk, or fail as well.
for server in a c; do replica_kill "$server" TERM; done
replica_kill b TERM
unset 'replica_port[a]' 'replica_port[b]' 'replica_port[c]' 'replica_pid[a]' 'replica_pid[b]' 'replica_pid[c]'
for server in d e; do faulty_replica_start "$server"; done
volume_create both 16m
volume_run both --seconds 3600 --span 4m --hot 1m --max 256k --mix 40:50:2:2:6 --seed 35 --errors-allowed
goes_on both
for server in d e; do echo "write EIO data" >"$tmp/fault-$server"; done
both_failed()
{
	(($(status_value both .failed_requests) > 0)) || state_is both suspended
}
wait_until 15 "writes fail or wait" both_failed
rm "$tmp/fault-d" "$tmp/fault-e"
for server in d e; do
	replica_kill "$server" TERM
	faulty_replica_start "$server"
done
# A durable write that failed everywhere leaves unknown what of the completed ones is on any disk: then the volume says
# so and serves no more before it is attached again. Nothing in between.
is_decided()
{
	is_whole both || told both loss-recorded
}
wait_until 60 "the volume goes on, or says what it lost" is_decided
if told both loss-recorded; then
	text=$(event_value both loss-recorded '' text)
	echo "loss: $text"
	[[ $text == *"failed to "*"detach and attach"* ]] || fail "the loss is told as: $text"
	end KILL "${load_pid[both]}"
	end TERM "${gateway_pid[both]}"
	volume_run both --seconds 3600 --span 4m --hot 1m --max 256k --mix 0:100:0:0:1 --seed 36 --no-final
fi
goes_on both
whole both
load_end both now
gateway_stop both
if told both loss-recorded; then
	"$tools/imgcompare" "$(replica_dir d both 0)/data" "$(replica_dir e both 0)/data" || fail "replicas differ"
else
	replicas_match both 1m "d e"
fi
