#!/usr/bin/env bash
# Fails when a test's name is not a sentence, a source has no opening comment, a banned function is called, or a script
# is not strict.
# Usage: tests/tools/check-names.sh [TOP]
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"

problems=0

complain()
{
	printf '%s\n' "$*"
	problems=$((problems + 1))
}

# A sentence has at least three words: "a_write_waits", not "write2".
check_test_scripts()
{
	local script name
	for script in tests/native/*.sh tests/guest/*.sh; do
		[[ -e $script ]] || continue
		name=$(basename "$script" .sh)
		[[ $name =~ ^(lib|common)$ ]] && continue
		[[ $name == *[_-]*[_-]* ]] || complain "$script: name the test by a sentence of what must hold"
		[[ -x $script ]] || complain "$script: not executable, so it would never run"
	done
}

check_unit_names()
{
	local file name
	while IFS=: read -r file name; do
		[[ $name == *_*_* ]] || complain "$file: test '$name' is not a sentence"
	done < <(grep -HoE 'CHECK_TEST\([a-z0-9_]+\)' tests/unit/*.c tests/drivers/*.c 2>/dev/null |
		sed -E 's/CHECK_TEST\((.*)\)/\1/')
}

check_openings()
{
	local file
	while read -r file; do
		[[ $(head -c 2 "$file") == '/*' ]] || complain "$file: begin with a comment: its role, what it must not know"
	done < <(find common proto gateway replica-server tests \( -name '*.c' -o -name '*.h' \) -type f | sort)
}

check_scripts_are_strict()
{
	local script
	while read -r script; do
		grep -qE '^set -[a-z]*u' "$script" || complain "$script: no 'set -u' (set -euo pipefail for bash)"
	done < <(find deploy tests .ci -type f -exec grep -lE '^#!.*sh' {} + | sort)
}

# Functions that lose an error or a length. Their replacements: snprintf, strtoull with checks, str helpers of common/.
check_banned()
{
	local hit
	while read -r hit; do
		complain "$hit: banned function"
	done < <(grep -nE '(^|[^a-z0-9_])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|strtok|alloca|rand|system)\(' \
		-r common proto gateway replica-server --include '*.[ch]')
}

check_banned
check_test_scripts
check_unit_names
check_openings
check_scripts_are_strict
((problems == 0)) || { printf 'check-names: %d complaints\n' "$problems" && exit 1; }
printf 'check-names: tests are sentences, sources say what they are, scripts are strict\n'
