#!/usr/bin/env bash
# Fails when an #include breaks the direction of the layers. Headers are followed, so that a core file may not reach
# liburing through somebody else's header either.
# Usage: tests/tools/check-layers.sh [TOP]      TOP: another tree, for the check's own test
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"

# What may include what of ours: FOLDER-PREFIX, then a regular expression of allowed project headers. First match wins.
own_rules='
common/                 ^common/
proto/                  ^(common|proto)/
gateway/core/           ^(common|proto|gateway/core)/
gateway/drivers/        ^(common|proto|gateway/core|gateway/drivers)/
gateway/cli/            ^(common|proto|gateway/core/volume\.h|gateway/drivers/volume_file\.h|gateway/cli|replica-server/core|replica-server/drivers/store_check\.h)
gateway/main.c          ^(common|proto|gateway/core|gateway/drivers)/
replica-server/core/    ^(common|proto|replica-server/core)/
replica-server/drivers/ ^(common|proto|replica-server/core|replica-server/drivers)/
replica-server/main.c   ^(common|proto|replica-server/core|replica-server/drivers)/
'

# Headers of the system that only some places may reach: HEADER-REGEX, then who may. Every matching line must allow it.
drivers='^(gateway/drivers/|replica-server/drivers/|gateway/main\.c|replica-server/main\.c)'
system_rules="
^liburing                ^(common/uring\.[ch]|gateway/drivers/|replica-server/drivers/|gateway/main\.c|replica-server/main\.c)
^linux/(ublk|io_uring)   ^(common/uring\.[ch]|gateway/drivers/|replica-server/drivers/)
^ev\.h                   $drivers
^openssl/                ^(common/crc32c\.c|gateway/drivers/|replica-server/drivers/)
protobuf-c|\.pb-c\.h     ^proto/[a-z_]*\.c
^cyaml/                  ^(common/yaml_|gateway/drivers/volume_file|replica-server/drivers/)
^jansson                 ^(gateway/cli/|gateway/drivers/)
^systemd/                ^(common/log\.c|gateway/drivers/|replica-server/drivers/|gateway/main\.c|replica-server/main\.c)
^(sys/socket|netinet/|arpa/|netdb|sys/un\.h) ^(common/|proto/admin|gateway/drivers/|gateway/cli/|gateway/main\.c|replica-server/drivers/|replica-server/main\.c)
"
# The core makes no system call. These come close enough to one to be kept out, however they are reached.
core='^(gateway|replica-server)/core/'
not_in_core='^(liburing|linux/|ev\.h|openssl/|cyaml/|jansson|systemd/|sys/(socket|mman|stat|ioctl|file|uio|epoll|eventfd|un)|netinet/|arpa/|netdb|unistd|fcntl|pthread|poll|signal|protobuf-c|.*\.pb-c\.h)'

declare -A includes=() allowed_by=()
problems=0

complain()
{
	printf '%s\n' "$*"
	problems=$((problems + 1))
}

list_sources()
{
	find common proto gateway replica-server \( -name '*.c' -o -name '*.h' \) -type f | sort
}

# includes[FILE]: the words between the quotes or brackets of its #include lines.
read_includes()
{
	local file header
	while IFS=: read -r file header; do
		includes[$file]+=" $header"
	done < <(list_sources | xargs grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<][^">]+' /dev/null |
		sed -E 's/^([^:]+):.*["<]([^"<]+)$/\1:\2/')
}

# First rule whose prefix fits the file.
own_rule_of()
{
	local prefix allowed
	while read -r prefix allowed; do
		[[ $prefix && $1 == "$prefix"* ]] && printf '%s\n' "$allowed" && return
	done <<<"$own_rules"
	complain "$1: no layer known for this file; add it to tests/tools/check-layers.sh"
}

check_own()
{
	local file=$1 header=$2
	[[ $header =~ ${allowed_by[$file]} ]] || complain "$file includes \"$header\": that layer is out of its reach"
}

check_system()
{
	local file=$1 header=$2 pattern who
	while read -r pattern who; do
		[[ $pattern && $header =~ $pattern ]] || continue
		[[ $file =~ $who ]] || complain "$file includes <$header>: not its business"
	done <<<"$system_rules"
}

# Everything file $1 reaches through our own headers must be fit for the core.
check_core()
{
	local -A seen=()
	local queue=("$1") file header
	while ((${#queue[@]} > 0)); do
		file=${queue[0]}
		queue=("${queue[@]:1}")
		[[ ${seen[$file]-} ]] && continue
		seen[$file]=1
		for header in ${includes[$file]-}; do
			if [[ $header =~ $not_in_core || $header =~ /drivers/ ]]; then
				complain "$1 reaches <$header> through $file: the core knows nothing of it"
			fi
			[[ ! -f $header ]] || queue+=("$header")
		done
	done
}

read_includes
for file in "${!includes[@]}"; do
	allowed_by[$file]=$(own_rule_of "$file")
	for header in ${includes[$file]}; do
		if [[ $header =~ ^(common|proto|gateway|replica-server)/ ]]; then
			check_own "$file" "$header"
		fi
		check_system "$file" "$header"
	done
	[[ ! $file =~ $core ]] || check_core "$file"
done
((problems == 0)) || { printf 'check-layers: %d broken include directions\n' "$problems" && exit 1; }
printf 'check-layers: %d files, every include in its direction\n' "${#includes[@]}"
