# shellcheck shell=bash
# Verdicts of tests: one line each, counted, with the output of what failed. Sourced by tests/run.

passed=0 failed=0 skipped=0
failures=()

# report VERDICT NAME SECONDS COUNT REMARK: COUNT tests share this line (a program of many).
report()
{
	local verdict=$1 name=$2 seconds=$3 count=$4 remark=$5
	case $verdict in
	PASS) passed=$((passed + count)) ;;
	FAIL) failed=$((failed + count)) && failures+=("$name: $remark") ;;
	SKIP) skipped=$((skipped + count)) ;;
	esac
	printf '%s  %-72s %6.1f s%s\n' "$verdict" "$name" "$seconds" "${remark:+  $remark}"
}

# Seconds since $1, a value of EPOCHREALTIME, with one decimal.
seconds_since()
{
	local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
	local tenths=$(((now - then) / 100000))
	printf '%d.%d\n' $((tenths / 10)) $((tenths % 10))
}

# The number in column $2 (4 passed, 5 failed) of CUnit's line " tests  total ran passed failed inactive" in log $1.
cunit_column()
{
	awk -v column="$2" '$1 == "tests" && NF == 6 { value = $column } END { print value + 0 }' "$1"
}

show_log()
{
	local log=$1
	printf -- '------ output (whole: %s)\n' "$log"
	tail -n 60 "$log" | sed 's/^/    /'
	printf -- '------\n'
}

# What a script said when it gave up ("FAIL: ..." or "FAILED: ..."): the logs that it shows after that may be long.
said_why()
{
	sed -nE '/^FAIL(ED)?: /{s//: /p;q}' "$1" | cut -c 1-300
}

# One finished test: its exit code, log and time become a line. 77 is a skip, its last line the reason.
judge()
{
	local name=$1 code=$2 log=$3 seconds=$4 good bad
	good=$(cunit_column "$log" 4)
	bad=$(cunit_column "$log" 5)
	if ((code == 77)); then
		report SKIP "$name" "$seconds" 1 "$(tail -n 1 "$log")"
	elif ((code == 0)); then
		report PASS "$name" "$seconds" $((good > 0 ? good : 1)) "$( ((good == 0)) || echo "$good tests")"
	else
		((good == 0)) || passed=$((passed + good))
		local why="exit code $code"
		((code != 124 && code != 137)) || why="stopped: its time was up"
		why+=$(said_why "$log")
		report FAIL "$name" "$seconds" $((bad > 0 ? bad : 1)) "$why"
		show_log "$log"
	fi
}

verdict()
{
	local name
	printf '\n'
	if ((failed > 0)); then
		printf 'Failed:\n'
		printf '  %s\n' "${failures[@]}"
	fi
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
}
