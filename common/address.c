/* Addresses as text. Pure: no resolver, no socket.
 * On no request's path: read from options, configs and volume files. */
#include "common/address.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct err *err, const char *text, const char *reason)
{
	return err_set(err, -EINVAL, "address \"%.80s\": %s; write HOST:PORT or [IPV6]:PORT", text, reason);
}

/* Digits only, without sign or blanks, 1..65535. NULL or the reason. */
static const char *parse_port(const char *text, uint16_t *ret)
{
	unsigned port = 0;

	if (*text == '\0')
		return "the port is missing";
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return "the port is not a number";
		port = port * 10 + (unsigned)(*text - '0');
		if (port > UINT16_MAX)
			return "the port is above 65535";
	}
	if (port == 0)
		return "port 0 cannot be connected to";
	*ret = (uint16_t)port;
	return NULL;
}

/* A host's characters: names, IPv4, and inside brackets IPv6 with a zone ("fe80::1%eth0"). */
static const char *check_host(const char *host, size_t chars, bool in_brackets)
{
	if (chars == 0)
		return "the host is missing";
	if (chars > HOST_CHARS_MAX)
		return "the host is too long";
	for (size_t i = 0; i < chars; i++) {
		if (isalnum((unsigned char)host[i]) || strchr(in_brackets ? ".-_:%" : ".-_", host[i]))
			continue;
		return host[i] == ':' ? "several colons outside brackets" : "a character that no host name has";
	}
	if (in_brackets && !memchr(host, ':', chars))
		return "no IPv6 address inside the brackets";
	return host[0] == '-' ? "the host begins with '-'" : NULL;
}

/* Where the host ends and what follows it. NULL or the reason. */
static const char *split(const char *text, const char **ret_host, size_t *ret_chars, const char **ret_rest)
{
	const char *end;

	if (*text == '[') {
		end = strchr(text, ']');
		if (!end)
			return "the bracket is not closed";
		*ret_host = text + 1;
		*ret_chars = (size_t)(end - text) - 1;
		*ret_rest = end + 1;
		return NULL;
	}
	end = strrchr(text, ':');
	if (!end)
		end = text + strlen(text);
	*ret_host = text;
	*ret_chars = (size_t)(end - text);
	*ret_rest = end;
	return NULL;
}

int address_parse(const char *text, uint16_t default_port, struct address *ret, struct err *err)
{
	struct address address = {.port = default_port};
	const char *host, *rest, *reason;
	size_t chars;

	reason = split(text, &host, &chars, &rest);
	if (!reason)
		reason = check_host(host, chars, *text == '[');
	if (!reason && *rest == ':')
		reason = parse_port(rest + 1, &address.port);
	else if (!reason && *rest != '\0')
		reason = "text after the bracket";
	else if (!reason && default_port == 0)
		reason = "the port is missing";
	if (reason)
		return refuse(err, text, reason);
	memcpy(address.host, host, chars);
	*ret = address;
	return 0;
}

void address_format(const struct address *address, char out[ADDRESS_CHARS_MAX + 1])
{
	bool is_v6 = strchr(address->host, ':') != NULL;

	snprintf(out, ADDRESS_CHARS_MAX + 1, "%s%s%s:%u", is_v6 ? "[" : "", address->host, is_v6 ? "]" : "",
		 address->port);
}
