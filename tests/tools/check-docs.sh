#!/usr/bin/env bash
# Fails when the documents name what is not there: functions ("path/file.c: function()"), tests, files, links; or when
# docs/mutants.md has not a row for each planted fault.
# Usage: tests/tools/check-docs.sh [TOP]
# shellcheck disable=SC2016 # backquotes and $ in patterns are meant as they stand
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"

problems=0 checked=0

complain()
{
	printf '%s\n' "$*"
	problems=$((problems + 1))
}

# `gateway/core/engine.c: engine_submit()` in any document: the file defines (or declares) the function.
check_functions()
{
	local document=$1 reference file function
	while read -r reference; do
		file=${reference%%:*}
		function=${reference#*:}
		function=${function//[ ()\`]/}
		checked=$((checked + 1))
		if [[ ! -f $file ]]; then
			complain "$document: no file $file (named with $function)"
		elif ! grep -qE "(^|[^a-z0-9_])$function\(" "$file"; then
			complain "$document: $file has no function $function()"
		fi
	done < <(grep -oE '`?[a-z][a-z0-9/_-]*/[a-z0-9_-]+\.[ch]`?: ?`?[a-z_][a-z0-9_]*`?\(\)' "$document" | tr -d '`')
}

# `unit/test_engine: a_write_waits`, `native/some_test.sh`, `sim/options.h: w_power`: the file exists and knows the name.
check_tests()
{
	local document=$1 reference path name source
	while read -r reference; do
		path=tests/${reference%%:*}
		name=
		[[ $reference != *:* ]] || name=${reference#*:}
		name=${name# }
		source=$path
		[[ -f $source ]] || source=$path.c
		[[ -f $source ]] || source=$path.sh
		# sim/sim, crash/crash: the program of a folder.
		[[ -f $source ]] || source=${path%/*}/main.c
		[[ -f $source && ($source != */main.c || $path == */"$(basename "${path%/*}")") ]] || source=$path
		checked=$((checked + 1))
		if [[ ! -f $source ]]; then
			complain "$document: no test $path"
		elif [[ $name ]] && ! grep -qw -- "$name" "$source"; then
			complain "$document: $source has no test $name"
		fi
	done < <(grep -oE '`(tests/)?(unit|native|guest|drivers|sim|drill|crash|fuzz)/[a-z0-9_.-]+[a-z0-9_](: ?[a-z][a-z0-9_]+)?`' "$document" |
		tr -d '`' | sed 's,^tests/,,')
}

# [text](relative/path) from the document's own folder.
check_links()
{
	local document=$1 link
	while read -r link; do
		link=${link%%#*}
		[[ $link && $link != *://* ]] || continue
		checked=$((checked + 1))
		[[ -e $(dirname "$document")/$link ]] || complain "$document: broken link to $link"
	done < <(grep -oE '\]\([^)]+\)' "$document" | sed -E 's/^\]\(//; s/\)$//')
}

# Each planted fault has a row, each row is of one, and the unit test that it names is there and not empty.
check_planted()
{
	local row name unit
	while read -r row; do
		name=$(cut -d'`' -f2 <<<"$row")
		unit=$(cut -d'|' -f5 <<<"$row" | tr -d ' ')
		checked=$((checked + 1))
		grep -qE "X\($name," common/mutant.h || complain "docs/mutants.md: no planted fault $name in common/mutant.h"
		[[ $unit && -f tests/unit/test_$unit.c ]] || complain "docs/mutants.md: $name names no unit test that finds it"
	done < <(grep '^| `' docs/mutants.md)
	while read -r name; do
		(($(grep -c "^| \`$name\` " docs/mutants.md) == 1)) || complain "docs/mutants.md: not one row for $name of common/mutant.h"
	done < <(grep -oE '\bX\([a-z_]+' common/mutant.h | cut -c3-)
}

# The pages a reader is promised must be there, and a page of failure modes without tests would check nothing.
for page in README.md docs/architecture.md docs/protocol.md docs/on-disk.md docs/failure-modes.md docs/hacking.md; do
	[[ -s $page ]] || complain "missing document: $page"
done
while read -r document; do
	check_functions "$document"
	check_tests "$document"
	check_links "$document"
done < <(find README.md docs -name '*.md' | sort)
for page in docs/architecture.md docs/failure-modes.md; do
	[[ -s $page ]] || continue
	grep -qE '\(\)|`(unit|native|guest|drivers)/' "$page" || complain "$page: names no function and no test"
done
[[ ! -s docs/mutants.md ]] || check_planted
((problems == 0)) || { printf 'check-docs: %d wrong references\n' "$problems" && exit 1; }
printf 'check-docs: %d references to code, tests and files hold\n' "$checked"
