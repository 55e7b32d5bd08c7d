#!/usr/bin/env bash
# What deploy/*.example and the man pages show as an example is accepted by the programs; what is misspelt is refused with
# its line.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep

# The last literal display of a man page's EXAMPLES.
example_of()
{
	sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' "docs/man/$1" | sed -e '1,2d' -e '$d'
}

cp deploy/volume.yaml.example "$config_dir/volumes/data.yaml"
"$cli" volume show data | has_line "node2:7420" || fail "$("$cli" volume show data 2>&1)"
example_of lockstep-volume.5 >"$config_dir/volumes/data.yaml"
"$cli" volume show data | has_line "node2:7420" || fail "$("$cli" volume show data 2>&1)"

# A server with the sample's settings, but for its place.
serve_with()
{
	local log=${1##*/}
	spawn "$log" "$B/lockstep-replica" --config "$1"
	wait_until 10 "the server with $1 is ready" log_has "$log" event=ready
	end TERM "$spawned"
	((ended == 0)) || fail "the server with $1 ended with $ended"
}
mkdir "$tmp/store"
sed -e "s|/var/lib/lockstep|$tmp/store|" -e "s|\":7420\"|$ip:7420|" deploy/replica.yaml.example >"$tmp/replica.yaml"
serve_with "$tmp/replica.yaml"
example_of lockstep-replica.5 | sed -e "s|/var/lib/lockstep|$tmp/store|" -e "s|10.0.0.2|$ip|" >"$tmp/page.yaml"
serve_with "$tmp/page.yaml"

sed 's/^threads:/treads:/' "$tmp/replica.yaml" >"$tmp/bad.yaml"
line=$(grep -n '^treads' "$tmp/bad.yaml" | cut -d: -f1)
says 2 "bad.yaml:$line: unknown key 'treads'" "$B/lockstep-replica" --config "$tmp/bad.yaml"
sed 's/^threads:.*/threads: many/' "$tmp/replica.yaml" >"$tmp/bad.yaml"
says 2 "bad.yaml:$line: threads: .*many" "$B/lockstep-replica" --config "$tmp/bad.yaml"
