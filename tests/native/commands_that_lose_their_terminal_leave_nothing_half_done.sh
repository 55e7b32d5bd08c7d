#!/usr/bin/env bash
# A reader that leaves in the middle of the progress (`| head`) ends neither a create nor a delete; a terminal that is closed
# (SIGHUP) undoes a create, and stops a delete where another one goes on.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

[[ -x $tools/faultproxy ]] || skip "no faultproxy is built"
for name in a b c; do replica_start "$name"; done
proxy_start b
servers=(--replica "a=$(replica_address a)" --replica "b=$(proxy_address b)" --replica "c=$(replica_address c)")

kept() { find "$tmp/a" "$tmp/b" "$tmp/c" -mindepth 1 -maxdepth 1 -name 'v.0.*' | wc -l; }
keeps() { (($(kept) == $1)); }
is_made() { [[ -n $(find "$tmp/$1" -mindepth 1 -maxdepth 1 -name 'v.0.*') ]]; }
is_gone() { ! is_made "$1"; }

# until_it_says TEXT COMMAND...: reads no further than there. Ends with the command's code.
until_it_says()
{
	local text=$1 codes
	shift
	set +e
	timeout $((60 * SLOW)) "$B/lockstep" "$@" 2>&1 </dev/null | sed "/$text/q" >/dev/null
	codes=("${PIPESTATUS[@]}")
	set -e
	return "${codes[0]}"
}

proxy b delay down 200 # the reader has left before the next line
until_it_says "creating replica a" volume create v --size 1M "${servers[@]}" || true
keeps 3 || fail "a create whose reader left made $(kept) of 3 replicas"
[[ -e $config_dir/volumes/v.yaml ]] || fail "a create whose reader left wrote no file"
until_it_says "deleting replica a" volume delete v --yes || true
keeps 0 || fail "a delete whose reader left has left $(kept) replicas"
[[ ! -e $config_dir/volumes/v.yaml ]] || fail "a delete whose reader left has left the file"

# begin CHECK ARGUMENT COMMAND...: in the background until CHECK; its pid is in $spawned.
begin()
{
	local check=("$1" "$2")
	shift 2
	: >"$tmp/command.log"
	spawn command "$B/lockstep" "$@"
	wait_until 20 "${check[*]}" "${check[@]}"
}

proxy b delay down 1500
begin is_made b volume create v --size 1M --timeout $((20 * SLOW)) "${servers[@]}"
end HUP "$spawned"
((ended == 12)) || fail "a create that was hung up ended with $ended"
log_has command "nothing was created" || fail "it says: $(cat "$tmp/command.log")"
keeps 0 || fail "a create that was hung up left $(kept) replicas"

proxy b delay down 0
"$B/lockstep" volume create v --size 1M "${servers[@]}" >/dev/null 2>&1
proxy b delay down 1500
begin is_gone b volume delete v --yes --timeout $((20 * SLOW))
end HUP "$spawned"
((ended == 12)) || fail "a delete that was hung up ended with $ended"
log_has command "v: interrupted after 2 of its 3 .*delete it again" || fail "it says: $(cat "$tmp/command.log")"
keeps 1 || fail "a delete that was hung up left $(kept) replicas"
proxy b delay down 0
"$B/lockstep" volume delete v --yes >/dev/null 2>&1
keeps 0 || fail "the second delete left $(kept) replicas"
