#!/usr/bin/env bash
# `volume create` is told to stop, or loses its connection, while a server's answer is on its way: the replica that was
# made without its knowing is removed with the others.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

[[ -x $tools/faultproxy ]] || skip "no faultproxy is built"
replica_start a
replica_start b
proxy_start b

# Until the server behind the delayed proxy has made its replica, which the client has not heard yet.
begin_create()
{
	: >"$tmp/create.log"
	spawn create timeout $((60 * SLOW)) "$B/lockstep" volume create v --size 1M --no-witness --timeout $((20 * SLOW)) \
		--replica "a=$(replica_address a)" --replica "b=$(proxy_address b)"
	create_pid=$spawned
	wait_until 20 "replica b is being created" replica_is_made b
}

replica_is_made()
{
	[[ -n $(find "$tmp/$1" -mindepth 1 -maxdepth 1 -name 'v.0.*') ]]
}

must_have_undone()
{
	local code=0
	wait "$create_pid" || code=$?
	((code == $1)) || fail "create ended with $code instead of $1"
	grep -q "nothing was created" "$tmp/create.log" || fail "it does not say that it undid"
	! replica_is_made a || fail "the replica on a stays behind"
	! replica_is_made b || fail "the replica on b stays behind"
	[[ -z $(ls "$config_dir/volumes") ]] || fail "the file stays behind"
}

proxy b delay down 1500
begin_create
kill -TERM "$(pgrep -P "$create_pid")"
must_have_undone 12

begin_create
proxy b reset
proxy b delay down 0
must_have_undone 6
