#!/usr/bin/env bash
# Fails when a header does not compile alone: it would force its readers to know what to include before it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

gen=build/${FLAVOR:-release}/gen
problems=0 count=0
while read -r header; do
	count=$((count + 1))
	printf '#include "%s"\n' "$header" | ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -I. -I"$gen" -Wall -Wextra \
		-Wno-unused-parameter -Werror -fsyntax-only -x c - ||
		{ printf '%s: does not compile alone\n' "$header" && problems=$((problems + 1)); }
done < <(find common proto gateway replica-server tests -name '*.h' -type f | sort)
((problems == 0)) || { printf 'check-headers: %d headers need another one first\n' "$problems" && exit 1; }
printf 'check-headers: %d headers, each compiles alone\n' "$count"
