#!/usr/bin/env bash
# `replica check` calls a sound directory sound and a damaged one damaged, with exit code 11, and changes nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
replica_start a
volume_create vol 4m
dir=$(replica_dir a vol 0)
replica_kill a TERM

sums() { (cd "$dir" && sha256sum -- *); }
before=$(sums)
[[ $(json '(d["sound"], d["in_use"])' "$cli" replica check "$dir") == "(True, False)" ]] || fail "$("$cli" replica check "$dir")"
"$cli" replica check "$dir" | grep -q "^$dir: sound" || fail "$("$cli" replica check "$dir")"

truncate -s -4096 "$dir/data"
code=0
"$cli" replica check "$dir" >"$tmp/short.out" || code=$?
((code == 11)) || fail "a truncated data file: exit code $code"
grep -q "problem: " "$tmp/short.out" || fail "$(cat "$tmp/short.out")"
truncate -s $((4 << 20)) "$dir/data"
[[ $before == "$(sums)" ]] || fail "the check has changed the directory"

dd if=/dev/zero of="$dir/superblock" bs=64K count=2 conv=notrunc status=none
sound=$(json 'd["sound"]' "$cli" replica check "$dir") || true # the check's own exit code is 11
[[ $sound == False ]] || fail "both superblock slots are gone, and it is called sound"
says 10 "superblock" "$cli" replica check "$tmp"
