/* Helpers of the test programs. Knows nothing of Lockstep. */
#include "tests/native/lib/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void tool_die(int code, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(code);
}

void *tool_zalloc(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (!memory)
		tool_die(EXIT_CANNOT, "out of memory: %zu bytes", bytes);
	return memory;
}

void *tool_realloc(void *memory, size_t bytes)
{
	memory = realloc(memory, bytes);
	if (!memory)
		tool_die(EXIT_CANNOT, "out of memory: %zu bytes", bytes);
	return memory;
}

uint64_t tool_number(const char *text, const char *what)
{
	static const char units[] = "kmgt";
	const char *unit;
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *text == '-')
		tool_die(EXIT_CANNOT, "%s: not a number: %s", what, text);
	if (*end == '\0')
		return value;
	unit = strchr(units, *end | 0x20);
	if (!unit || end[1] != '\0')
		tool_die(EXIT_CANNOT, "%s: unknown unit: %s", what, text);
	return value << (10 * (unit - units + 1));
}

uint64_t tool_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t tool_random_below(uint64_t *state, uint64_t below)
{
	return tool_random(state) % below;
}

void tool_write_all(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes > 0) {
		ssize_t done = write(fd, at, bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			tool_die(EXIT_CANNOT, "write: %s", strerror(errno));
		at += done;
		bytes -= (size_t)done;
	}
}
