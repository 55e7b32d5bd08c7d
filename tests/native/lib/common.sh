# shellcheck shell=bash
# What every native test script uses: its own directory and loopback address, programs started and ended by their own pid,
# waits with a bound. Sourced, after `set -euo pipefail`.
# Variables: B (build directory), TOOLS (the tests' own programs, of another build: only the product's run under a sanitizer
# then), SLOW (factor on every time bound; 4 under a sanitizer unless set), KEEP=1 (keep the directory).

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd -P)
cd "$top" || exit 1
B=$(realpath "${B:-build/${FLAVOR:-release}}")
case ${B##*/} in
asan | tsan | ubsan) SLOW=${SLOW:-4} ;;
*) SLOW=${SLOW:-1} ;;
esac
export SLOW
tools=$(realpath "${TOOLS:-$B/tests/native}") # the tests' own programs
tmp=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-test.XXXXXX")
shm_dir=$(mktemp -d /dev/shm/lockstep-test.XXXXXX)
# An address of its own for every test process: no port is ever taken by a neighbour.
ip=127.$((64 + $$ / 65536 % 64)).$(($$ / 256 % 256)).$((1 + $$ % 250))
run_dir=$tmp/run config_dir=$tmp/etc
export LOCKSTEP_RUN_DIR=$run_dir LOCKSTEP_CONFIG_DIR=$config_dir
mkdir -p "$run_dir" "$config_dir/volumes"
pids=() # of everything started here

skip()
{
	printf 'skip: %s\n' "$*"
	exit 77
}

show_logs()
{
	local log
	for log in "$tmp"/*.log; do
		[[ -s $log ]] || continue
		printf -- '--- %s\n' "${log##*/}"
		tail -n 25 "$log"
	done >&2
}

fail()
{
	printf 'FAIL: %s\n' "$*" >&2
	exit 1
}

# What a passed test leaves running must end in good order, and no sanitizer may have spoken. False: said why.
end_in_order()
{
	local name log deadline=$((${EPOCHREALTIME/[.,]/} + 10 * SLOW * 1000000))
	for name in "${!replica_pid[@]}"; do
		is_alive "${replica_pid[$name]}" || continue
		kill -TERM "${replica_pid[$name]}" 2>/dev/null || true
		while is_alive "${replica_pid[$name]}" && ((${EPOCHREALTIME/[.,]/} < deadline)); do sleep 0.02; done
		if is_alive "${replica_pid[$name]}"; then
			printf 'FAIL: replica-server %s does not end\n' "$name" >&2
			return 1
		fi
		end TERM "${replica_pid[$name]}"
		if ((ended != 0)); then
			printf 'FAIL: replica-server %s ended with %s\n' "$name" "$ended" >&2
			return 1
		fi
	done
	for log in "$tmp"/*.log; do
		if grep -qE '(ERROR|WARNING): [A-Za-z]+Sanitizer|runtime error:' "$log" 2>/dev/null; then
			printf "FAIL: a sanitizer's report in %s\n" "${log##*/}" >&2
			return 1
		fi
	done
}

finish()
{
	local code=$? pid
	trap - EXIT
	((code != 0)) || end_in_order || code=1
	((code == 0 || code == 77)) || show_logs
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null || continue
		wait "$pid" 2>/dev/null || true
	done
	if [[ -n ${KEEP-} ]]; then
		printf 'kept: %s\n' "$tmp"
	else
		rm -rf "$tmp" "$shm_dir"
	fi
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# spawn NAME COMMAND...: in the background, output to NAME.log; its pid is in $spawned.
spawn()
{
	local name=$1
	shift
	"$@" </dev/null >>"$tmp/$name.log" 2>&1 &
	spawned=$!
	pids+=("$spawned")
}

# end SIGNAL PID: and reap it; its exit code is in $ended.
end()
{
	kill -"$1" "$2" 2>/dev/null || true
	ended=0
	wait "$2" 2>/dev/null || ended=$?
}

# Not dead, and not a zombie that nobody has waited for.
is_alive()
{
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	[[ ${stat##*) } != [ZX]* ]]
}

# wait_until SECONDS WHAT COMMAND...: polls; the bound is multiplied by SLOW. What is waited for needs the processor, too:
# the pause is never shorter than the question, and one whose answer is thrown away is not searched for leaks.
wait_until()
{
	local seconds=$1 what=$2 deadline now asked pause
	local -x ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
	shift 2
	deadline=$((${EPOCHREALTIME/[.,]/} + seconds * SLOW * 1000000))
	until asked=${EPOCHREALTIME/[.,]/} && "$@"; do
		now=${EPOCHREALTIME/[.,]/}
		((now < deadline)) || fail "after $((seconds * SLOW)) s still not: $what"
		printf -v pause '%07d' $((now - asked > 50000 ? now - asked : 50000))
		sleep "${pause%??????}.${pause: -6}"
	done
}

# freeze PID: SIGSTOP, and wait until no thread of it runs any more; on a busy machine that is later than kill's return.
freeze()
{
	kill -STOP "$1"
	wait_until 10 "process $1 stands still" stands_still "$1"
}

thaw()
{
	kill -CONT "$1"
}

stands_still()
{
	local stat file
	for file in /proc/"$1"/task/*/stat; do
		{ read -r stat <"$file"; } 2>/dev/null || continue
		[[ ${stat##*) } == [TZX]* ]] || return 1
	done
}

log_has()
{
	grep -qE -- "$2" "$tmp/$1.log" 2>/dev/null
}

# has_line [GREP-OPTION...] PATTERN: a line of standard input matches. All of it is read first: `grep -q` ends with the first match,
# whoever still writes dies of the broken pipe, and with pipefail what was found counts as not found.
has_line()
{
	local text
	text=$(cat)
	grep -q "$@" <<<"$text"
}

# Exit code of a finished background command must be 0. A sanitizer's report is in its log.
must_end_well()
{
	local name=$1 pid=$2 code=0
	wait "$pid" || code=$?
	((code == 0)) || fail "$name ended with $code: $(tail -n 3 "$tmp/$name.log")"
}

lockstep()
{
	"$B/lockstep" "$@"
}

# ---- replica-servers: NAME listens on $ip:PORT with the directory $tmp/NAME ----
declare -A replica_pid replica_port
next_port=7420

replica_address()
{
	printf '%s:%s' "$ip" "${replica_port[$1]}"
}

can_connect()
{
	(exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null
}

replica_start()
{
	local name=$1
	shift
	if [[ -z ${replica_port[$name]-} ]]; then
		replica_port[$name]=$next_port
		next_port=$((next_port + 1))
		mkdir -p "$tmp/$name"
	fi
	spawn "replica-$name" "${replica_wrap[@]}" "$B/lockstep-replica" --listen "$(replica_address "$name")" --data "$tmp/$name" "$@"
	replica_pid[$name]=$spawned
	wait_until 10 "replica-server $name listens" can_connect "$(replica_address "$name")"
}
replica_wrap=(env)

# On tmpfs, where a preloaded library fails the calls that $tmp/fault-NAME says (lib/disk_fault.c).
faulty_replica_start()
{
	mkdir -p "$shm_dir/$1"
	[[ -e $tmp/$1 ]] || ln -s "$shm_dir/$1" "$tmp/$1"
	replica_wrap=(env "LD_PRELOAD=$B/tests/native/disk_fault.so" "DISK_FAULT=$tmp/fault-$1"
		"ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0}:verify_asan_link_order=0")
	replica_start "$1"
	replica_wrap=(env)
}

replica_kill()
{
	end "${2:-KILL}" "${replica_pid[$1]}"
}

replica_freeze()
{
	freeze "${replica_pid[$1]}"
}

replica_thaw()
{
	thaw "${replica_pid[$1]}"
}

# The data file of volume $2's replica on server $1; set $3 (default: any).
replica_dir()
{
	local dir
	for dir in "$tmp/$1/$2".*; do
		[[ -d $dir && (-z ${3-} || $dir == "$tmp/$1/$2.$3".*) ]] || continue
		printf '%s' "$dir"
		return
	done
	fail "no replica of $2 in $tmp/$1: $(ls "$tmp/$1")"
}

# ---- volumes ----
# volume_create NAME SIZE [OPTION...]: mirrored over every replica-server started so far unless options say otherwise;
# servers whose names begin with w are witnesses. A pair that has none goes without.
volume_create()
{
	local name=$1 size=$2 server servers=() words count
	shift 2
	if [[ " $* " != *" --replica "* ]]; then
		for server in "${!replica_port[@]}"; do
			[[ $server == w* ]] && servers+=(--witness) || servers+=(--replica)
			servers+=("$server=$(replica_address "$server")")
		done
	fi
	words=" ${servers[*]} $* "
	count=${words//--replica /}
	[[ $words == *" --witness "* ]] || (((${#words} - ${#count}) / 10 != 2)) || servers+=(--no-witness)
	lockstep volume create "$name" --size "$size" "${servers[@]}" "$@" >"$tmp/create-$name.log" 2>&1 ||
		fail "volume create $name: $(cat "$tmp/create-$name.log")"
}

# ---- gateways: one per volume, shared memory at $shm_dir/NAME ----
declare -A gateway_pid
gateway_options=()
gateway_wrap=(env)

gateway_start()
{
	local name=$1
	shift
	spawn "gateway-$name" "${gateway_wrap[@]}" "$B/lockstep-gateway" --volume-file "$config_dir/volumes/$name.yaml" \
		--run-dir "$run_dir" --frontend "shm:$shm_dir/$name" "${gateway_options[@]}" "$@"
	gateway_pid[$name]=$spawned
}

# Detach in good order, as `lockstep volume detach` and SIGTERM do.
gateway_stop()
{
	end TERM "${gateway_pid[$1]}"
	((ended == 0)) || fail "gateway of $1 ended with $ended"
}

status_json()
{
	lockstep status "$1" --json 2>/dev/null | python3 -c '
import json, sys
print(json.dumps(json.load(sys.stdin)["volumes"][0]))'
}

# One value out of the JSON status of a volume: .state, or .legs.0.reconnects. By hand: it is polled, and the machine is busy.
status_value()
{
	local json key=${2#.} leg
	json=$(lockstep status "$1" --json 2>/dev/null) || return 1
	if [[ $key == legs.* ]]; then
		leg=${key#legs.}
		key=${leg#*.}
		json=${json#*\"legs\": \[}
		for ((leg = ${leg%%.*}; leg > 0; leg--)); do json=${json#*\}}; done
	else
		json=${json%%\"legs\": \[*}${json#*\]}
		json=${json%%\"sets\": \[*}${json#*\]}
	fi
	[[ $json =~ \"$key\":\ (\"([^\"]*)\"|([0-9a-z]+)) ]] || return 1
	printf '%s' "${BASH_REMATCH[2]}${BASH_REMATCH[3]}"
}

state_is()
{
	[[ $(status_value "$1" .state 2>/dev/null) == "$2" ]]
}

# Every replica is in sync with a session, and nothing may differ any more.
is_whole()
{
	local json up in
	json=$(lockstep status "$1" --json 2>/dev/null) || return 1
	[[ $json != *'"member": "out"'* && $json != *'"member": "syncing"'* ]] || return 1
	[[ ! $json =~ \"uncertain_bytes\":\ [1-9] ]] || return 1
	up=${json//'"state": "up"'/} in=${json//'"member": "in-sync"'/}
	(((${#json} - ${#up}) / 13 == (${#json} - ${#in}) / 19 && ${#json} != ${#in}))
}

# whole NAME: waits for it.
whole()
{
	wait_until 60 "every replica of $1 is in sync" is_whole "$1"
}

# told VOLUME EVENT [REPLICA [N]]: its gateway's log has the event, N times (default 1). REPLICA empty: of anything.
told()
{
	(($(grep -cE "event=$2 .*replica=${3:-[^ ]*} " "$tmp/gateway-$1.log") >= ${4:-1}))
}

# event_value VOLUME EVENT REPLICA KEY: of the last such event.
event_value()
{
	local line
	line=$(grep -E "event=$2 .*replica=${3:-[^ ]*} " "$tmp/gateway-$1.log" | tail -n 1)
	[[ $line =~ \ $4=(\"([^\"]*)\"|([^ ]*)) ]] || fail "no $4 in $2 of $3: $line"
	printf '%s' "${BASH_REMATCH[2]}${BASH_REMATCH[3]}"
}

# ---- load ----
declare -A load_pid
# load_start NAME [EXERCISER-OPTION...]: makes the shared memory and begins when a gateway serves it. Bursts as deep as the
# queue, and pauses that leave the processor to what the test waits for, and to its neighbours: --busy 100 is all the time.
load_start()
{
	local name=$1
	shift
	# Another load's memory is not to be taken for this one's: that one is about to be replaced.
	rm -f "$tmp/load-$name.log" "$shm_dir/$name"
	spawn "load-$name" "$tools/exerciser" --shm "$shm_dir/$name" --stall $((30 * SLOW)) \
		--gateway-wait $((15 * SLOW)) --image "$tmp/$name.image" --busy 25 "$@"
	load_pid[$name]=$spawned
	wait_until 10 "the exerciser of $name has made its shared memory" load_is_ready "$name"
}

load_is_ready()
{
	is_alive "${load_pid[$1]}" || fail "the exerciser of $1 ended: $(tail -n 3 "$tmp/load-$1.log")"
	[[ $(head -c 7 "$shm_dir/$1" 2>/dev/null | tr -d '\0') == LOCKSHM ]]
}

# Also when it has already done everything it was asked to.
load_serves()
{
	local alive=no
	! is_alive "${load_pid[$1]}" || alive=yes
	! log_has "load-$1" '^serving' || return 0
	[[ $alive == yes ]] || fail "the exerciser of $1 ended: $(tail -n 3 "$tmp/load-$1.log")"
	return 1
}

# Within a few seconds: does it serve? A gateway that ended does not.
wait_for_service()
{
	local _
	for _ in $(seq $((30 * SLOW))); do
		! log_has "load-$1" '^serving' || return 0
		is_alive "${gateway_pid[$1]}" || return 1
		sleep 0.1
	done
	return 1
}

# The load and a gateway for it, both running.
volume_run()
{
	local name=$1
	shift
	load_start "$name" "$@"
	gateway_start "$name"
	wait_until 15 "volume $name serves" load_serves "$name"
}

# Lets the exerciser end (its own bound, or now), verify everything and say so.
load_end()
{
	[[ ${2-} != now ]] || kill -TERM "${load_pid[$1]}" 2>/dev/null || true
	must_end_well "load-$1" "${load_pid[$1]}"
	tail -n 1 "$tmp/load-$1.log"
}

# Reads and writes served so far, by the gateway's counters.
served()
{
	local json count=0
	json=$(lockstep status "$1" --json 2>/dev/null) || json=
	[[ $json =~ \"read_count\":\ ([0-9]+) ]] && count=${BASH_REMATCH[1]}
	[[ $json =~ \"write_count\":\ ([0-9]+) ]] && count=$((count + BASH_REMATCH[1]))
	printf '%s' "$count"
}

served_more_than()
{
	(($(served "$1") > $2))
}

# goes_on NAME: requests are completed from here on.
goes_on()
{
	local before
	before=$(served "$1")
	wait_until 20 "volume $1 goes on" served_more_than "$1" "$before"
}

# Every replica of every set is byte for byte the volume that the exerciser read at its end.
# replicas_match NAME CHUNK "a b c" ["d e" ...]: one argument per set, the names of its servers.
replicas_match()
{
	local name=$1 chunk=$2 set=0 servers server files sets=()
	shift 2
	for servers in "$@"; do
		files=
		for server in $servers; do
			files+=${files:+,}$(replica_dir "$server" "$name" "$set")/data
		done
		sets+=("$files")
		set=$((set + 1))
	done
	"$tools/imgcompare" --image "$tmp/$name.image" --chunk "$chunk" "${sets[@]}" || fail "replicas of $name differ"
}

# ---- faultproxy in front of a replica-server: proxy_start NAME; use $(proxy_address NAME) instead of the server's ----
declare -A proxy_port
proxy_start()
{
	proxy_port[$1]=$((next_port + 1000))
	next_port=$((next_port + 1))
	spawn "proxy-$1" "$tools/faultproxy" --listen "$ip:${proxy_port[$1]}" --connect "$(replica_address "$1")" \
		--control "$tmp/proxy-$1.sock"
	wait_until 5 "proxy of $1 listens" test -S "$tmp/proxy-$1.sock"
}

proxy_address()
{
	printf '%s:%s' "$ip" "${proxy_port[$1]}"
}

proxy()
{
	local name=$1
	shift
	"$tools/faultproxy" tell "$tmp/proxy-$name.sock" "$@"
}

proxy_fired()
{
	local fired
	fired=$(proxy "$1" stat)
	fired=${fired##*fired=}
	((${fired%% *} >= $2))
}

# ---- the raw protocol ----
# uuids NAME: volume, set and replica of a volume with one replica, as blockclient's words, in $ids.
uuids()
{
	local found
	mapfile -t found < <(grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' "$config_dir/volumes/$1.yaml")
	# shellcheck disable=SC2034 # for the caller
	ids="volume=${found[0]} set=${found[1]} replica=${found[2]}"
}

# talk SERVER COMMAND...: all must come true.
talk()
{
	local server=$1
	shift
	"$tools/blockclient" "$(replica_address "$server")" "$@" >>"$tmp/talk.log" 2>&1 ||
		fail "$(printf "'%s' " "$@"): $(tail -n 2 "$tmp/talk.log")"
}
