#!/usr/bin/env bash
# Every wrong word on the command line is its own message, with exit code 2, in text and in JSON; no server is needed for it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
create() { says 2 "$1" "$cli" volume create "${@:2}"; }
one=(--replica "$ip:7420")

says 2 "no such command" "$cli" frobnicate
says 2 "no such command" "$cli" volume frobnicate
says 2 "NAME is missing" "$cli" volume show
says 2 "'y' is one word too many" "$cli" volume show x y
says 2 "unknown or ambiguous option" "$cli" volume list --frobnicate
says 2 "unknown option" "$cli" volume list -x
says 2 "takes no value" "$cli" volume list --json=yes
code=0
"$cli" >/dev/null 2>&1 || code=$?
((code == 2)) || fail "no command at all ends with $code"

create "--size: is missing" v "${one[@]}"
create "--size: 0 is too small" v --size 0 "${one[@]}"
create "--size: needs a value" v "${one[@]}" --size
create "--size: '-1' is not a size" v --size -1 "${one[@]}"
create "--size: 'much' is not a size" v --size much "${one[@]}"
create "--size: 99999999999999999999G is too large" v --size 99999999999999999999G "${one[@]}"
create "--size: 2048T is too large; the most is 1P" v --size 2048T "${one[@]}"
create "must be a multiple of the block size 4096" v --size 4608 "${one[@]}"
create "must be a multiple of the block size 512" v --size 1000 --block-size 512 "${one[@]}"
create "--block-size: must be 512 or 4096, not 1024" v --size 1M --block-size 1K "${one[@]}"
create "--block-size: 8K is too large" v --size 1M --block-size 8K "${one[@]}"
create "chunk 100000" v --size 1M --chunk 100000 "${one[@]}"
create "--chunk: 1K is too small" v --size 1M --chunk 1K "${one[@]}"
create "--sets: 17 is out of range, 1 to 16" v --size 1M --sets 17 "${one[@]}"
create "--sets: 'two' is not a number" v --size 1M --sets two "${one[@]}"
create "too small to reach it" v --size 1M --sets 2 "${one[@]}"
create "--timeout: 0 is out of range" v --size 1M --timeout 0 "${one[@]}"
create "--replica: is missing" v --size 1M
create "given twice" v --size 1M "${one[@]}" "${one[@]}"
create "the name 'a'" v --size 1M --replica "a=$ip:1" --replica "a=$ip:2"
create "port is not a number" v --size 1M --replica "$ip:http"
create "port is above 65535" v --size 1M --replica "$ip:65536"
create "several colons outside brackets" v --size 1M --replica ::1:7420
create "stands in no --replicas-set" v --size 1M --replica "a=$ip:1" --replica "b=$ip:2" --replicas-set a
create "'c' is no name given with --replica" v --size 1M --replica "a=$ip:1" --replicas-set a,c
create "--sets 3: does not agree with 1 times --replicas-set" v --size 1M --sets 3 --replicas-set "$ip:1,$ip:2"
two=("${one[@]}" --replica "$ip:7421")
create "--witness: is missing: set 0 has two replicas, .*no majority" v --size 1M "${two[@]}"
create "--no-witness: contradicts --witness" v --size 1M "${two[@]}" --no-witness --witness "$ip:7422"
create "--witness: $ip:7421 keeps a replica of every set" v --size 1M "${two[@]}" --witness "$ip:7421"
create "--witness: $ip:7422 is given twice" v --size 1M "${two[@]}" --witness "$ip:7422" --witness "x=$ip:7422"
create "--witness: the name 'b'" v --size 1M "${two[@]}" --witness "b=$ip:7422"
create "--policy: min-in-sync: 0 is out of range" v --size 1M "${one[@]}" --policy min-in-sync=0
create "--policy: 'fast=1' is not KEY=VALUE" v --size 1M "${one[@]}" --policy fast=1
create "--witness: .*port is not a number" v --size 1M "${two[@]}" --witness "$ip:http"
create "volume name" a/b --size 1M "${one[@]}"
create "volume name" ../b --size 1M "${one[@]}"
create "volume name" "" --size 1M "${one[@]}"
create "volume name" "a b" --size 1M "${one[@]}"
create "volume name" "$(printf 'x%.0s' {1..64})" --size 1M "${one[@]}"
says_json 2 usage "0 is too small" "$cli" volume create v --size 0 "${one[@]}"
says_json 2 usage "no such command" "$cli" volume frobnicate
[[ -z $(ls "$config_dir/volumes") ]] || fail "a refused create left $(ls "$config_dir/volumes")"

says 3 "no such volume" "$cli" volume show v
says 3 "no such volume" "$cli" volume attach v
says 3 "no such volume" "$cli" volume delete v --yes
says 3 "is not attached" "$cli" volume detach v
says 3 "is not attached" "$cli" status v
says_json 3 not-found "no such volume" "$cli" volume show v
says 2 "only makes sense with --watch" "$cli" status --count 2
says 2 "no volume here to take the servers from" "$cli" replica list
says 2 "neither a replica's uuid" "$cli" replica show xyz
says 3 "No such file" "$cli" replica check "$tmp/nowhere"

# A file that was damaged by hand: named with its line wherever it is read.
printf 'format: 1\nname: bad\nsise: 1G\n' >"$config_dir/volumes/bad.yaml"
says 10 "bad.yaml:3: unknown key 'sise'" "$cli" volume show bad
says 10 "bad.yaml:3: unknown key 'sise'" "$cli" volume list
says 10 "bad.yaml:3: unknown key 'sise'" "$cli" volume attach bad
[[ $(json 'd["errors"][0]["name"]' "$cli" volume list) == bad ]] || fail "volume list --json does not name the bad file"

# A copy under another name is no second volume.
rm "$config_dir/volumes/bad.yaml"
cp deploy/volume.yaml.example "$config_dir/volumes/copy.yaml"
says 10 "copy.yaml: says 'name: data'; rename" "$cli" volume show copy
says 10 "copy.yaml: says 'name: data'; rename" "$cli" volume list
[[ $(json 'd["volumes"]' "$cli" volume list) == "[]" ]] || fail "$("$cli" volume list --json)"
