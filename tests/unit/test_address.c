/* host:port as people write it, and what is refused. */
#include "common/address.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

static void check_parses(const char *text, const char *host, unsigned port, const char *formatted)
{
	char out[ADDRESS_CHARS_MAX + 1];
	struct address address;

	CHECK_OK(address_parse(text, PORT_DEFAULT, &address, NULL));
	CHECK_STR(host, address.host);
	CHECK_EQ_U64(port, address.port);
	address_format(&address, out);
	CHECK_STR(formatted, out);
}

static void names_and_numbers_parse_with_and_without_port(void)
{
	check_parses("node-3.example:7000", "node-3.example", 7000, "node-3.example:7000");
	check_parses("10.0.0.3:1", "10.0.0.3", 1, "10.0.0.3:1");
	check_parses("localhost", "localhost", PORT_DEFAULT, "localhost:7420");
	check_parses("[::1]:65535", "::1", 65535, "[::1]:65535");
	check_parses("[fe80::1%eth0]", "fe80::1%eth0", PORT_DEFAULT, "[fe80::1%eth0]:7420");
}

static void the_longest_host_fits_and_one_more_does_not(void)
{
	char text[HOST_CHARS_MAX + 16], out[ADDRESS_CHARS_MAX + 1];
	struct address address;

	memset(text, 'a', HOST_CHARS_MAX);
	memcpy(text + HOST_CHARS_MAX, ":65535", sizeof(":65535"));
	CHECK_OK(address_parse(text, 0, &address, NULL));
	address_format(&address, out);
	CHECK_STR(text, out);
	memset(text, 'a', HOST_CHARS_MAX + 1);
	memcpy(text + HOST_CHARS_MAX + 1, ":65535", sizeof(":65535"));
	CHECK_ERRNO(-EINVAL, address_parse(text, 0, &address, NULL));
}

static void each_refusal_names_the_text_and_the_reason(void)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{"", "the host is missing"},
		{":7420", "the host is missing"},
		{"[]:7420", "the host is missing"},
		{"a:", "the port is missing"},
		{"a:x", "not a number"},
		{"a:-1", "not a number"},
		{"a: 1", "not a number"},
		{"a:+1", "not a number"},
		{"a:1 ", "not a number"},
		{"a:0", "port 0"},
		{"a:65536", "above 65535"},
		{"a:99999999999999999999", "above 65535"},
		{"::1:7420", "several colons"},
		{"[::1:7420", "not closed"},
		{"[::1]7420", "after the bracket"},
		{"[node]:7420", "no IPv6 address"},
		{"a b:7420", "no host name has"},
		{"a\n:7420", "no host name has"},
		{"-a:7420", "begins with '-'"},
		{"a/b:7420", "no host name has"},
	};

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		struct address address = {.port = 9};
		struct err err = {0};

		CHECK_ERRNO(-EINVAL, address_parse(bad[i].text, PORT_DEFAULT, &address, &err));
		CHECK_STR_HAS(bad[i].reason, err.text);
		CHECK_STR_HAS(bad[i].text, err.text);
		CHECK_EQ_U64(9, address.port);
	}
}

static void a_port_is_asked_for_where_there_is_no_default(void)
{
	struct address address;
	struct err err;

	CHECK_ERRNO(-EINVAL, address_parse("node", 0, &address, &err));
	CHECK_STR_HAS("the port is missing", err.text);
	CHECK_ERRNO(-EINVAL, address_parse("[::1]", 0, &address, &err));
}

static const struct check_test tests[] = {
	CHECK_TEST(names_and_numbers_parse_with_and_without_port),
	CHECK_TEST(the_longest_host_fits_and_one_more_does_not),
	CHECK_TEST(each_refusal_names_the_text_and_the_reason),
	CHECK_TEST(a_port_is_asked_for_where_there_is_no_default),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("address", tests, argc, argv);
}
