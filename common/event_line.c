/* Event lines written and read back. Knows no event by name. Not on a request's path. */
#include "common/event_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void event_time_format(uint64_t realtime_ms, char out[EVENT_TIME_CHARS])
{
	time_t seconds = (time_t)(realtime_ms / 1000);
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) || !strftime(out, EVENT_TIME_CHARS, "%Y-%m-%dT%H:%M:%S", &utc))
		snprintf(out, EVENT_TIME_CHARS, "0000-00-00T00:00:00"); /* a year beyond 9999 */
	snprintf(out + strlen(out), EVENT_TIME_CHARS - strlen(out), ".%03uZ", (unsigned)(realtime_ms % 1000));
}

void event_line_tame(char *text)
{
	for (; *text; text++) {
		if (*text == '"')
			*text = '\'';
		else if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

bool event_line_next(const char **at, struct event_field *ret)
{
	const char *p = *at + strspn(*at, " ");
	size_t key_chars = strcspn(p, "= \"\n");

	if (!key_chars || p[key_chars] != '=')
		return false;
	ret->key = p;
	ret->key_chars = key_chars;
	p += key_chars + 1;
	if (*p == '"') {
		ret->value = ++p;
		ret->value_chars = strcspn(p, "\"\n");
		p += ret->value_chars;
		if (*p != '"')
			return false; /* cut */
		p++;
	} else {
		ret->value = p;
		ret->value_chars = strcspn(p, " \n");
		p += ret->value_chars;
	}
	*at = p;
	return true;
}

bool event_line_find(const char *line, const char *key, struct event_field *ret)
{
	while (event_line_next(&line, ret)) {
		if (strlen(key) == ret->key_chars && !strncmp(key, ret->key, ret->key_chars))
			return true;
	}
	return false;
}
