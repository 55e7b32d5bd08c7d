/* host:port as people and configs write it: name:port, 10.0.0.3:port, [v6]:port. Text only; common/net.h resolves it.
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"

#define PORT_DEFAULT 7420u
#define HOST_CHARS_MAX 255u /* RFC 1035, 2.3.4 */

static_assert(sizeof("[]:65535") - 1 + HOST_CHARS_MAX <= ADDRESS_CHARS_MAX, "the longest address fits");

struct address {
	char host[HOST_CHARS_MAX + 1]; /* without brackets */
	uint16_t port;		       /* 1..65535 */
};

/* `default_port` 0: the text must name a port. 0 or -EINVAL with `err`; `*ret` untouched on error. Pure. */
int address_parse(const char *text, uint16_t default_port, struct address *ret, struct err *err) must_check;

/* Brackets where the host has a colon. Pure. */
void address_format(const struct address *address, char out[ADDRESS_CHARS_MAX + 1]);

#endif
