# shellcheck shell=bash
# What the guest's scripts share: where things are kept, and how they speak. Sourced, never run.

# shellcheck disable=SC2034 # used by those who source this
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck disable=SC2034
cache=$top/build/cache/guest

say()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
	say "$*"
	exit 1
}

# The directory of the kernel named $1 ("7.3", "6.12"): vmlinuz, root/ (its modules), version. Set by fetch-kernel.
kernel_dir()
{
	printf '%s/kernel-%s\n' "$cache" "$1"
}
