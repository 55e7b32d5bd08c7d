# shellcheck shell=bash
# What the guest's halves of benchmarks share: messages, the one way to measure a run of fio, the end. Sourced after
# deploy/cluster.sh, never run. Before use, set: results, mb, work (a tmpfs: what is kept there is RAM), and
# LOCKSTEP_BENCH_MS, how long a run is.
# shellcheck disable=SC2154

milliseconds=${LOCKSTEP_BENCH_MS:?}
begin=$SECONDS

step()
{
	printf '[%4d s] %s\n' $((SECONDS - begin)) "$*"
}

fail()
{
	step "FAILED: $*"
	exit 1
}

clean_up()
{
	local code=$?
	set +e
	trap - EXIT
	((code == 0)) || dmesg | tail -n 60 >"$results/dmesg"
	cp "$work"/*.log "$results/" 2>/dev/null
	exit "$code" # the guest ends with us: nothing else is worth taking apart
}

begin_inside()
{
	mkdir -p "$work" "$results/runs"
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	cluster_init
	write_snapshot_script
}

need_module()
{
	modprobe "$@" || fail "this kernel has no module $1"
}

# CPU time of everything, kernel threads too, into a file. fio calls it right before and right after the job itself.
write_snapshot_script()
{
	cat >"$work/snapshot" <<-'END'
		#!/bin/bash
		cat /proc/[0-9]*/stat >"$1" 2>/dev/null || true # a process that ended meanwhile is no failure
	END
	chmod +x "$work/snapshot"
}

# attach_volume VOLUME OPTION...; device_of tells where it is then.
attach_volume()
{
	lockstep volume attach "$1" --no-systemd "${@:2}" >>"$work/attach.log" 2>&1 ||
		fail "volume attach: $(tail -n 1 "$work/attach.log")"
}

detach_volume()
{
	timeout 120 lockstep volume detach "$1" >>"$work/detach.log" 2>&1 ||
		fail "volume detach: $(tail -n 1 "$work/detach.log")"
}

# Every block once: what was never written costs the first write more.
fill_device()
{
	fio --name=fill --filename="$1" --rw=write --bs=1m --iodepth=4 --ioengine=io_uring --direct=1 \
		>"$work/fill.log" 2>&1 || fail "fio cannot fill $1: $(tail -n 5 "$work/fill.log")"
}

# The counters of a volume's gateway so far, as the status has them. No volume: nothing.
counters()
{
	[[ $1 ]] || return 0
	timeout 20 lockstep status "$1" --json >"$2"
}

# measured DIR VOLUME DEVICE FIO-OPTION...: one run of fio; leaves in DIR what tests/bench/lib/guest.py reads.
measured()
{
	local dir=$1 volume=$2 device=$3
	shift 3
	mkdir -p "$dir" "$work/run"
	counters "$volume" "$dir/status-before"
	(cd "$work/run" && timeout $((300 + milliseconds / 250)) fio --name=bench --thread --filename="$device" \
		--ioengine=io_uring --direct=1 --size="${mb}m" --time_based --runtime="${milliseconds}ms" --randrepeat=0 --norandommap \
		--group_reporting --percentile_list=50:99 --exec_prerun="$work/snapshot $work/run/before" \
		--exec_postrun="$work/snapshot $work/run/after" --output-format=json --output="$work/run/fio.json" "$@" \
		>"$work/run/fio.log" 2>&1) || fail "fio on $device ($*): $(tail -n 5 "$work/run/fio.log" "$work/run/fio.json")"
	counters "$volume" "$dir/status-after"
	mv "$work"/run/{before,after,fio.json} "$dir/"
}
