#!/usr/bin/env bash
# What the command line and a server say to each other is cut at every byte, in both directions: a volume is then there or it is
# not, and whoever is told that a deletion failed can do it again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

mkdir "$shm_dir/a"
ln -s "$shm_dir/a" "$tmp/a"
replica_start a
proxy_start a
step=$((3 * SLOW))

create()
{
	lockstep volume create v --size 1M --replica "a=$(proxy_address a)" >"$tmp/create.log" 2>&1
}

delete()
{
	lockstep volume delete v --yes >"$tmp/delete.log" 2>&1
}

is_empty()
{
	local left
	shopt -s nullglob # no process: it is asked after every cut
	left=("$shm_dir"/a/* "$config_dir"/volumes/*)
	((${#left[@]} == 0))
}

all_cut()
{
	local stat
	stat=$(proxy a stat)
	[[ ${stat##*pending=} == 0 ]]
}

# sweep DIRECTION MESSAGE COMMAND...: runs it until that message was cut everywhere.
sweep()
{
	proxy a within "$1" "$2" 0 end "step=$step" lane=admin >/dev/null
	until all_cut; do "${@:3}"; done
}

both()
{
	local attempt
	if create; then
		# While DELETE and its answer are what is cut, each attempt fails one step further on.
		for ((attempt = 0; attempt < 200; attempt++)); do ! delete || break; done
	fi
	is_empty || fail "something stays behind: $(ls "$shm_dir/a" "$config_dir/volumes"): $(cat "$tmp/create.log" "$tmp/delete.log")"
}

list()
{
	lockstep replica list --server "$(proxy_address a)" >/dev/null 2>&1 || true
}

for message in CREATE HELLO; do sweep up "$message" both; done
for message in CREATED WELCOME; do sweep down "$message" both; done
sweep up DELETE both
sweep down DELETED both
sweep up LIST list
sweep down LISTING list
both
cuts=$(proxy a stat)
cuts=${cuts##*fired=}
echo "${cuts%% *} connections cut"
