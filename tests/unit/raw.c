/* The two wire types that tests need: varints and length-delimited fields. Knows no message. */
#include "tests/unit/raw.h"

#include <assert.h>
#include <string.h>

void raw_init(struct raw *raw)
{
	raw->len = 0;
}

static void put_varint(struct raw *raw, uint64_t value)
{
	do {
		assert(raw->len < sizeof(raw->bytes));
		raw->bytes[raw->len++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value > 0);
}

void raw_number(struct raw *raw, unsigned field, uint64_t value)
{
	put_varint(raw, (uint64_t)field << 3);
	put_varint(raw, value);
}

void raw_bytes(struct raw *raw, unsigned field, const void *data, size_t len)
{
	put_varint(raw, (uint64_t)field << 3 | 2);
	put_varint(raw, len);
	assert(len <= sizeof(raw->bytes) - raw->len);
	if (len > 0)
		memcpy(raw->bytes + raw->len, data, len);
	raw->len += len;
}
