#!/usr/bin/env bash
# ext4 and SQLite on three replicas of which one after the other is killed or stopped, twenty times: what was committed is
# there, the database and the file system are whole, and the replicas are identical.
# kernels: 7.3
# limit: 240
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

deadline_ms=2000
body="replace(hex(zeroblob(200 + i % 300)), '00', printf('%08d', i))"
replicas=(a b c)
database=$work/mnt/db

# Each row in a transaction of its own; its number is printed once it is committed. Long lines, so that few of them are
# on their way through the pipe when it is enough.
transactions()
{
	local i
	echo "PRAGMA synchronous=FULL; CREATE TABLE t(i INTEGER PRIMARY KEY, body TEXT);"
	for ((i = 1; ; i++)); do
		[[ ! -e $work/enough ]] || return 0
		printf '%4000s\n' "INSERT INTO t SELECT i, $body FROM (SELECT $i AS i); SELECT $i;"
	done
}

is_whole()
{
	local found
	found=$(sqlite3 "$database" 'PRAGMA integrity_check;')
	[[ $found == ok ]] || fail "$1: integrity_check says $found"
	found=$(sqlite3 "$database" "SELECT count(*) FROM t WHERE body = $body;")
	((found == committed)) || fail "$1: $found of $committed committed rows are there and right"
}

replicas_begin "${replicas[@]}"
volume_create v 96M "${replicas[*]}"
gateway_begin v --answer-deadline 2 --reconnect 10
mkfs.ext4 -q -F "$device"
mkdir -p "$work/mnt"
mount "$device" "$work/mnt"
transactions | sqlite3 -bail "$database" >"$work/committed" 2>"$work/sqlite.log" &
load=$!
longest=0
for ((failure = 1; failure <= 20; failure++)); do
	replica=${replicas[failure % 3]}
	signal=KILL
	((failure % 7 != 0)) || signal=STOP
	lose "$replica" "$signal"
	longest=$((pause > longest ? pause : longest))
	regain "$replica"
	note "$replica, SIG$signal: evicted after $pause ms, back after $(in_last duration_ms v rejoined "$replica") ms"
	! process_is_gone "$load" || { cat "$work/sqlite.log" && fail "the database gave up at failure $failure"; }
done
: >"$work/enough"
wait_until 60 process_is_gone "$load" || fail "the database hangs"
wait "$load" || { cat "$work/sqlite.log" && fail "the database ended badly"; }
committed=$(tail -n 1 "$work/committed")
note "20 failures, the longest pause $longest ms; $committed transactions committed"
is_whole "before unmounting"
umount "$work/mnt"
echo 3 >/proc/sys/vm/drop_caches
e2fsck -fn "$device" >"$work/check" 2>&1 || { cat "$work/check" && fail "e2fsck finds faults"; }
mount "$device" "$work/mnt"
is_whole "from the replicas alone"
umount "$work/mnt"
gateway_detach v
replicas_are_identical v 0 "${replicas[@]}" || fail "the replicas differ"
