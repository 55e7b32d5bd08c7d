# bash completion for lockstep(8). Commands and options come from the program's own --help, so they cannot drift.
# shellcheck shell=bash

_lockstep_commands()
{
	"$1" --help 2>/dev/null | sed -nE 's/^  ([a-z]+( [a-z]+)?)  +.*/\1/p'
}

_lockstep_volumes()
{
	"$1" volume list 2>/dev/null | sed -nE '1!s/^([^ ]+).*/\1/p'
}

_lockstep_replicas()
{
	"$1" volume show "$2" 2>/dev/null | sed -nE 's/^  (replica|witness) +([^ ]+) .*/\2/p' | sort -u
}

# What may stand where an operand is expected.
_lockstep_operands()
{
	if [[ $2 == "replica replace" ]] && ((COMP_CWORD > 3)); then
		mapfile -t COMPREPLY < <(compgen -W "$(_lockstep_replicas "$1" "${COMP_WORDS[3]}")" -- "$3")
		return
	fi
	case "$2" in
	"volume show" | "volume attach" | "volume detach" | "volume delete" | "volume verify" | "replica replace" | "status" | "events")
		mapfile -t COMPREPLY < <(compgen -W "$(_lockstep_volumes "$1")" -- "$3")
		;;
	"replica check")
		mapfile -t COMPREPLY < <(compgen -d -- "$3")
		;;
	esac
}

_lockstep_values()
{
	case "$1" in
	--config-dir | --run-dir | --serve) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
	--mode) mapfile -t COMPREPLY < <(compgen -W "auto zero-copy copy" -- "$2") ;;
	--block-size) mapfile -t COMPREPLY < <(compgen -W "512 4096" -- "$2") ;;
	--from) mapfile -t COMPREPLY < <(compgen -W "$(_lockstep_replicas "$3" "${COMP_WORDS[3]}")" -- "$2") ;;
	--frontend | --gateway-option | --rate | --size | --seconds | --listen | --raw-port | --chunk | --sets | --timeout | --replica | --replicas-set | --witness | --accept-data-loss | --since | --policy | --server | --count | --address) COMPREPLY=() ;;
	*) return 1 ;;
	esac
}

_lockstep()
{
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local commands command

	COMPREPLY=()
	commands=$(_lockstep_commands "$program")
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(cut -d' ' -f1 <<<"$commands" | sort -u)" -- "$word")
		return
	fi
	if ((COMP_CWORD == 2)) && grep -q "^${COMP_WORDS[1]} " <<<"$commands"; then
		mapfile -t COMPREPLY < <(compgen -W "$(sed -n "s/^${COMP_WORDS[1]} //p" <<<"$commands")" -- "$word")
		return
	fi
	command=${COMP_WORDS[1]}
	grep -qxF -- "$command" <<<"$commands" || command+=" ${COMP_WORDS[2]}"
	_lockstep_values "$before" "$word" "$program" && return
	if [[ $word == -* ]]; then
		# shellcheck disable=SC2086 # a command is one or two words
		mapfile -t COMPREPLY < <(compgen -W "$("$program" $command --help 2>/dev/null |
			sed -nE 's/^  (--[a-z-]+).*/\1/p')" -- "$word")
		return
	fi
	_lockstep_operands "$program" "$command" "$word"
}

complete -F _lockstep lockstep
