/* The one rule for names. Pure; the same in every locale.
 * On no request's path. */
#include "common/name.h"

#include <string.h>

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_is_valid(const char *name)
{
	size_t chars = strnlen(name, VOLUME_NAME_MAX + 1);

	if (chars == 0 || chars > VOLUME_NAME_MAX || !is_letter_or_digit(name[0]))
		return false;
	for (size_t i = 1; i < chars; i++) {
		if (!is_letter_or_digit(name[i]) && !strchr("-_.", name[i]))
			return false;
	}
	return true;
}
