# shellcheck shell=bash
# Replica-servers on loopback and volumes over them, for the demo and the guest's tests. Sourced, never run.
# Before use, set: programs (where the built programs are), work (a directory for everything that is written), and
# run_dir if it is not to be below work.
# shellcheck disable=SC2154,SC2034

declare -A replica_pid=() replica_port=()

cluster_init()
{
	run_dir=${run_dir:-$work/run}
	mkdir -p "$run_dir" "$work/etc/volumes"
	export LOCKSTEP_RUN_DIR=$run_dir LOCKSTEP_CONFIG_DIR=$work/etc
	PATH=$programs:$PATH
}

# wait_until SECONDS COMMAND...: asks again and again until it holds. 1: it did not in time. The pause is never shorter than
# the question: under emulation that costs what is waited for as much as all the rest.
wait_until()
{
	local deadline=$((SECONDS + $1)) asked pause
	shift
	until asked=${EPOCHREALTIME/[.,]/} && "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || return 1
		pause=$((${EPOCHREALTIME/[.,]/} - asked))
		printf -v pause '%07d' $((pause > 200000 ? pause : 200000))
		sleep "${pause%??????}.${pause: -6}"
	done
}

listens()
{
	(: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# replica_start NAME PORT: one lockstep-replica with its own directory and log. Also starts it again after a kill.
replica_start()
{
	local name=$1 port=$2
	mkdir -p "$work/$name"
	"$programs/lockstep-replica" --listen "127.0.0.1:$port" --data "$work/$name" >>"$work/$name.log" 2>&1 &
	replica_pid[$name]=$!
	replica_port[$name]=$port
	wait_until 30 listens "$port" || {
		tail -n 20 "$work/$name.log" >&2
		echo "replica-server $name does not listen on port $port" >&2
		return 1
	}
}

# replica_signal NAME SIGNAL; after KILL or TERM the process is gone when this returns.
replica_signal()
{
	local name=$1 signal=$2 pid=${replica_pid[$1]}
	kill -"$signal" "$pid"
	case $signal in
	KILL | TERM)
		wait_until 30 process_is_gone "$pid" || return 1
		wait "$pid" 2>/dev/null || true
		unset "replica_pid[$name]"
		;;
	esac
}

# A zombie nobody has waited for yet is gone, too.
process_is_gone()
{
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
	[[ ! $state || $state == Z ]]
}

# Ends every replica-server this shell has started.
replicas_stop()
{
	local name
	for name in "${!replica_pid[@]}"; do
		kill -CONT "${replica_pid[$name]}" 2>/dev/null || true
		replica_signal "$name" TERM 2>/dev/null || replica_signal "$name" KILL 2>/dev/null || true
	done
}

# status VOLUME FILTER: one value of `lockstep status --json`, by a jq filter.
status()
{
	timeout 20 lockstep status "$1" --json | jq -r "$2"
}

device_of()
{
	status "$1" "$status_of_volume.device"
}

gateway_pid()
{
	status "$1" "$status_of_volume.pid"
}

# The one volume in the document of `lockstep status NAME --json`.
status_of_volume='.volumes[0]'

# on_host RUN-DIR: from here on gateways are started, asked and ended there, as on a host of its own: they share
# nothing with those elsewhere.
on_host()
{
	run_dir=$1
	mkdir -p "$run_dir"
	export LOCKSTEP_RUN_DIR=$run_dir
}

# Where a volume's gateway tells what happens.
gateway_log()
{
	printf '%s\n' "$run_dir/$1.log"
}

# events VOLUME EVENT [REPLICA]: how often the volume's gateway told of it.
events()
{
	grep -c "event=$2 .*replica=${3-} " "$(gateway_log "$1")" || true
}

# has_told VOLUME NTH EVENT [REPLICA]
has_told()
{
	(($(events "$1" "$3" "${4-}") >= $2))
}

# The last line of an event: last_event VOLUME EVENT [REPLICA], and a value of it: in_last KEY VOLUME EVENT [REPLICA].
last_event()
{
	grep "event=$2 .*replica=${3-} " "$(gateway_log "$1")" | tail -n 1
}

in_last()
{
	local key=$1
	shift
	last_event "$@" | sed -E "s/.* $key=(\"([^\"]*)\"|([^ ]*)).*/\2\3/"
}

# Sum over the volume's legs of one of their counters.
sum_of_legs()
{
	status "$1" "[$status_of_volume.legs[].$2] | add"
}

# The files that hold set $3 of volume $2 under the directories of the replica-servers named after it.
data_files()
{
	local volume=$1 set=$2
	shift 2
	local name
	for name in "$@"; do
		printf '%s\n' "$work/$name/$volume.$set."*/data
	done
}

# All replicas of a set hold the same bytes. Prints what differs.
replicas_are_identical()
{
	local files first file
	mapfile -t files < <(data_files "$@")
	first=${files[0]}
	((${#files[@]} >= 2)) || { echo "set $2 of $1: fewer than two data files to compare" && return 1; }
	for file in "${files[@]:1}"; do
		cmp "$first" "$file" || return 1
	done
}
