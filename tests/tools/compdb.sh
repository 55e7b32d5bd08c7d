#!/usr/bin/env bash
# Prints compile_commands.json for every C file of the tree. Called by the Makefile (make compdb), which hands the
# compile command over in the environment, where no shell eats its quotes.
set -euo pipefail
command=${COMPILE_COMMAND:?run it by: make compdb}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Backslashes and quotes of the command line, as JSON wants them.
escaped=${command//\\/\\\\}
escaped=${escaped//\"/\\\"}
escaped=${escaped//-MMD -MP/}

separator='['
while read -r file; do
	printf '%s\n  {"directory": "%s", "file": "%s", "command": "%s -c %s"}' \
		"$separator" "$PWD" "$file" "$escaped" "$file"
	separator=','
done < <(find common proto gateway replica-server tests -name '*.c' -type f | sort)
printf '\n]\n'
