/* The connector: letters in, letters out, on a real loop and real sockets of this machine. */
#include "gateway/drivers/connector.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mailbox.h"
#include "gateway/drivers/letters.h"
#include "tests/unit/check.h"

struct office {
	struct ev_loop *loop;
	struct mailbox *to_data;
	struct connector *connector;
	struct ev_io arrival;
	struct ev_timer patience;
};

static int listen_here(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK_OK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	CHECK_OK(listen(fd, 4));
	CHECK_OK(getsockname(fd, (struct sockaddr *)&address, &len));
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static void stop_loop(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	ev_break(loop, EVBREAK_ALL);
}

static void lose_patience(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	CHECK_FAIL("no letter came");
}

/* Legs: a replica, a witness between, a replica; each has its own address. */
static void office_open(struct office *office, const char *first, const char *second, unsigned mailbox_size)
{
	struct connector_options options;
	struct volume_spec *spec = calloc(1, sizeof(*spec));
	struct err err = {0};

	spec->set_count = 1;
	spec->sets[0].replica_count = 3;
	for (unsigned i = 0; i < 3; i++)
		spec->sets[0].replicas[i].kind = i == 1 ? VOTER_WITNESS : VOTER_REPLICA;
	snprintf(spec->sets[0].replicas[0].address, ADDRESS_CHARS_MAX, "%s", first);
	snprintf(spec->sets[0].replicas[1].address, ADDRESS_CHARS_MAX, "witness.invalid:1");
	snprintf(spec->sets[0].replicas[2].address, ADDRESS_CHARS_MAX, "%s", second);
	connector_options_default(&options);
	office->loop = ev_loop_new(EVFLAG_AUTO);
	office->to_data = mailbox_new(mailbox_size);
	office->connector = connector_new(&options, spec, office->loop, office->to_data, &err);
	free(spec);
	CHECK_NOT_NULL(office->connector);
	ev_io_init(&office->arrival, stop_loop, mailbox_fd(office->to_data), EV_READ);
	ev_io_start(office->loop, &office->arrival);
	ev_timer_init(&office->patience, lose_patience, 20., 0.);
	ev_timer_start(office->loop, &office->patience);
}

static void office_close(struct office *office)
{
	connector_free(office->connector);
	ev_loop_destroy(office->loop);
	mailbox_free(office->to_data);
}

static struct letter office_letter(struct office *office)
{
	struct letter letter;

	while (!mailbox_take(office->to_data, &letter))
		ev_run(office->loop, 0);
	return letter;
}

static void ask(struct office *office, unsigned leg, enum lane lane, uint32_t attempt)
{
	const struct letter letter = {.kind = LETTER_CONNECT, .a = leg, .b = letter_lane(lane, attempt), .fd = -1};

	connector_connect(office->connector, &letter);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CHECK_OK(getsockopt(fd, level, name, &value, &len));
	return value;
}

static void check_connects(const char *host)
{
	char address[64];
	uint16_t port;
	int listener = listen_here(&port);
	struct office office;
	struct linger linger;
	socklen_t len = sizeof(linger);
	struct letter letter;

	snprintf(address, sizeof(address), "%s:%u", host, port);
	office_open(&office, "unused.invalid:1", address, 16);
	ask(&office, 2, LANE_BULK, 5);
	letter = office_letter(&office);
	CHECK_EQ_INT(LETTER_LANE_READY, letter.kind);
	CHECK_EQ_U64(2, letter.a);
	CHECK_EQ_U64(letter_lane(LANE_BULK, 5), letter.b);
	CHECK_EQ_INT(1, option_of(letter.fd, IPPROTO_TCP, TCP_NODELAY));
	CHECK_TRUE(option_of(letter.fd, IPPROTO_TCP, TCP_USER_TIMEOUT) > 0);
	CHECK_OK(getsockopt(letter.fd, SOL_SOCKET, SO_LINGER, &linger, &len));
	CHECK_EQ_INT(1, linger.l_onoff);
	CHECK_EQ_INT(0, linger.l_linger);
	close(letter.fd);
	close(listener);
	office_close(&office);
}

static void a_numeric_address_is_connected_with_every_option_set(void)
{
	check_connects("127.0.0.1");
}

/* localhost may be ::1 first, where nobody listens: the next address must be tried. */
static void a_name_is_resolved_and_all_its_addresses_are_tried(void)
{
	check_connects("localhost");
}

static void check_fails(const char *address, const char *part)
{
	struct office office;
	struct letter letter;
	struct err *err;

	office_open(&office, address, "unused.invalid:1", 16);
	ask(&office, 0, LANE_MAIN, 1);
	letter = office_letter(&office);
	CHECK_EQ_INT(LETTER_LANE_FAILED, letter.kind);
	CHECK_EQ_U64(0, letter.a);
	CHECK_EQ_U64(letter_lane(LANE_MAIN, 1), letter.b);
	err = letter.data;
	CHECK_TRUE(err->code < 0);
	CHECK_STR_HAS(part, err->text);
	free(err);
	office_close(&office);
}

static void a_port_nobody_listens_on_is_a_failure_with_its_reason(void)
{
	char address[64];
	uint16_t port;

	close(listen_here(&port));
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	check_fails(address, address);
	check_fails(address, "refused");
}

static void a_host_that_does_not_resolve_is_a_failure_with_its_name(void)
{
	check_fails("no-such-host.invalid:7420", "no-such-host.invalid");
}

static void a_malformed_address_is_a_failure(void)
{
	check_fails("[::1:7420", "[::1:7420");
}

static void a_newer_request_replaces_the_older_one_of_its_lane(void)
{
	char address[64];
	uint16_t port;
	int listener = listen_here(&port);
	struct office office;
	struct letter letter;

	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	office_open(&office, address, address, 16);
	ask(&office, 0, LANE_MAIN, 1);
	ask(&office, 0, LANE_MAIN, 2);
	letter = office_letter(&office);
	CHECK_EQ_INT(LETTER_LANE_READY, letter.kind);
	CHECK_EQ_U64(letter_lane(LANE_MAIN, 2), letter.b);
	close(letter.fd);
	CHECK_FALSE(mailbox_take(office.to_data, &letter));
	close(listener);
	office_close(&office);
}

static void a_full_mailbox_delays_a_result_but_does_not_lose_it(void)
{
	char address[64];
	uint16_t port;
	int listener = listen_here(&port);
	struct office office;
	struct letter letter;
	unsigned ready = 0;

	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	office_open(&office, address, address, 1);
	for (unsigned i = 0; i < 4; i++)
		ask(&office, i / 2 * 2, i % 2, 1);
	while (ready < 4) {
		letter = office_letter(&office);
		CHECK_EQ_INT(LETTER_LANE_READY, letter.kind);
		close(letter.fd);
		ready++;
	}
	close(listener);
	office_close(&office);
}

static void closing_gives_up_attempts_and_open_questions(void)
{
	struct office office;

	office_open(&office, "no-such-host.invalid:7420", "127.0.0.1:9", 16);
	for (unsigned i = 0; i < 4; i++)
		ask(&office, i / 2 * 2, i % 2, 1);
	office_close(&office);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_numeric_address_is_connected_with_every_option_set),
	CHECK_TEST(a_name_is_resolved_and_all_its_addresses_are_tried),
	CHECK_TEST(a_port_nobody_listens_on_is_a_failure_with_its_reason),
	CHECK_TEST(a_host_that_does_not_resolve_is_a_failure_with_its_name),
	CHECK_TEST(a_malformed_address_is_a_failure),
	CHECK_TEST(a_newer_request_replaces_the_older_one_of_its_lane),
	CHECK_TEST(a_full_mailbox_delays_a_result_but_does_not_lose_it),
	CHECK_TEST(closing_gives_up_attempts_and_open_questions),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("connector", tests, argc, argv);
}
