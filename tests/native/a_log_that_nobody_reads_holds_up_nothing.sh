#!/usr/bin/env bash
# Who reads the log stops: a pipe is full, a journal waits for its own disk, which may be the volume. Neither a gateway nor a
# replica-server waits for it; the lines that found no room are counted, and told of when there is some again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

fill()
{
	dd if=/dev/zero of="$tmp/pipe" bs=512 oflag=nonblock 2>/dev/null || true
}

reads_of_lost_lines()
{
	log_has read 'event=lines_lost count=[1-9]'
}

mkfifo "$tmp/pipe"
exec {pipe}<>"$tmp/pipe"
# shellcheck disable=SC2016 # the inner shell's
into_the_pipe=(bash -c 'exec "$@" 2>"$0"' "$tmp/pipe")

for server in a b; do replica_start "$server"; done
replica_wrap=("${into_the_pipe[@]}")
replica_start c
replica_wrap=(env)
volume_create vol 16m
gateway_wrap=("${into_the_pipe[@]}")
volume_run vol --seconds 3600 --span 4m --max 256k --seed 3
fill
goes_on vol
for _ in 1 2; do
	replica_kill a
	goes_on vol
	replica_start a
	whole vol
	goes_on vol
done

spawn read cat "$tmp/pipe"
replica_kill b
goes_on vol
wait_until 20 "the log tells how many lines it lacks" reads_of_lost_lines
load_end vol now
gateway_stop vol
exec {pipe}>&-
