/* protobuf-c behind plain structs (proto/message.h). The only header through which control bytes become meaning.
 * Hard limits: MESSAGE_BYTES_MAX packed bytes, bounded strings and counts, no allocation beyond a fixed arena
 * given by the caller; a message that does not fit is refused, never truncated. */
#ifndef PROTO_CODEC_H
#define PROTO_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "proto/message.h"

/* Packs into `out`. Returns bytes used, or -EMSGSIZE / -EINVAL. Any thread; no allocation. */
int codec_pack(const struct message *message, uint8_t *out, size_t cap) must_check;

/* Unpacks and validates. 0, or -EBADMSG / -EMSGSIZE / -EPROTO with `*ret_reason` static text; `*ret` is then unspecified.
 * Temporary memory comes from a fixed arena inside (thread-local); nothing is retained. Any thread. */
int codec_unpack(const uint8_t *in, size_t len, struct message *ret, const char **ret_reason) must_check;

#endif
