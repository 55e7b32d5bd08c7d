#!/usr/bin/env bash
# Without root rights: attach says that it needs them, status that the sockets are root's, create what it cannot write.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

((EUID == 0)) || skip "only root can run a program as somebody else"
command -v setpriv >/dev/null || skip "no setpriv (package util-linux)"
# A copy: the work tree may lie where others may not look.
mkdir "$tmp/bin"
cp "$B/lockstep" "$tmp/bin/"
chmod -R go+rX "$tmp"
as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups "$tmp/bin/lockstep")
"${as_nobody[@]}" version >/dev/null || skip "nobody cannot run programs here"

cp deploy/volume.yaml.example "$config_dir/volumes/data.yaml"
says 9 "needs root; run it with sudo" "${as_nobody[@]}" volume attach data
says_json 9 not-permitted "needs root" "${as_nobody[@]}" volume attach data
says 9 "$config_dir/volumes: cannot be written.*run it as root" "${as_nobody[@]}" volume create v --size 1M --replica "$ip:7420"
says 9 "$config_dir/volumes: cannot be written" "${as_nobody[@]}" volume delete data --yes
chmod 700 "$config_dir/volumes"
says 9 "data.yaml: Permission denied" "${as_nobody[@]}" volume show data
chmod 700 "$run_dir"
says 9 "$run_dir: Permission denied" "${as_nobody[@]}" status

# A socket that belongs to root alone.
chmod 711 "$run_dir"
cat >"$tmp/listener.py" <<'END'
import os, signal, socket, sys
os.umask(0o077)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
signal.pause()
END
spawn socket python3 "$tmp/listener.py" "$run_dir/data.sock"
wait_until 10 "the socket is there" log_has socket listening
says 9 "Permission denied; run it as root" "${as_nobody[@]}" status data
says 9 "Permission denied; run it as root" "${as_nobody[@]}" volume detach data
