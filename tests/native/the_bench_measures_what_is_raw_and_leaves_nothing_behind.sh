#!/usr/bin/env bash
# `lockstep bench`: the raw end answers its four commands and refuses all others; without a ublk kernel the scratch volume is refused with the reason, and nothing of it stays anywhere.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

raw_port=7429
export TMPDIR=$tmp/tmpdir
mkdir "$TMPDIR"

# raw LINE: what the raw end answers to it.
raw()
{
	local answer
	exec 4<>"/dev/tcp/$ip/$raw_port"
	printf '%s\n' "$1" >&4
	read -r answer <&4 || answer=
	exec 4>&-
	printf '%s' "$answer"
}

refuses()
{
	local answer
	answer=$(raw "$1")
	[[ $answer == "error "* ]] || fail "'$1' is answered by '$answer'"
}

raw_is_ready()
{
	is_alive "$raw_pid" || fail "the raw end ended: $(tail -n 2 "$tmp/raw.log")"
	log_has raw '^measuring'
}

for server in a b; do replica_start "$server"; done
says 2 '^lockstep: --against-raw: is missing' "$B/lockstep" bench
says 2 '^lockstep: --replica: is needed' "$B/lockstep" bench --against-raw
says 2 '^lockstep: --serve: stands alone' "$B/lockstep" bench --serve "$tmp" --against-raw
says 3 "^lockstep: $tmp/none: " "$B/lockstep" bench --serve "$tmp/none" --listen "$ip:$raw_port"
mkdir "$tmp/disk"
spawn raw "$B/lockstep" bench --serve "$tmp/disk" --listen "$ip:$raw_port" --size 16M
raw_pid=$spawned
wait_until 20 "the raw end listens" raw_is_ready
[[ -z $(ls -A "$tmp/disk") ]] || fail "the scratch file has a name: $(ls -A "$tmp/disk")"
[[ $(raw 'disk w s 1048576 8 1') =~ ^ok\ [1-9][0-9]*\ [1-9][0-9]*\ [1-9][0-9]*$ ]] || fail "no disk write"
for line in 'disk w s 1048577 8 1' 'disk w s 0 8 1' 'disk r r 4096 65 1' 'disk r r 4096 0 1' 'disk r r 4096 1 61' \
	'disk r r 4096 1 0' 'disk' 'disk w s 4294967297 1 1' 'give 0' 'give 99999' 'give -1' 'rm -rf' '' \
	"$(printf 'x%.0s' {1..1000})"; do
	refuses "$line"
done

# The raw part works everywhere; the volume needs a ublk kernel.
code=0
lockstep bench --against-raw --replica "a=$(replica_address a)" --replica "b=$(replica_address b)" --size 16M \
	--seconds 1 --raw-port "$raw_port" >"$tmp/bench.out" 2>"$tmp/bench.err" || code=$?
cat "$tmp/bench.out"
(($(grep -cE 'network, to it +[1-9][0-9]* MB/s' "$tmp/bench.out") == 2)) || fail "the network was not measured"
(($(grep -cE 'disk, .* +[1-9][0-9]* (MB/s|IOPS)' "$tmp/bench.out") == 10)) || fail "the disks were not measured"
grep -qE 'to all at once +[1-9][0-9]* MB/s to each' "$tmp/bench.out" || fail "not measured to all at once"
if ((code == 0)); then
	grep -qE '4k random write, depth 1 .*overhead x' "$tmp/bench.out" || fail "no overhead is told"
else
	grep -qE '^lockstep: bench-scratch-[0-9]+: .*(ublk|root)' "$tmp/bench.err" ||
		fail "the refusal has no reason: $(cat "$tmp/bench.err")"
fi
for server in a b; do
	[[ $(json 'sum(len(s["replicas"]) for s in d["servers"])' "$B/lockstep" replica list --server "$(replica_address "$server")") == 0 ]] ||
		fail "a scratch replica stays on $server"
done
[[ -z $(ls -d "$TMPDIR"/lockstep-bench.* 2>/dev/null) ]] || fail "a directory stays: $(ls -d "$TMPDIR"/lockstep-bench.*)"

# SIGINT while the raw disks are measured: that is the end, no volume is made any more.
spawn interrupted "$B/lockstep" bench --against-raw --replica "a=$(replica_address a)" --replica "b=$(replica_address b)" --size 16M \
	--seconds 2 --raw-port "$raw_port"
wait_until 20 "the raw part has begun" log_has interrupted 'raw network'
end INT "$spawned"
((ended == 12)) || fail "an interrupted bench ended with $ended"
log_has interrupted '^lockstep: bench: interrupted' || fail "it does not say so: $(cat "$tmp/interrupted.log")"

# Without a raw end the volume part goes on all the same, and says what is missing.
end INT "$raw_pid"
((ended == 0)) || fail "the raw end ended with $ended"
lockstep bench --against-raw --replica "$(replica_address a)" --replica "$(replica_address b)" --size 16M --seconds 1 \
	--raw-port "$raw_port" >"$tmp/bench.out" 2>"$tmp/bench.err" || true
(($(grep -c "raw disk and network stay unmeasured: .*run 'lockstep bench --serve DIR' there" "$tmp/bench.err") == 2)) ||
	fail "it is not said that there is no raw end: $(cat "$tmp/bench.err")"
