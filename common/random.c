/* The kernel's random bytes. Knows not what they are for.
 * On no request's path: drawn at start, at create and once an attachment. */
#include "common/random.h"

#include <errno.h>
#include <sys/random.h>

#include "common/compiler.h"

void random_bytes(void *out, size_t bytes)
{
	uint8_t *p = out;

	while (bytes > 0) {
		ssize_t got = getrandom(p, bytes, 0);

		if (got < 0) {
			assert(errno == EINTR); /* the only one for a valid buffer and no flags */
			continue;
		}
		p += got;
		bytes -= (size_t)got;
	}
}

uint64_t random_nonzero(void)
{
	uint64_t value = 0;

	while (value == 0)
		random_bytes(&value, sizeof(value));
	return value;
}
