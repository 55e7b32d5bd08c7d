#!/usr/bin/env bash
# A check that cannot fail is worth nothing: each of our own is shown a tree with one fault, and must name it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
problems=0

# A tree in which every check finds nothing.
good_tree()
{
	rm -rf "${tree:?}"/*
	mkdir -p "$tree"/{common,proto,gateway/core,gateway/drivers,replica-server/core,tests/native,tests/guest,tests/unit,deploy,docs}
	mkdir -p "$tree/.ci"
	printf '/* A list. */\n#include "common/list.h"\nint list_add(void)\n{\n\treturn 0;\n}\n' >"$tree/common/list.c"
	printf '/* A list. */\nint list_add(void);\n' >"$tree/common/list.h"
	printf '/* The engine. */\n#include "common/list.h"\n' >"$tree/gateway/core/engine.c"
	printf '/* Tests. */\nCHECK_TEST(a_list_can_grow)\n' >"$tree/tests/unit/test_list.c"
	printf '/* Faults. */\n	X(list_is_lost, "nothing is kept")\n' >"$tree/common/mutant.h"
	# shellcheck disable=SC2016
	printf '| `list_is_lost` | nothing is kept | 1 | list |  |\n' >"$tree/docs/mutants.md"
	local page
	for page in README.md docs/{architecture,protocol,on-disk,failure-modes,hacking}.md; do
		# shellcheck disable=SC2016
		printf 'See `common/list.c: list_add()`, `unit/test_list: a_list_can_grow`.\n' >"$tree/$page"
	done
}

# must_pass CHECK
must_pass()
{
	local output
	output=$("./$1" "$tree" 2>&1) && return
	printf '%s finds fault with a good tree: %s\n' "$1" "$output"
	problems=$((problems + 1))
}

# must_find CHECK WORDS: on the tree as it is now, which is made good again afterwards.
must_find()
{
	local output
	if output=$("./$1" "$tree" 2>&1); then
		printf '%s does not see: %s\n' "$1" "$2"
		problems=$((problems + 1))
	elif [[ $output != *"$2"* ]]; then
		printf '%s fails, but does not say "%s": %s\n' "$1" "$2" "$output"
		problems=$((problems + 1))
	fi
	good_tree
}

# times N TEXT: N lines.
times()
{
	yes "$2" | head -n "$1" || true
}

good_tree
for check in check-layers.sh check-lengths.sh check-docs.sh check-names.sh; do
	must_pass "$check"
done

printf '/* x */\n#include <liburing.h>\n' >"$tree/gateway/core/engine.c"
must_find check-layers.sh "gateway/core/engine.c"
printf '/* x */\n#include "common/uring.h"\n' >"$tree/common/list.h"
printf '/* x */\n#include <liburing.h>\n' >"$tree/common/uring.h"
must_find check-layers.sh "through common/uring.h"
printf '/* x */\n#include "gateway/core/engine.h"\n' >"$tree/replica-server/core/store.c"
must_find check-layers.sh "replica-server/core/store.c"
printf '/* x */\n#include <ev.h>\n' >"$tree/common/list.c"
must_find check-layers.sh "<ev.h>"
printf '/* x */\n#include "proto/frame.h"\n' >"$tree/common/list.c"
must_find check-layers.sh "out of its reach"

{ printf '/* x */\nint long_one(void)\n{\n' && times 70 '	;' && printf '}\n'; } >"$tree/common/list.c"
must_find check-lengths.sh "long_one() is 73 lines"
{ printf '/* x */\n' && times 600 ''; } >"$tree/common/list.c"
must_find check-lengths.sh "over 600 lines"

sed -i 's/list_add/list_remove/' "$tree/docs/architecture.md"
must_find check-docs.sh "list_remove"
sed -i 's/can_grow/can_shrink/' "$tree/docs/failure-modes.md"
must_find check-docs.sh "a_list_can_shrink"
# shellcheck disable=SC2016 # backquotes of the document
printf '`sim/options.h: w_gone`\n' >>"$tree/docs/failure-modes.md"
must_find check-docs.sh "sim/options.h"
printf '[gone](gone.md)\n' >>"$tree/README.md"
must_find check-docs.sh "gone.md"
rm "$tree/docs/protocol.md"
must_find check-docs.sh "docs/protocol.md"
printf '	X(list_is_long, "all is kept")\n' >>"$tree/common/mutant.h"
must_find check-docs.sh "not one row for list_is_long"
sed -i 's/is_lost/is_found/' "$tree/common/mutant.h"
must_find check-docs.sh "no planted fault list_is_lost"
sed -i 's/| list |/|  |/' "$tree/docs/mutants.md"
must_find check-docs.sh "list_is_lost names no unit test"

printf '/* Tests. */\nCHECK_TEST(grow2)\n' >"$tree/tests/unit/test_list.c"
must_find check-names.sh "grow2"
printf 'int x;\n' >"$tree/common/list.c"
must_find check-names.sh "begin with a comment"
printf '/* x */\nvoid f(char *a, char *b) { strcpy(a, b); }\n' >"$tree/common/list.c"
must_find check-names.sh "banned"
printf '#!/bin/sh\ntrue\n' >"$tree/deploy/sloppy"
must_find check-names.sh "deploy/sloppy"

((problems == 0)) || exit 1
printf 'check-the-checks: 4 checks pass a good tree and name 19 faults\n'
