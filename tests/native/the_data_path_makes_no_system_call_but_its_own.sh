#!/usr/bin/env bash
# Under load of every kind, by strace: the gateway's data thread calls io_uring_enter (sched_yield while it polls, the test frontend's futex), a replica-server's also what its store in RAM is read and written by.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

case $B in */asan | */tsan | */ubsan) skip "a sanitizer makes system calls of its own" ;; esac
command -v strace >/dev/null || skip "there is no strace: deploy/install-deps test installs it"

# The threads of process $1 that are named data or data-N.
data_threads()
{
	local task
	for task in /proc/"$1"/task/*; do
		[[ $(<"$task/comm") != data* ]] || printf '%s\n' "${task##*/}"
	done
}

# calls WHO TID: what the thread calls in a second: lines "NAME COUNT" in $tmp/calls-WHO.
calls()
{
	local who=$1 tid=$2 code=0
	timeout --signal=INT --kill-after=10 "$SLOW" strace -qq -c -U name,calls -o "$tmp/counted" -p "$tid" \
		>"$tmp/strace.log" 2>&1 || code=$?
	! grep -q 'attach: ptrace' "$tmp/strace.log" || skip "ptrace is forbidden here: $(head -n 1 "$tmp/strace.log")"
	[[ -e $tmp/counted ]] || fail "strace ended with $code: $(cat "$tmp/strace.log")"
	awk '$1 ~ /^[a-z]/ && $2 ~ /^[0-9]+$/ && $1 != "total" { print $1, $2 }' "$tmp/counted" >"$tmp/calls-$who"
	rm "$tmp/counted"
}

# What may be written and read in that second, thousands of requests long: letters to and from the control thread.
letters_max=4

# only WHO NAME...: nothing else was called, and io_uring_enter was.
only()
{
	local who=$1 name count
	shift
	while read -r name count; do
		[[ " $* " == *" $name "* || ($name =~ ^(read|write)$ && $count -le $letters_max) ]] || fail "the data thread of $who called $name $count times"
		printf '%s: %s %s\n' "$who" "$name" "$count"
	done <"$tmp/calls-$who"
}

# A replica whose threads are traced answers slowly on a busy machine, and one of two must not leave for it.
gateway_options=(--answer-deadline 30)
for server in a b; do replica_start "$server"; done
volume_create vol 32m
volume_run vol --seconds 3600 --depth 128 --io-bytes 128k --max 128k --hot 1m --meta 10 --seed 15 --busy 100
goes_on vol
before=$(served vol)
calls gateway "$(data_threads "${gateway_pid[vol]}")"
echo "served meanwhile: $(($(served vol) - before))"
only gateway io_uring_enter sched_yield futex
grep -q '^io_uring_enter' "$tmp/calls-gateway" || fail "nothing was counted"
for server in a b; do
	for thread in $(data_threads "${replica_pid[$server]}"); do
		calls "$server-$thread" "$thread"
		only "$server-$thread" io_uring_enter sched_yield pread64 pwritev2 fdatasync fallocate
	done
	grep -qs '^io_uring_enter' "$tmp/calls-$server"-* || fail "nothing was counted for $server"
done
goes_on vol
load_end vol now
gateway_stop vol
