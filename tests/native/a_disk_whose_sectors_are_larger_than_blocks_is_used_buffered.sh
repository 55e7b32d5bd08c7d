#!/usr/bin/env bash
# A disk with sectors of 4096 bytes under a volume with blocks of 512: O_DIRECT cannot write such a block, and the server
# finds that out before a gateway does, though an empty file lets it be read.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

unshare -m true 2>/dev/null || skip "no mount namespaces here"
command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4 (package e2fsprogs)"
truncate -s 64m "$shm_dir/disk"
mkfs.ext4 -q -b 4096 "$shm_dir/disk"
loop=$(losetup --find --show --sector-size 4096 "$shm_dir/disk" 2>/dev/null) || skip "no loop device with large sectors here"
mkdir "$tmp/a"
# The device is gone with its last mount.
# shellcheck disable=SC2016 # expanded by the inner shell
replica_wrap=(unshare -m bash -uc 'mount "$0" "$1" && shift || set -- false; losetup -d "$0"; exec "$@"' "$loop" "$tmp/a")
replica_start a
volume_create small 16m --block-size 512
volume_create large 16m --block-size 4096
log_has replica-a 'replica=small.* io=buffered .*block size' || fail "small: $(grep replica=small "$tmp/replica-a.log")"
log_has replica-a 'replica=large.* io=direct' || fail "large: $(grep replica=large "$tmp/replica-a.log")"
for volume in small large; do
	volume_run "$volume" --ops 500 --seed 7
	load_end "$volume"
	gateway_stop "$volume"
done
