/* 16-byte identifiers, RFC 9562 version 4. Compared and stored as bytes. */
#ifndef COMMON_UUID_H
#define COMMON_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

#define UUID_CHARS 36u /* without the terminating NUL */

struct uuid {
	uint8_t bytes[16];
};

bool uuid_is_nil(const struct uuid *uuid);
bool uuid_equal(const struct uuid *a, const struct uuid *b);

/* Lower-case canonical text into `out`. Pure. */
void uuid_format(const struct uuid *uuid, char out[UUID_CHARS + 1]);

/* 0 or -EINVAL; `*ret` untouched on error. Pure. */
int uuid_parse(const char *text, struct uuid *ret) must_check;

/* Sets version and variant bits of 16 random bytes (the core gets its randomness from outside). Pure. */
struct uuid uuid_from_random(const uint8_t random[16]);

#endif
