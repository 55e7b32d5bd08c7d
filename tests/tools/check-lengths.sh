#!/usr/bin/env bash
# Fails on files over 600 lines and functions over 70: each hides a second one.
# Usage: tests/tools/check-lengths.sh [TOP]
# shellcheck disable=SC2016 # backquotes and $ in patterns are meant as they stand
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"

# A function's body starts with "{" and ends with "}", both in the first column: the house style, checked by clang-format.
find common proto gateway replica-server tests \( -name '*.c' -o -name '*.h' \) -type f | sort |
	xargs awk '
	FNR == 1 { name = ""; start = 0; files++ }
	/^[a-z].*\(/ && !/;[[:space:]]*$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name); at = FNR }
	/^\{/ { start = FNR }
	/^\}/ && start {
		if (FNR - at + 1 > 70) { printf "%s:%d: %s() is %d lines long\n", FILENAME, at, name, FNR - at + 1; bad++ }
		start = 0; functions++
	}
	FNR == 601 { printf "%s: over 600 lines\n", FILENAME; bad++ }
	END {
		printf "check-lengths: %d files, %d functions, %d too long\n", files, functions, bad
		exit bad > 0
	}'

# Scripts are held to the same limit.
while read -r script; do
	lines=$(wc -l <"$script")
	((lines <= 600)) || { printf '%s: over 600 lines\n' "$script" && exit 1; }
done < <(find deploy tests .ci -type f -exec grep -lE '^#!.*sh' {} +)
