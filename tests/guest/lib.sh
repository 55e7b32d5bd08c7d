# shellcheck shell=bash
# What the guest's tests share. Each test sources this and gets replica-servers and gateways of its own, ended with it.
# shellcheck disable=SC2154,SC2034

set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
programs=${LOCKSTEP_PROGRAMS:-$top/build/release}
name=$(basename "$0" .sh)
work=${LOCKSTEP_SCRATCH:-/tmp}/$name
# shellcheck source-path=SCRIPTDIR source=../../deploy/cluster.sh
source "$top/deploy/cluster.sh"

declare -A gateway_pids=() # by run directory and volume: a host of its own, as it were, for each run directory

fail()
{
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}

skip()
{
	printf '%s\n' "$*"
	exit 77
}

note()
{
	printf '[%3d s] %s\n' "$SECONDS" "$*"
}

finish()
{
	local code=$? key log
	set +e
	trap - EXIT
	if ((code != 0 && code != 77)); then
		for key in "${!gateway_pids[@]}"; do
			LOCKSTEP_RUN_DIR=${key%/*} timeout 20 lockstep status "${key##*/}"
		done
		for log in "$work"/*.log "$work"/*/*.log; do
			[[ -e $log ]] || continue
			printf -- '--- %s\n' "${log##*/}"
			tail -n 25 "$log"
		done
	fi
	mountpoint -q "$work/mnt" && umount "$work/mnt"
	for key in "${!gateway_pids[@]}"; do
		on_host "${key%/*}"
		gateway_end "${key##*/}"
	done
	replicas_stop
	for key in "$work"/*/; do
		mountpoint -q "$key" && umount "$key"
	done
	rm -rf "$work"
	exit "$code"
}

# replicas_begin NAME...: replica-servers on ports 7441 and up.
replicas_begin()
{
	local port=7441 name
	for name in "$@"; do
		replica_start "$name" "$port"
		port=$((port + 1))
	done
}

# volume_create VOLUME SIZE "NAMES" [OPTION]...: a volume over replica-servers that run.
volume_create()
{
	local volume=$1 size=$2 names=$3 arguments=() name
	shift 3
	for name in $names; do
		arguments+=(--replica "$name=127.0.0.1:${replica_port[$name]}")
	done
	((${#arguments[@]} != 4)) || [[ " $* " == *" --witness "* ]] || arguments+=(--no-witness)
	lockstep volume create "$volume" --size "$size" "${arguments[@]}" "$@"
}

# gateway_begin VOLUME [OPTION]...: a gateway of our own, so that its pid is known. Sets device.
gateway_begin()
{
	local volume=$1 log
	log=$(gateway_log "$1")
	shift
	"$programs/lockstep-gateway" --volume-file "$work/etc/volumes/$volume.yaml" --run-dir "$run_dir" "$@" \
		>>"$log" 2>&1 &
	gateway_pids[$run_dir/$volume]=$!
	wait_until 40 gateway_serves "$volume" || {
		tail -n 20 "$log"
		fail "the gateway of $volume does not serve: $*"
	}
	device=$(device_of "$volume")
	[[ -b $device ]] || fail "$volume says it is $device, but that is no block device"
}

gateway_serves()
{
	process_is_gone "$(pid_of "$1")" && return 0
	[[ $(state_of "$1") == serving && -b $(device_of "$1") ]]
}

pid_of()
{
	printf '%s\n' "${gateway_pids[$run_dir/$1]}"
}

state_of()
{
	status "$1" "$status_of_volume.state"
}

# Detaches in good order; fails the test when that is refused.
gateway_detach()
{
	local volume=$1 pid
	pid=$(pid_of "$1")
	timeout 60 lockstep volume detach "$volume" || fail "detach of $volume failed"
	wait_until 30 process_is_gone "$pid" || fail "the gateway of $volume is still there after detach"
	gateway_forget "$volume"
}

# Its process is gone.
gateway_forget()
{
	wait "$(pid_of "$1")" 2>/dev/null || true
	unset "gateway_pids[$run_dir/$1]"
}

# SIGKILL: its device stays.
gateway_kill()
{
	local pid
	pid=$(pid_of "$1")
	kill -KILL "$pid"
	wait_until 30 process_is_gone "$pid" || fail "the killed gateway of $1 does not go away"
	gateway_forget "$1"
}

# Sets queued: the send queues towards a replica, as the kernel lists them. Without any process: the look must be over
# before the gateway evicts the replica, and under emulation beside other work the start of one takes a second.
bytes_queued_to()
{
	local sockets line port
	printf -v port '%04X' "${replica_port[$1]}"
	mapfile -t sockets </proc/net/tcp
	queued=
	for line in "${sockets[@]}"; do
		# number: local address, remote address, state (01: established), bytes to send
		[[ $line =~ :\ ([0-9A-F]+:[0-9A-F]+)\ [0-9A-F]+:$port\ 01\ ([0-9A-F]+): ]] || continue
		[[ ${BASH_REMATCH[2]} == 00000000 ]] || queued+="${BASH_REMATCH[1]} ${BASH_REMATCH[2]} "
	done
}

# send_queue_stands NAME SECONDS: bytes lie in a send queue towards a stopped replica, and none of them goes on: only then
# does a notification never come by itself. Which of its timers the kernel runs meanwhile is its own affair: of a window
# closed in good order, or of packets that a full receiver dropped.
send_queue_stands()
{
	local before
	bytes_queued_to "$1"
	before=$queued
	[[ $before ]] || return 1
	sleep "$2"
	bytes_queued_to "$1"
	[[ $queued == "$before" ]]
}

# wait_send_queue_stands NAME SECONDS WHAT
wait_send_queue_stands()
{
	wait_until 30 send_queue_stands "$1" "$2" || {
		ss -tnoimH "( dport = :${replica_port[$1]} )"
		fail "$3: no send queue towards a stopped replica stands still"
	}
}

device_delete()
{
	timeout 60 "$programs/lockstep-gateway" --run-dir "$run_dir" --delete-device "${1#/dev/ublkb}"
}

# However it ends: for the clean-up.
gateway_end()
{
	local volume=$1 pid id
	pid=$(pid_of "$1")
	if ! process_is_gone "$pid"; then
		kill -CONT "$pid"
		timeout 30 lockstep volume detach "$volume" --force || kill -KILL "$pid"
		wait_until 30 process_is_gone "$pid"
	fi
	gateway_forget "$volume"
	id=$(cat "$run_dir/$volume.device" 2>/dev/null) || return 0
	device_delete "/dev/ublkb$id"
}

# lose REPLICA SIGNAL: kills or stops it, and waits until volume v goes on without it.
lose()
{
	replica_signal "$1" "$2"
	wait_evicted "$1"
}

# As often as it was taken back, and once more. The pause is what the gateway says itself: from the first answer that the
# replica owed. P8 allows the deadline; as much again is for emulation. Sets pause (milliseconds).
wait_evicted()
{
	wait_until 60 has_told v $(($(events v rejoined "$1") + 1)) evicted "$1" || fail "$1 is not evicted"
	pause=$(in_last duration_ms v evicted "$1")
	((pause <= 2 * deadline_ms)) || fail "$1 held I/O for $pause ms"
}

# regain REPLICA: starts it again, or lets it go on, and waits until it is in sync.
regain()
{
	local replica=$1 before
	before=$(events v rejoined "$replica")
	if [[ ${replica_pid[$replica]-} ]]; then
		replica_signal "$replica" CONT
	else
		replica_start "$replica" "${replica_port[$replica]}"
	fi
	wait_until 90 has_told v $((before + 1)) rejoined "$replica" || fail "$replica is not taken back"
}

# fio on a raw device with every block verified. fio_verify DEVICE [OPTION]...
fio_verify()
{
	local target=$1
	shift
	timeout 120 fio --name=verify --filename="$target" --ioengine=io_uring --direct=1 --iodepth=16 --size=32m \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --rw=randwrite --randrepeat=0 --minimal "$@" >"$work/fio.out" 2>&1 || {
		tail -n 20 "$work/fio.out"
		fail "fio --verify $*"
	}
}

# Kernels without registered buffers can only copy.
modes_of_this_kernel()
{
	if [[ $LOCKSTEP_KERNEL == 6.12 ]]; then
		echo copy
	else
		echo zero-copy copy
	fi
}

deadline_ms=3000 # the gateway's default
mkdir -p "$work"
trap finish EXIT
trap 'exit 130' INT TERM
modprobe ublk_drv
cluster_init
