/* Identifiers as text and bytes. Pure: no randomness, no files.
 * Used wherever a volume, set or replica is named; never on a request's path. */
#include "common/uuid.h"

#include <errno.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

bool uuid_is_nil(const struct uuid *uuid)
{
	static const struct uuid nil;

	return uuid_equal(uuid, &nil);
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Bytes before which the canonical form has a hyphen: 8-4-4-4-12. */
static bool has_hyphen_before(unsigned byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_format(const struct uuid *uuid, char out[UUID_CHARS + 1])
{
	for (unsigned i = 0; i < sizeof(uuid->bytes); i++) {
		if (has_hyphen_before(i))
			*out++ = '-';
		*out++ = hex_digits[uuid->bytes[i] >> 4];
		*out++ = hex_digits[uuid->bytes[i] & 15];
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int uuid_parse(const char *text, struct uuid *ret)
{
	struct uuid uuid;

	for (unsigned i = 0; i < sizeof(uuid.bytes); i++) {
		int high, low;

		if (has_hyphen_before(i) && *text++ != '-')
			return -EINVAL;
		high = hex_value(text[0]);
		low = high < 0 ? -1 : hex_value(text[1]);
		if (low < 0)
			return -EINVAL;
		uuid.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text != '\0')
		return -EINVAL;
	*ret = uuid;
	return 0;
}

struct uuid uuid_from_random(const uint8_t random[16])
{
	struct uuid uuid;

	memcpy(uuid.bytes, random, sizeof(uuid.bytes));
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40); /* version 4 */
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80); /* variant of RFC 9562 */
	return uuid;
}
