#!/usr/bin/env bash
# `replica check` calls a sound directory sound and a damaged one damaged, with exit code 11, and changes nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
for server in a b w; do replica_start "$server"; done
volume_create vol 4m --replica "a=$(replica_address a)" --replica "b=$(replica_address b)" --witness "w=$(replica_address w)"
# Promises and configs of an attachment in both slots.
volume_run vol --ops 100
load_end vol
gateway_stop vol
dir=$(replica_dir a vol 0)
for server in a b w; do replica_kill "$server" TERM; done

sums() { (cd "$dir" && sha256sum -- *); }
before=$(sums)
[[ $(json '(d["sound"], d["in_use"])' "$cli" replica check "$dir") == "(True, False)" ]] || fail "$("$cli" replica check "$dir")"
"$cli" replica check "$dir" | has_line "^$dir: sound" || fail "$("$cli" replica check "$dir")"

"$cli" replica check "$(replica_dir w vol)" | has_line "  witness .*; epoch [1-9]" || fail "$("$cli" replica check "$(replica_dir w vol)")"

truncate -s -4096 "$dir/data"
code=0
"$cli" replica check "$dir" >"$tmp/short.out" || code=$?
((code == 11)) || fail "a truncated data file: exit code $code"
grep -q "problem: " "$tmp/short.out" || fail "$(cat "$tmp/short.out")"
truncate -s $((4 << 20)) "$dir/data"
[[ $before == "$(sums)" ]] || fail "the check has changed the directory"

# The data of one beside the witness, and the superblock of one in the place of the other's.
cp --sparse=always "$dir/data" "$(replica_dir w vol)/data"
code=0
"$cli" replica check "$(replica_dir w vol)" >"$tmp/witness.out" || code=$?
((code == 11)) || fail "a witness with data: exit code $code"
grep -q "problem: data: a witness has no such file" "$tmp/witness.out" || fail "$(cat "$tmp/witness.out")"
cp "$dir/superblock" "$tmp/a.superblock"
cp "$(replica_dir b vol)/superblock" "$dir/superblock"
code=0
"$cli" replica check "$dir" >"$tmp/mixed.out" || code=$?
((code == 11)) || fail "a superblock of another replica: exit code $code"
grep -q "problem: stamps: of another replica" "$tmp/mixed.out" || fail "$(cat "$tmp/mixed.out")"
grep -q "note: the directory is named" "$tmp/mixed.out" || fail "$(cat "$tmp/mixed.out")"
# One slot of each.
dd if="$tmp/a.superblock" of="$dir/superblock" bs=64K count=1 conv=notrunc status=none
code=0
"$cli" replica check "$dir" >"$tmp/slots.out" || code=$?
((code == 11)) || fail "slots of two replicas: exit code $code"
grep -q "problem: superblock: its slots are of different replicas" "$tmp/slots.out" || fail "$(cat "$tmp/slots.out")"
cp "$tmp/a.superblock" "$dir/superblock"
[[ $before == "$(sums)" ]] || fail "the check has changed the directory"

dd if=/dev/zero of="$dir/superblock" bs=64K count=2 conv=notrunc status=none
sound=$(json 'd["sound"]' "$cli" replica check "$dir") || true # the check's own exit code is 11
[[ $sound == False ]] || fail "both superblock slots are gone, and it is called sound"
says 10 "superblock" "$cli" replica check "$tmp"
