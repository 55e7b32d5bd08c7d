# shellcheck shell=bash
# Runs tests, a few at a time, each under a time limit with its output in a file. Sourced by tests/run.
# shellcheck disable=SC2154 # logs, jobs: set by tests/run

declare -A pool_name=() pool_start=()

# Waits for one running test and reports it.
pool_reap()
{
	local pid=0 code=0
	wait -n -p pid "${!pool_name[@]}" || code=$?
	local name=${pool_name[$pid]} start=${pool_start[$pid]}
	unset "pool_name[$pid]" "pool_start[$pid]"
	judge "$name" "$code" "$logs/$name.log" "$(seconds_since "$start")"
}

# pool_run NAME LIMIT COMMAND...: starts a test when there is room.
pool_run()
{
	local name=$1 limit=$2
	shift 2
	while ((${#pool_name[@]} >= jobs)); do
		pool_reap
	done
	mkdir -p "$(dirname "$logs/$name.log")"
	timeout --kill-after=10 "$limit" "$@" </dev/null >"$logs/$name.log" 2>&1 &
	pool_name[$!]=$name
	pool_start[$!]=$EPOCHREALTIME
}

pool_drain()
{
	while ((${#pool_name[@]} > 0)); do
		pool_reap
	done
}

# Ends what still runs when tests/run itself is ended.
pool_kill()
{
	local pid
	for pid in "${!pool_name[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
}
