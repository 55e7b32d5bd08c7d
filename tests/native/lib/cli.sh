# shellcheck shell=bash
# shellcheck disable=SC2154 # tmp is common.sh's
# What the scripts about `lockstep` itself share: run it, compare its exit code and what it says. After lib/common.sh.

# says CODE TEXT COMMAND...: ends with CODE and says TEXT (a pattern) on standard error.
says()
{
	local expected=$1 text=$2 code=0
	shift 2
	timeout $((60 * SLOW)) "$@" >"$tmp/says.out" 2>"$tmp/says.err" </dev/null || code=$?
	((code == expected)) ||
		fail "'$*' ended with $code instead of $expected: $(cat "$tmp/says.out" "$tmp/says.err")"
	grep -qE -- "$text" "$tmp/says.err" || fail "'$*' does not say '$text', but: $(cat "$tmp/says.err")"
}

# says_json CODE NAME TEXT COMMAND...: one JSON document {"error": {"code": NAME, "object", "message"}} with TEXT in it.
says_json()
{
	local expected=$1 name=$2 text=$3 code=0
	shift 3
	timeout $((60 * SLOW)) "$@" --json >"$tmp/says.out" 2>"$tmp/says.err" </dev/null || code=$?
	((code == expected)) || fail "'$* --json' ended with $code instead of $expected: $(cat "$tmp/says.out")"
	python3 - "$tmp/says.out" "$name" "$text" <<'END' || fail "'$* --json' gave: $(cat "$tmp/says.out")"
import json, re, sys
error = json.load(open(sys.argv[1]))["error"]
assert sorted(error) == ["code", "message", "object"], error
assert error["code"] == sys.argv[2], error
assert re.search(sys.argv[3], error["message"]), error
END
	[[ ! -s $tmp/says.err ]] || fail "'$* --json' also wrote to standard error: $(cat "$tmp/says.err")"
}

# A zombie that nobody has waited for yet is gone, too.
process_is_gone()
{
	local state threads
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
	# Its first thread may be gone before another one has closed what they share.
	threads=("/proc/$1/task/"*)
	[[ -z $state ]] || [[ $state == Z && ${#threads[@]} -le 1 ]]
}

# json FILTER COMMAND...: one value of a JSON answer, by a Python expression on `d`.
json()
{
	local filter=$1
	shift
	timeout $((60 * SLOW)) "$@" --json 2>>"$tmp/json.log" </dev/null | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$filter"
}
