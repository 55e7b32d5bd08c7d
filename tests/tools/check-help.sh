#!/usr/bin/env bash
# Fails when a program's --help and its man page do not list the same options, or the man page of lockstep(8) misses a
# command, or its exit codes are not those of exit_codes.h. Needs built programs; exits 77 without them.
# Usage: tests/tools/check-help.sh [TOP]     (B: directory of the programs, build/release)
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"
build=${B:-build/release}
problems=0

complain()
{
	printf '%s\n' "$*"
	problems=$((problems + 1))
}

# Options of a help text, one a line, without what stands behind them.
help_options()
{
	sed -nE 's/^ +(-[A-Za-z], )?--([a-z][a-z-]*).*/\2/p' | sort -u
}

# Options of a man page, or of one of its sections ("Ss volume create").
man_options()
{
	local page=$1 section=${2-}
	awk -v want="$section" '
		/^\.S[sh] / { inside = (want == "" || index($0 " ", "." want " ") == 1); next }
		(inside || want == "") && /^\.It Fl ([A-Za-z] , Fl )?-/ { sub(/^\.It Fl ([A-Za-z] , Fl )?-/, ""); sub(/[^a-z-].*/, ""); print }' "$page" | sort -u
}

compare()
{
	local what=$1 from_help=$2 from_man=$3 option
	while read -r option; do
		[[ -z $option ]] || complain "$what: --$option is in --help, but not in the man page"
	done < <(comm -23 <(printf '%s\n' "$from_help") <(printf '%s\n' "$from_man"))
	while read -r option; do
		[[ -z $option ]] || complain "$what: --$option is in the man page, but not in --help"
	done < <(comm -13 <(printf '%s\n' "$from_help") <(printf '%s\n' "$from_man"))
}

check_daemon()
{
	local name=$1 page=docs/man/$1.8
	[[ -x $build/$name ]] || return 0
	if [[ ! -e $page ]]; then
		complain "$name: no man page $page"
		return 0
	fi
	compare "$name" "$("$build/$name" --help 2>&1 | help_options)" "$(man_options "$page")"
}

check_command()
{
	local command=$1 page=docs/man/lockstep.8 common own
	if ! grep -qE "^\.Ss $command( |\$)" "$page"; then
		complain "lockstep $command: no section '.Ss $command' in $page"
		return 0
	fi
	common=$(man_options "$page" "Sh COMMON OPTIONS")
	own=$(man_options "$page" "Ss $command")
	# shellcheck disable=SC2086 # a command is one or two words
	compare "lockstep $command" "$("$build/lockstep" $command --help | help_options)" \
		"$(printf '%s\n%s\n' "$common" "$own" | grep . | sort -u)"
}

check_cli()
{
	local command commands
	commands=$("$build/lockstep" --help | sed -nE 's/^  ([a-z]+( [a-z]+)?)  +.*/\1/p')
	[[ -n $commands ]] || complain "lockstep --help lists no commands"
	while read -r command; do
		check_command "$command"
	done <<<"$commands"
}

check_exit_codes()
{
	local number name
	while read -r number name; do
		grep -qE "^\.It $number $name\$" docs/man/lockstep.8 ||
			complain "lockstep(8): exit code $number ($name) is not listed"
	done < <(sed -nE 's/^\tEXIT_[A-Z_]+ = ([0-9]+),[\t ]*\/\* "([a-z-]+)".*/\1 \2/p' gateway/cli/exit_codes.h)
}

if [[ ! -x $build/lockstep ]]; then
	echo "check-help: $build/lockstep is not built"
	exit 77
fi
check_cli
check_exit_codes
check_daemon lockstep-gateway
check_daemon lockstep-replica
if ((problems)); then
	echo "check-help: $problems differences between --help and the man pages"
	exit 1
fi
