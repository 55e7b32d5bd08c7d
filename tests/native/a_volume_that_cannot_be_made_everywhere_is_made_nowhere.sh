#!/usr/bin/env bash
# A server that is away, stopped, something else, full or the same one twice: `volume create` says which, and undoes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
for name in a b c; do
	replica_start "$name"
done
a=$(replica_address a) b=$(replica_address b) c=$(replica_address c)

nothing_was_made()
{
	[[ -z $(ls "$config_dir/volumes") ]] || fail "a volume file stays behind after $1"
	[[ -z $(find "$tmp/a" "$tmp/b" -mindepth 1 -maxdepth 1 -name 'v.*') ]] || fail "a replica stays behind after $1"
}

says 6 "$ip:9: nobody listens there \(.*\); start lockstep-replica" "$cli" volume create v --size 1M --no-witness --replica "$a" --replica "$ip:9"
nothing_was_made "an unreachable server"
says 6 "no-such-host.invalid.*check the name" "$cli" volume create v --size 1M --no-witness --replica "$a" --replica no-such-host.invalid
nothing_was_made "a name that does not resolve"
says_json 6 unreachable "nobody listens" "$cli" volume create v --size 1M --replica "$ip:9"

replica_freeze b
says 8 "$b: no answer within 1000 ms" "$cli" volume create v --size 1M --no-witness --timeout 1 --replica "$a" --replica "$b"
replica_thaw b
nothing_was_made "a stopped server"

# Something else listens there.
cat >"$tmp/other.py" <<'END'
import socket, sys
listener = socket.create_server((sys.argv[1], 8000))
while True:
    connection, _ = listener.accept()
    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n" + b"\r\n" * 64)
END
spawn other python3 "$tmp/other.py" "$ip"
wait_until 10 "the other server listens" can_connect "$ip:8000"
says 5 "$ip:8000: not the answer of a lockstep-replica" "$cli" volume create v --size 1M --no-witness --replica "$a" --replica "$ip:8000"
nothing_was_made "a server of another kind"

# The third server cannot store anything: the first two replicas are taken back.
rm -rf "${tmp:?}/c"
says 5 "$c: .*" "$cli" volume create v --size 1M --replica "$a" --replica "$b" --replica "$c"
grep -q "nothing was created" "$tmp/says.err" || fail "it does not say that it undid: $(cat "$tmp/says.err")"
nothing_was_made "a server that cannot store"

# A directory for the files that cannot be written to.
says 1 "$tmp/replica-a.log" "$cli" volume create v --size 1M --replica "$a" --config-dir "$tmp/replica-a.log"
nothing_was_made "a config directory that is a file"

# Deleting with a server away: nothing goes, unless forced, and then it says what stays.
"$cli" volume create v --size 1M --no-witness --replica "$a" --replica "$b" >/dev/null 2>&1
replica_kill b
says 6 "$b: nobody listens there.*nothing was deleted" "$cli" volume delete v --yes
replica_dir a v 0 >/dev/null
says 0 "replica b on $b is left behind" "$cli" volume delete v --yes --force
[[ ! -e $config_dir/volumes/v.yaml ]] || fail "the file is still there"
