/* Protobuf bytes written by hand (protobuf.dev, "Encoding"), for messages that the codec would never write. */
#ifndef TESTS_UNIT_RAW_H
#define TESTS_UNIT_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

struct raw {
	size_t len;
	uint8_t bytes[MESSAGE_BYTES_MAX + 256];
};

void raw_init(struct raw *raw);
void raw_number(struct raw *raw, unsigned field, uint64_t value);
/* bytes, string or message. */
void raw_bytes(struct raw *raw, unsigned field, const void *data, size_t len);

#endif
