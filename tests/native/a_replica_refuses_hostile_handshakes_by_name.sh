#!/usr/bin/env bash
# Every way to begin wrongly is refused with its own reason, and an honest volume on the same server never notices.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

other=11111111-2222-4333-8444-555555555555
replica_start a
volume_create vol 16m
volume_create honest 16m
uuids vol
read -r volume set replica <<<"$ids"
volume_run honest --seconds 3600 --max 128k

talk a "hello data $ids version=0" "expect refused malformed"
talk a "hello data $ids version=1" "expect refused version"
talk a "hello data $ids features=0x8000000000000000" "expect refused version"
talk a "hello data $volume $set replica=$other" "expect refused unknown-replica"
talk a "hello data volume=$other $set $replica" "expect refused wrong-volume"
talk a "hello data $volume set=$other $replica" "expect refused wrong-set"
talk a "probe" "expect refusal-or-closed"                                          # before HELLO
talk a "hello data $ids" "expect welcome" "hello data $ids" "expect refusal-or-closed" # twice
talk a "hello data $ids" "expect welcome" "open 5 1" "expect refused not-promised"
talk a "hello bulk $ids" "expect welcome" "join 5 1" "expect refusal-or-closed"    # no session
talk a "hello bulk $ids" "expect welcome" "promise 5 7" "expect refusal-or-closed" # wrong lane
talk a "hello admin" "expect welcome" "open 1 1" "expect refusal-or-closed"
talk a "hello data $ids" "expect welcome" "list" "expect refusal-or-closed"
talk a "hello data $ids" "expect welcome" "promise 0 7" "expect refusal-or-closed"
talk a "hello data $ids" "expect welcome" "promise 10 7" "expect state" "open 10 1" "expect opened" \
	"connect" "hello data $ids" "expect welcome" "promise 10 8" "expect refused stale-epoch" \
	"connect" "hello data $ids" "expect welcome" "promise 9 7" "expect refused stale-epoch" \
	"connect" "hello data $ids" "expect welcome" "promise 10 7" "expect state" "open 10 1" "expect refused stale-session" \
	"connect" "hello data $ids" "expect welcome" "open 11 1" "expect refused not-promised" \
	"connect" "hello data $ids" "expect welcome" "open 10 2" "expect opened"
# Configs that do not follow from the one that stands.
for wrong in "set=$other" "voter=$other"; do
	talk a "hello data $ids" "expect welcome" "promise 10 7" "expect state" "accept 10 7 $wrong" "expect refused bad-config"
done
for wrong in set_bytes=4096 volume_bytes=4096; do
	talk a "hello data $ids" "expect welcome" "promise 10 7" "expect state" "accept 10 7 $wrong" "expect refused malformed"
done
talk a "hello data $ids" "expect welcome" "promise 10 7" "expect state" "accept 10 7 gen=5" "expect accepted" \
	"accept 10 7 gen=1" "expect refused bad-config" # older than the one accepted a moment ago
talk a "hello data $ids" "expect welcome" "promise 10 7" "expect state" "accept 12 7" "expect refused not-promised"
# A voter's questions: under another ballot, beyond the set, on the wrong lane.
for kind in heartbeat list_regions stamped_regions "stamp sync=1" "digest length=65536" forget; do
	read -r name rest <<<"$kind"
	talk a "hello data $ids" "expect welcome" "ask $name 11 7 $rest" "expect refused not-promised"
	talk a "hello data $ids" "expect welcome" "ask $name 10 8 $rest" "expect refused stale-epoch"
	talk a "hello bulk $ids" "expect welcome" "ask $name 10 7 $rest" "expect refused order"
	talk a "ask $name 10 7 $rest" "expect refusal-or-closed"
done
talk a "hello data $ids" "expect welcome" "ask stamp 10 7 first=16 count=1 gen=2" "expect refused malformed"
talk a "hello data $ids" "expect welcome" "ask stamp 10 7 first=0 count=17 gen=2" "expect refused malformed"
talk a "hello data $ids" "expect welcome" "ask stamp 10 7" "expect refused malformed"
talk a "hello data $ids" "expect welcome" "ask digest 10 7 offset=16777216 length=65536" "expect refused malformed"
talk a "hello data $ids" "expect welcome" "ask digest 10 7 length=4096" "expect refused malformed"
talk a "hello data $ids" "expect welcome" "ask digest 10 7 offset=512 length=65536" "expect refused malformed"
# Bytes that are no protocol at all.
talk a "bytes 474554202f20485454502f312e310d0a0d0a" "random 200 1" "expect refusal-or-closed"
talk a "random 5000 2" "expect refusal-or-closed"
talk a "raw control 0=0 length=10" "expect refusal-or-closed"
talk a "frame control length=10" "expect refusal-or-closed"                        # a checksum that fits, no message inside
talk a "frame control length=10 checksum=1" "expect refusal-or-closed"
talk a "frame control length=70000" "expect refusal-or-closed"
talk a "frame read" "expect refusal-or-closed"                                     # data before a session
for kind in 2 3 5 8 10 12 14 16 18 20 23 25 27 29; do                              # answers sent as questions
	talk a "hello data $ids" "expect welcome" "message $kind" "expect refusal-or-closed"
done
# Cut off in the middle of a handshake, at every place that matters.
for bytes in 1 63 64 65 100 130; do
	talk a "cut $bytes" "hello data $ids" "connect" "cutfin $bytes" "hello data $ids" "close"
	talk a "hello data $ids" "expect welcome" "cut $bytes" "promise 20 7" "close"
done

is_alive "${replica_pid[a]}" || fail "the server died"
goes_on honest
(($(status_value honest .legs.0.reconnects) == 0)) || fail "the honest volume lost a connection"
load_end honest now
gateway_stop honest
