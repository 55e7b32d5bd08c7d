/* Errors for people. Knows no module; formats, cuts to fit, never allocates.
 * On no request's path: data-path errors are plain -errno. */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	assert(code < 0);
	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

int err_wrap(struct err *err, const char *format, ...)
{
	char prefix[sizeof(err->text)];
	va_list args;
	size_t used;

	va_start(args, format);
	vsnprintf(prefix, sizeof(prefix), format, args);
	va_end(args);
	used = strlen(prefix);
	if (used <= sizeof(prefix) - sizeof(": "))
		used = (size_t)(stpcpy(prefix + used, ": ") - prefix);
	memmove(err->text + used, err->text, sizeof(err->text) - used);
	memcpy(err->text, prefix, used);
	err->text[ERR_TEXT_MAX] = '\0';
	return err->code;
}

const char *err_name(int code)
{
	const char *name = strerrorname_np(code < 0 ? -code : code);

	return name ? name : "E?";
}
