/* An error for people: a negative errno and a bounded sentence "object: reason; next step".
 * Functions that can fail in ways a person must understand take a `struct err *` last and return its code. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include "common/compiler.h"

#define ERR_TEXT_MAX 511u

struct err {
	int code; /* 0 or a negative errno */
	char text[ERR_TEXT_MAX + 1];
};

/* Sets code and text (cut to fit) and returns `code`, which must be negative. `err` may be NULL. */
int err_set(struct err *err, int code, const char *format, ...) printf_like(3, 4);

/* Puts "prefix: " before the text, e.g. the object's name, and returns the code. */
int err_wrap(struct err *err, const char *format, ...) printf_like(2, 3);

/* "ENOSPC" for -ENOSPC or ENOSPC; "errno 999" style text never: unknown ones give "E?". Static text. */
const char *err_name(int code);

#endif
