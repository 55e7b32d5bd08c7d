#!/usr/bin/env bash
# create, list, show, replica list/show/check and delete against real replica-servers; each leaves exactly what it says.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source-path=SCRIPTDIR source=lib/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/cli.sh"

cli=$B/lockstep
for name in a b c d; do
	replica_start "$name"
done
a=$(replica_address a) b=$(replica_address b) c=$(replica_address c) d=$(replica_address d)

"$cli" volume create data --size 8M --replica "a=$a" --replica "b=$b" --replica "c=$c" >"$tmp/create.out" 2>"$tmp/create.err"
grep -q "volume data created: 8.00 MiB, 1 mirror set, 3 replicas, 0 witnesses" "$tmp/create.out" || fail "$(cat "$tmp/create.out")"
grep -q "creating replica b of set 0 on $b (2 of 3)" "$tmp/create.err" || fail "no progress: $(cat "$tmp/create.err")"
for name in a b c; do
	[[ $(stat -c %s "$(replica_dir "$name" data 0)/data") == $((8 << 20)) ]] || fail "the data file on $name has another size"
done
[[ -z $(ls "$tmp/d") ]] || fail "server d was not asked for, and has $(ls "$tmp/d")"

# Two replicas: refused without a witness, and why; with one, each set has it; or in so many words without.
says 2 "no majority.*--witness HOST:PORT" "$cli" volume create pair --size 1M --replica "$a" --replica "$b"
"$cli" volume create pair --size 1G --sets 2 --replica "$a" --replica "$b" --witness "w=$d" >"$tmp/pair.out" 2>"$tmp/pair.err"
grep -q "4 replicas, 2 witnesses" "$tmp/pair.out" || fail "$(cat "$tmp/pair.out")"
grep -q "creating witness w of set 1 on $d (6 of 6)" "$tmp/pair.err" || fail "no progress: $(cat "$tmp/pair.err")"
[[ $(ls "$(replica_dir d pair 1)") == superblock ]] || fail "a witness has $(ls "$(replica_dir d pair 1)")"
[[ $(json '[(w["name"], w["address"]) for s in d["volume"]["sets"] for w in s["witnesses"]]' "$cli" volume show pair) == \
	"[('w', '$d'), ('w', '$d')]" ]] || fail "$("$cli" volume show pair --json)"
"$cli" volume show pair | has_line -E "^  witness +w +$d" || fail "$("$cli" volume show pair)"
"$cli" volume list | has_line -E '^pair +1\.00 GiB +2 +4 +2 +detached' || fail "$("$cli" volume list)"
[[ $(json 'sorted((r["volume"], r["kind"]) for r in d["servers"][0]["replicas"])' "$cli" replica list --server "$d") == \
	"[('pair', 'witness'), ('pair', 'witness')]" ]] || fail "$("$cli" replica list --server "$d")"
uuid=$(json 'd["volume"]["sets"][0]["witnesses"][0]["uuid"]' "$cli" volume show pair)
"$cli" replica show "${uuid:0:8}" 2>/dev/null | has_line "^witness $uuid" || fail "replica show ${uuid:0:8}"
"$cli" volume delete pair --yes >/dev/null 2>&1
[[ -z $(ls "$tmp/d") ]] || fail "server d still keeps $(ls "$tmp/d")"
"$cli" volume create two --size 1G --block-size 512 --sets 2 --replica "$c" --replica "$d" --no-witness >/dev/null 2>"$tmp/two.err"
grep -q "no majority" "$tmp/two.err" || fail "no word of the majority: $(cat "$tmp/two.err")"
# A stripe over listed sets, in JSON.
"$cli" volume create striped --size 10M --chunk 64K --replicas-set "$a,$b" --replicas-set "$c,$d" --no-witness --json >"$tmp/striped.json"
python3 - "$tmp/striped.json" <<'END' || fail "$(cat "$tmp/striped.json")"
import json, sys
volume = json.load(open(sys.argv[1]))["volume"]
assert volume["size_bytes"] == 10 << 20 and volume["chunk_bytes"] == 65536, volume
assert [len(s["replicas"]) for s in volume["sets"]] == [2, 2], volume
assert sum(s["size_bytes"] for s in volume["sets"]) == 10 << 20, volume
END

says 4 "exists" "$cli" volume create data --size 8M --replica "$a"
says_json 4 exists "choose another name" "$cli" volume create data --size 8M --replica "$a"
[[ $(json '[v["name"] for v in d["volumes"]]' "$cli" volume list) == "['data', 'striped', 'two']" ]] || fail "volume list"
"$cli" volume list | has_line -E '^data +8\.00 MiB +1 +3 +0 +detached' || fail "$("$cli" volume list)"
"$cli" volume show data | has_line "$b" || fail "$("$cli" volume show data)"
[[ $(json 'd["status"]' "$cli" volume show data) == None ]] || fail "a detached volume has a status"

# Servers list what they keep.
[[ $(json 'len(d["servers"])' "$cli" replica list) == 4 ]] || fail "replica list asks $(json 'd' "$cli" replica list)"
[[ $(json 'sorted(r["volume"] for r in d["servers"][0]["replicas"])' "$cli" replica list --server "$c") == \
	"['data', 'striped', 'two', 'two']" ]] || fail "server c keeps $("$cli" replica list --server "$c")"
uuid=$(json 'd["volume"]["sets"][0]["replicas"][1]["uuid"]' "$cli" volume show data)
"$cli" replica show "${uuid:0:8}" >"$tmp/show.out" 2>/dev/null
grep -q "replica $uuid" "$tmp/show.out" || fail "replica show ${uuid:0:8}: $(cat "$tmp/show.out")"
grep -q "health     ok" "$tmp/show.out" || fail "$(cat "$tmp/show.out")"
says 3 "no such replica" "$cli" replica show 01234567-0000

# Offline check of one directory: sound, but held by its server.
dir=$(replica_dir b data 0)
[[ $dir == *".${uuid:0:8}" ]] || fail "$dir is not named after $uuid"
[[ $(json '(d["sound"], d["in_use"], d["replica"]["volume"])' "$cli" replica check "$dir") == "(True, True, 'data')" ]] ||
	fail "$("$cli" replica check "$dir")"

# Delete: asks, then removes all, and nothing of another volume.
says 2 "say --yes" "$cli" volume delete data
[[ -e $config_dir/volumes/data.yaml && -d $dir ]] || fail "a refused delete has deleted"
"$cli" volume delete data --yes >/dev/null 2>&1
[[ ! -e $config_dir/volumes/data.yaml ]] || fail "the file is still there"
for name in a b c; do
	[[ -z $(find "$tmp/$name" -maxdepth 1 -name 'data.*') ]] || fail "$name still keeps $(ls "$tmp/$name")"
done
replica_dir c two 1 >/dev/null
says 3 "no such volume" "$cli" volume delete data --yes
[[ $(json '[r["result"] for r in d["replicas"]]' "$cli" volume delete striped --yes) == "['deleted', 'deleted', 'deleted', 'deleted']" ]] ||
	fail "volume delete --json"

# The name is free again.
"$cli" volume create data --size 8M --replica "$a" >/dev/null 2>&1
