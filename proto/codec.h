/* protobuf-c behind plain structs (proto/message.h). The only header through which control bytes become meaning.
 * Hard limits: MESSAGE_BYTES_MAX packed bytes, bounded strings and counts, no allocation beyond a fixed arena
 * given by the caller; a message that does not fit is refused, never truncated. */
#ifndef PROTO_CODEC_H
#define PROTO_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "proto/message.h"

/* Packs into `out`. Returns bytes used, or -EMSGSIZE (over `cap` or MESSAGE_BYTES_MAX, or the config's), -EINVAL
 * (unknown kind, too long a list). Any thread; no allocation. Numbers and uuids go out as they are, for the peer to
 * judge; in texts every byte that is not printable ASCII becomes '?', because the peer would refuse it. */
int codec_pack(const struct message *message, uint8_t *out, size_t cap) must_check;

/* Unpacks and validates. 0, or -EBADMSG / -EMSGSIZE / -EPROTO with `*ret_reason` static text; `*ret` is then
 * unspecified. Temporary memory comes from a fixed arena inside (thread-local, 160 KiB); nothing is retained. Any
 * thread. Checked: everything that needs no knowledge of the receiver; docs/protocol.md lists it. Not checked: whether
 * a ballot or session is current, the replica known, a version or feature shared, a config the right one.
 *
 * struct message is 36 KiB, because of the listing: one in the state of each connection or thread, not one per call. */
int codec_unpack(const uint8_t *in, size_t len, struct message *ret, const char **ret_reason) must_check;

#endif
