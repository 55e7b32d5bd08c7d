#!/usr/bin/env bash
# bash completion: commands, volumes, replicas and options where they fit, nothing elsewhere, and never a message between the
# words that are being typed. Every option that wants a value is known to it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=../../deploy/completion/lockstep.bash
source deploy/completion/lockstep.bash

cp deploy/volume.yaml.example "$config_dir/volumes/data.yaml"

# offered WORD...: what TAB offers behind these.
offered()
{
	COMP_WORDS=("$B/lockstep" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_lockstep 2>"$tmp/said"
	[[ ! -s $tmp/said ]] || fail "'$*' says: $(cat "$tmp/said")"
	OFFERED=${COMPREPLY[*]}
}

# offers EXPECTED WORD...
offers()
{
	local expected=$1
	shift
	offered "$@"
	[[ $OFFERED == "$expected" ]] || fail "'$*' offers '$OFFERED', not '$expected'"
}

offers "bench events replica status version volume" ""
offers "list show check replace" replica ""
offers data volume attach ""
offers data volume verify d
offers data replica replace ""
offers "a b c" replica replace data ""
offers "a b c" volume verify data --repair --from ""
offers "auto zero-copy copy" volume attach data --mode ""
offers "" volume attach data --frontend ""
offers "" --json vol
offers "" volume frobnicate ""

# An option with a value that is not known here would be followed by names of volumes.
while read -r command; do
	# shellcheck disable=SC2086 # one or two words
	while read -r option; do
		offered $command data "$option" "dat"
		[[ -z $OFFERED ]] || fail "'$command data $option' offers '$OFFERED'"
	done < <("$B/lockstep" $command --help | sed -nE 's/^  (--[a-z-]+) [^ ].*/\1/p')
done < <("$B/lockstep" --help | sed -nE 's/^  ([a-z]+( [a-z]+)?)  +.*/\1/p')
