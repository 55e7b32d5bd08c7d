#!/usr/bin/env bash
# Leases, lists, stamps and digests over the wire, beside data frames; copies; and a witness, made, listed and asked.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

other=11111111-2222-4333-8444-555555555555
replica_start a
volume_create vol 16m
uuids vol
read -r volume set _ <<<"$ids"
hello=("hello data $ids" "expect welcome")

# Without a session: a voter only.
talk a "${hello[@]}" "promise 10 7" "expect state" "ask heartbeat 10 7" "expect beat" \
	"ask list_regions 10 7" "expect regions runs=0" "ask stamped_regions 10 7" "expect regions runs=0" \
	"ask stamp 10 7 first=2 count=3 gen=5 sync=1" "expect stamped" \
	"ask stamped_regions 10 7 from=3 above=4" "expect regions runs=1 first=3 count=2 gen=5" \
	"ask digest 10 7 offset=0 length=1048576" "expect digested pieces=16 equal=16" "ask forget 10 7" "expect forgotten"
# The stamps outlive the server.
replica_kill a
replica_start a
talk a "${hello[@]}" "promise 10 7" "expect state" "ask stamped_regions 10 7" "expect regions runs=1 first=2 count=3 gen=5"

# In a session: many questions at once, data frames between them, answers in order.
talk a "${hello[@]}" "promise 10 7" "expect state" "open 10 1" "expect opened" \
	"frame write offset=65536" "expect reply write" "ask list_regions 10 7" "expect regions runs=1 first=0 count=1" \
	"ask digest 10 7 offset=0 length=1048576" "ask digest 10 7 offset=1048576 length=1048576" "ask heartbeat 10 7" \
	"ask digest 10 7 offset=0 length=65536" "ask digest 10 7 offset=0 length=65536" "ask stamp 10 7 sync=1" \
	"ask digest 10 7 offset=0 length=65536" "ask digest 10 7 offset=0 length=65536" "ask heartbeat 10 7" \
	"ask digest 10 7 offset=0 length=65536" "ask digest 10 7 offset=0 length=131072" "ask heartbeat 10 7" \
	"expect digested pieces=16 equal=1" "expect digested pieces=16 equal=16" "expect beat" \
	"expect digested pieces=1" "expect digested pieces=1" "expect stamped" \
	"expect digested pieces=1" "expect digested pieces=1" "expect beat" \
	"expect digested pieces=1" "expect digested pieces=2 equal=1" "expect beat" \
	"frame read offset=65536" "expect reply read length=4096 fill=0x77" \
	"frame write offset=3145728 wseq=0 flags=12 gen=6" "expect reply write" \
	"ask list_regions 10 7" "expect regions runs=1 first=0 count=1" \
	"ask stamped_regions 10 7 above=5" "expect regions runs=1 first=3 count=1 gen=6"
# A page longer than one message, and a message that waits while 8 answers are owed, are the unit tests' matter.

# A witness of the same set: another directory of the same server.
talk a "${hello[@]}" "probe" "expect state" "connect" "hello admin" "expect welcome" "witness $other vol" "expect created"
witness=("hello data $volume $set replica=$other" "expect welcome")
talk a "${witness[@]}" "promise 3 7" "expect state" "ask heartbeat 3 7" "expect beat" "accept 3 7" "expect accepted"
talk a "${witness[@]}" "open 3 1" "expect refused order"
for kind in list_regions stamped_regions "stamp sync=1" "digest length=65536" forget; do
	read -r name rest <<<"$kind"
	talk a "${witness[@]}" "ask $name 3 7 $rest" "expect refused order"
done
dir=$tmp/a/vol.0.11111111
[[ $(ls "$dir") == superblock ]] || fail "the witness holds $(ls "$dir")"
replica_kill a TERM
replica_start a
talk a "${witness[@]}" "promise 3 8" "expect refused stale-epoch"
replica_kill a TERM
touch "$dir/data"
replica_start a
# The server listens before it looks at what it holds: a connection is no sign that it has looked.
wait_until 10 "the server says what is wrong" log_has replica-a "witness.*'data'"
talk a "${witness[0]}" "expect refused"
talk a "${hello[@]}" "promise 10 7" "expect state"
