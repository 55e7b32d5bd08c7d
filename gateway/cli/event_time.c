/* Knows how people name a moment, and no clock. */
#include "gateway/cli/event_time.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A time is the beginning of this, digits for digits; it may end after any group. */
static const char shape[] = "0000-00-00T00:00:00.000Z";

static bool is_time(const char *text)
{
	size_t len = strlen(text);

	if (len < strlen("0000-00-00") || len >= sizeof(shape) || (len > 10 && len < strlen("0000-00-00T00:00")))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (shape[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			/* Whole seconds may end with the Z as well. */
			return text[i] == 'Z' && i + 1 == len && (i == 16 || i == 19);
	}
	return true;
}

static uint64_t unit_ms(const char *unit)
{
	static const struct {
		char letter;
		uint64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};

	for (unsigned i = 0; i < ARRAY_COUNT(units); i++) {
		if (unit[0] == units[i].letter && !unit[1])
			return units[i].ms;
	}
	return 0;
}

int event_since_parse(const char *text, uint64_t now_ms, char ret[EVENT_TIME_CHARS], struct err *err)
{
	char *unit;
	unsigned long long count;
	uint64_t ms;

	if (is_time(text)) {
		snprintf(ret, EVENT_TIME_CHARS, "%s", text);
		if (strlen(ret) > 16 && strlen(ret) < sizeof(shape) - 1)
			ret[strcspn(ret, "Z")] = '\0'; /* it would sort behind the fractions of its second */
		return 0;
	}
	errno = 0;
	count = strtoull(text, &unit, 10);
	ms = isdigit((unsigned char)text[0]) && !errno ? unit_ms(unit) : 0;
	if (!ms || count > UINT32_MAX)
		return err_set(err, -EINVAL,
			       "'%.64s' is neither a time as 2026-11-28T17:00:00Z nor how long ago as 30s, 10m, 2h, 3d",
			       text);
	event_time_format(count * ms < now_ms ? now_ms - count * ms : 0, ret);
	return 0;
}
