/* Sizes as people write them, both directions. Knows nothing of what the size is for: limits are the caller's.
 * Used by the CLI's options and by the volume's file, never on a request's path. */
#include "common/size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/limits.h"

static const char size_suffixes[] = "KMGTPE";

/* "", "B", "K", "KB", "KiB", ... -> how many times 1024, or -EINVAL. */
static int suffix_power(const char *suffix)
{
	const char *found;

	if (suffix[0] == '\0' || !strcasecmp(suffix, "B"))
		return 0;
	found = strchr(size_suffixes, toupper((unsigned char)suffix[0]));
	if (!found)
		return -EINVAL;
	if (suffix[1] == '\0' || !strcasecmp(suffix + 1, "B") || !strcasecmp(suffix + 1, "iB"))
		return (int)(found - size_suffixes) + 1;
	return -EINVAL;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	uint64_t value = 0;
	int power;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	power = suffix_power(text);
	if (power < 0)
		return power;
	for (; power > 0; power--) {
		if (__builtin_mul_overflow(value, 1024u, &value))
			return -ERANGE;
	}
	*ret_bytes = value;
	return 0;
}

void size_format(uint64_t bytes, char out[SIZE_TEXT_CHARS])
{
	unsigned power = 0;

	while (bytes && bytes % 1024 == 0 && power < sizeof(size_suffixes) - 1) {
		bytes /= 1024;
		power++;
	}
	if (power)
		snprintf(out, SIZE_TEXT_CHARS, "%" PRIu64 "%c", bytes, size_suffixes[power - 1]);
	else
		snprintf(out, SIZE_TEXT_CHARS, "%" PRIu64, bytes);
}

void size_format_rough(uint64_t bytes, char out[SIZE_TEXT_CHARS])
{
	double value = (double)bytes / 1024.0;
	unsigned power = 0;
	int decimals;

	if (bytes < KIB) {
		snprintf(out, SIZE_TEXT_CHARS, "%" PRIu64 " B", bytes);
		return;
	}
	for (; value >= 1000.0 && power < sizeof(size_suffixes) - 2; power++)
		value /= 1024.0;
	decimals = value < 10.0 ? 2 : value < 100.0 ? 1 : 0;
	snprintf(out, SIZE_TEXT_CHARS, "%.*f %ciB", decimals, value, size_suffixes[power]);
}
