/* The admin socket: its messages and their limits, and its server against clients that misbehave. */
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "gateway/drivers/admin.h"
#include "proto/admin_client.h"
#include "proto/frame.h"
#include "tests/unit/check.h"

#define WAIT_MS 10000

/* ---- Messages. ---- */

/* Large, so static; each test fills it anew. */
static struct admin_reply sent, received;
static uint8_t packed[ADMIN_REPLY_BYTES_MAX];

static void a_status_with_all_legs_comes_back_as_it_was(void)
{
	const char *reason;
	int len;

	memset(&sent, 0, sizeof(sent));
	memset(&received, 0, sizeof(received));
	sent.kind = ADMIN_STATUS_REPLY;
	sent.status.leg_count = LEG_COUNT_MAX;
	sent.status.size_bytes = UINT64_MAX;
	strcpy(sent.status.state, "serving");
	memset(sent.status.reason, 'w', sizeof(sent.status.reason) - 1);
	sent.status.set_count = SET_COUNT_MAX;
	for (unsigned i = 0; i < SET_COUNT_MAX; i++) {
		memset(sent.status.sets[i].reason, 'r', sizeof(sent.status.sets[i].reason) - 1);
		memset(sent.status.sets[i].waits_for, 'w', sizeof(sent.status.sets[i].waits_for) - 1);
		memset(sent.status.sets[i].why_not, 'n', sizeof(sent.status.sets[i].why_not) - 1);
		strcpy(sent.status.sets[i].state, "suspended");
		sent.status.sets[i].since_ms = UINT64_MAX - i;
		sent.status.sets[i].uncertain_bytes = UINT64_MAX;
		sent.status.sets[i].loss_count = i;
		sent.status.sets[i].can_lose_node = i % 2;
	}
	memset(sent.status.mode_reason, 'r', ADMIN_TEXT_MAX);
	for (unsigned i = 0; i < LEG_COUNT_MAX; i++) {
		memset(sent.status.legs[i].address, 'a', ADDRESS_CHARS_MAX);
		memset(sent.status.legs[i].last_error, 'e', sizeof(sent.status.legs[i].last_error) - 1);
		sent.status.legs[i].outstanding_bytes = UINT64_MAX - i;
		sent.status.legs[i].zero_copy_now = i % 2;
		sent.status.legs[i].uuid.bytes[0] = (uint8_t)i;
		memset(sent.status.legs[i].name, 'n', VOLUME_NAME_MAX);
		strcpy(sent.status.legs[i].kind, "replica");
		strcpy(sent.status.legs[i].member, "syncing");
		sent.status.legs[i].resync_total_bytes = UINT64_MAX;
		sent.status.legs[i].resync_left_bytes = UINT64_MAX - i;
	}
	len = admin_reply_pack(&sent, packed, sizeof(packed));
	CHECK_TRUE(len > 0);
	CHECK_OK(admin_reply_unpack(packed, (size_t)len, &received, &reason));
	CHECK_MEM(&sent, &received, sizeof(sent));
}

static void fill_verify(void)
{
	memset(&sent, 0, sizeof(sent));
	memset(&received, 0, sizeof(received));
	sent.kind = ADMIN_VERIFY_REPLY;
	strcpy(sent.verify.state, "running");
	memset(sent.verify.text, 't', ADMIN_TEXT_MAX);
	sent.verify.finding_count = ADMIN_FINDINGS_MAX + 7;
	sent.verify.leg_count = LEG_COUNT_MAX;
	for (unsigned i = 0; i < LEG_COUNT_MAX; i++)
		sent.verify.leg_bytes[i] = UINT64_MAX - i;
	for (unsigned i = 0; i < ADMIN_FINDINGS_MAX; i++)
		sent.verify.findings[i] = (struct admin_finding){SET_COUNT_MAX - 1, UINT64_MAX, i + 1, 127, 64, i % 2};
}

static int send_and_receive(void)
{
	const char *reason;
	int len = admin_reply_pack(&sent, packed, sizeof(packed));

	CHECK_TRUE(len > 0);
	return admin_reply_unpack(packed, (size_t)len, &received, &reason);
}

static void a_verify_with_all_findings_comes_back_as_it_was(void)
{
	fill_verify();
	CHECK_OK(send_and_receive());
	CHECK_MEM(&sent, &received, sizeof(sent));
}

static void a_verify_that_names_what_cannot_be_is_refused(void)
{
	static const uint8_t no_verify[] = {0x08, ADMIN_VERIFY_REPLY};
	const char *reason;

	CHECK_ERRNO(-EPROTO, admin_reply_unpack(no_verify, sizeof(no_verify), &received, &reason));
	fill_verify();
	sent.verify.findings[3].set_index = SET_COUNT_MAX;
	CHECK_ERRNO(-EPROTO, send_and_receive());
	fill_verify();
	sent.verify.findings[3].compared = 1u << SET_VOTERS_MAX;
	CHECK_ERRNO(-EPROTO, send_and_receive());
	fill_verify();
	sent.verify.findings[3].compared = 3;
	CHECK_ERRNO(-EPROTO, send_and_receive());
	fill_verify();
	sent.verify.leg_count = LEG_COUNT_MAX + 1;
	CHECK_ERRNO(-EINVAL, admin_reply_pack(&sent, packed, sizeof(packed)));
}

static void an_order_to_verify_comes_back_as_it_was(void)
{
	struct admin_request order = {
		.kind = ADMIN_VERIFY,
		.verify_action = ADMIN_VERIFY_START,
		.repair = true,
		.sources = UINT64_MAX,
		.bytes_per_s = UINT64_MAX,
	};
	struct admin_request got;
	const char *reason;
	int len = admin_request_pack(&order, packed, ADMIN_REQUEST_BYTES_MAX);

	CHECK_TRUE(len > 0);
	CHECK_OK(admin_request_unpack(packed, (size_t)len, &got, &reason));
	CHECK_EQ_INT(ADMIN_VERIFY, got.kind);
	CHECK_EQ_INT(ADMIN_VERIFY_START, got.verify_action);
	CHECK_TRUE(got.repair);
	CHECK_EQ_U64(UINT64_MAX, got.sources);
	CHECK_EQ_U64(UINT64_MAX, got.bytes_per_s);
	order.verify_action = ADMIN_VERIFY_ACTION_COUNT;
	len = admin_request_pack(&order, packed, ADMIN_REQUEST_BYTES_MAX);
	CHECK_ERRNO(-EPROTO, admin_request_unpack(packed, (size_t)len, &got, &reason));
}

static void a_reply_that_does_not_fit_is_not_packed(void)
{
	memset(&sent, 0, sizeof(sent));
	sent.kind = ADMIN_STATUS_REPLY;
	CHECK_ERRNO(-EMSGSIZE, admin_reply_pack(&sent, packed, 8));
	sent.status.leg_count = LEG_COUNT_MAX + 1;
	CHECK_ERRNO(-EINVAL, admin_reply_pack(&sent, packed, sizeof(packed)));
	sent.status.leg_count = 0;
	sent.status.set_count = SET_COUNT_MAX + 1;
	CHECK_ERRNO(-EINVAL, admin_reply_pack(&sent, packed, sizeof(packed)));
}

static void bytes_that_are_no_message_are_refused(void)
{
	static const uint8_t junk[] = {0xff, 0xff, 0xff, 0xff};
	static const uint8_t unknown_kind[] = {0x08, 0x63};
	static const uint8_t no_kind[] = {0x10, 0x01};
	struct admin_request request;
	const char *reason;

	CHECK_ERRNO(-EBADMSG, admin_request_unpack(junk, sizeof(junk), &request, &reason));
	CHECK_ERRNO(-EPROTO, admin_request_unpack(unknown_kind, sizeof(unknown_kind), &request, &reason));
	CHECK_ERRNO(-EPROTO, admin_request_unpack(no_kind, sizeof(no_kind), &request, &reason));
	CHECK_ERRNO(-EMSGSIZE, admin_request_unpack(packed, ADMIN_REQUEST_BYTES_MAX + 1, &request, &reason));
	CHECK_ERRNO(-EBADMSG, admin_reply_unpack(junk, sizeof(junk), &received, &reason));
	CHECK_ERRNO(-EPROTO, admin_reply_unpack(unknown_kind, sizeof(unknown_kind), &received, &reason));
	CHECK_ERRNO(-EMSGSIZE, admin_reply_unpack(packed, ADMIN_REPLY_BYTES_MAX + 1, &received, &reason));
}

static void a_text_over_its_limit_is_refused_not_cut(void)
{
	uint8_t wire[1024] = {0x08, ADMIN_DONE, 0x1a, 0x80, 0x04}; /* kind; text of 512 bytes */
	const char *reason;

	memset(wire + 5, 'x', 512);
	CHECK_ERRNO(-EPROTO, admin_reply_unpack(wire, 5 + 512, &received, &reason));
	wire[3] = 0xff;
	wire[4] = 0x03; /* 511 */
	CHECK_OK(admin_reply_unpack(wire, 5 + 511, &received, &reason));
	CHECK_EQ_U64(511, strlen(received.text));
}

static void a_status_reply_without_a_status_and_a_refusal_without_an_error_are_refused(void)
{
	static const uint8_t no_status[] = {0x08, ADMIN_STATUS_REPLY};
	static const uint8_t no_error[] = {0x08, ADMIN_REFUSED};
	const char *reason;

	CHECK_ERRNO(-EPROTO, admin_reply_unpack(no_status, sizeof(no_status), &received, &reason));
	CHECK_ERRNO(-EPROTO, admin_reply_unpack(no_error, sizeof(no_error), &received, &reason));
}

/* ---- The server, on a thread of its own. ---- */

struct server {
	char dir[64], path[96];
	struct ev_loop *loop;
	struct admin *admin;
	ev_async stop;
	pthread_t thread;
};

static void answer(void *ctx, unsigned client, const struct admin_request *request)
{
	static struct admin_reply reply;
	struct server *server = ctx;

	reply = (struct admin_reply){.kind = ADMIN_PONG, .pid = 42};
	if (request->kind == ADMIN_PING)
		admin_reply(server->admin, client, &reply);
	/* DETACH and STATUS are left unanswered. */
}

static void on_stop(struct ev_loop *loop, ev_async *async, int events)
{
	ev_break(loop, EVBREAK_ALL);
}

static void *serve(void *arg)
{
	struct server *server = arg;

	ev_run(server->loop, 0);
	return NULL;
}

static void server_start(struct server *server)
{
	struct err err = {0};

	strcpy(server->dir, "/tmp/lockstep-admin.XXXXXX");
	CHECK_NOT_NULL(mkdtemp(server->dir));
	snprintf(server->path, sizeof(server->path), "%s/v.sock", server->dir);
	server->loop = ev_loop_new(0);
	CHECK_OK(admin_new(server->path, server->loop, answer, server, &server->admin, &err));
	ev_async_init(&server->stop, on_stop);
	ev_async_start(server->loop, &server->stop);
	CHECK_OK(-pthread_create(&server->thread, NULL, serve, server));
}

static void server_stop(struct server *server)
{
	ev_async_send(server->loop, &server->stop);
	pthread_join(server->thread, NULL);
	admin_free(server->admin);
	ev_loop_destroy(server->loop);
	rmdir(server->dir);
}

static int connect_to(const struct server *server)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = WAIT_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", server->path);
	CHECK_OK(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0);
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ? -errno : 0);
	return fd;
}

/* The server hangs up within the patience of the socket. */
static bool is_closed_by_server(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static bool answers_ping(const struct server *server)
{
	struct admin_request ping = {.kind = ADMIN_PING};
	struct err err = {0};

	return !admin_client_call(server->path, &ping, WAIT_MS, &received, &err) && received.kind == ADMIN_PONG &&
	       received.pid == 42;
}

static size_t make_ping(uint8_t *out, struct frame frame)
{
	struct admin_request ping = {.kind = ADMIN_PING};
	int len = admin_request_pack(&ping, out + FRAME_BYTES, ADMIN_REQUEST_BYTES_MAX);

	frame.length = frame.length ? frame.length : (uint32_t)len;
	frame.checksum = frame.checksum ? frame.checksum : crc32c(0, out + FRAME_BYTES, (size_t)len);
	frame_encode(&frame, out);
	return FRAME_BYTES + (size_t)len;
}

/* Sends the bytes; the server must hang up on them and go on serving others. */
static void expect_hang_up(const struct server *server, const void *bytes, size_t len)
{
	int fd = connect_to(server);

	CHECK_EQ_INT((int64_t)len, send(fd, bytes, len, MSG_NOSIGNAL));
	CHECK_TRUE(is_closed_by_server(fd));
	close(fd);
	CHECK_TRUE(answers_ping(server));
}

static void a_ping_is_answered_and_the_socket_is_private(void)
{
	struct server server;
	struct stat st;

	server_start(&server);
	CHECK_TRUE(answers_ping(&server));
	CHECK_OK(stat(server.path, &st) ? -errno : 0);
	CHECK_EQ_INT(0600, st.st_mode & 0777);
	server_stop(&server);
	CHECK_ERRNO(-ENOENT, access(server.path, F_OK) ? -errno : 0);
}

static void each_kind_of_nonsense_costs_only_its_own_connection(void)
{
	uint8_t wire[FRAME_BYTES + ADMIN_REQUEST_BYTES_MAX];
	struct server server;
	size_t len;

	server_start(&server);
	memset(wire, 'x', sizeof(wire));
	expect_hang_up(&server, wire, sizeof(wire));
	(void)make_ping(wire, (struct frame){.type = FRAME_PING});
	expect_hang_up(&server, wire, FRAME_BYTES);
	len = make_ping(wire, (struct frame){.type = FRAME_CONTROL, .length = ADMIN_REQUEST_BYTES_MAX + 1});
	expect_hang_up(&server, wire, len);
	len = make_ping(wire, (struct frame){.type = FRAME_CONTROL, .checksum = 12345});
	expect_hang_up(&server, wire, len);
	server_stop(&server);
}

static void a_request_in_single_bytes_is_answered(void)
{
	uint8_t wire[FRAME_BYTES + ADMIN_REQUEST_BYTES_MAX];
	size_t len = make_ping(wire, (struct frame){.type = FRAME_CONTROL});
	struct server server;
	char byte;
	int fd;

	server_start(&server);
	fd = connect_to(&server);
	for (size_t i = 0; i < len; i++)
		CHECK_EQ_INT(1, send(fd, wire + i, 1, MSG_NOSIGNAL));
	CHECK_EQ_INT(1, recv(fd, &byte, 1, 0));
	close(fd);
	server_stop(&server);
}

static void two_requests_in_one_segment_are_both_answered(void)
{
	uint8_t wire[2 * (FRAME_BYTES + ADMIN_REQUEST_BYTES_MAX)], replies[2 * (FRAME_BYTES + 64)];
	size_t len = make_ping(wire, (struct frame){.type = FRAME_CONTROL});
	struct server server;
	struct frame frame;
	const char *reason;
	size_t one;
	int fd;

	server_start(&server);
	memcpy(wire + len, wire, len);
	fd = connect_to(&server);
	CHECK_EQ_INT((int64_t)(2 * len), send(fd, wire, 2 * len, MSG_NOSIGNAL));
	CHECK_EQ_INT(FRAME_BYTES, recv(fd, replies, FRAME_BYTES, MSG_WAITALL));
	CHECK_OK(frame_decode(replies, &frame, &reason));
	one = FRAME_BYTES + frame.length;
	CHECK_EQ_INT((int64_t)(2 * one - FRAME_BYTES), recv(fd, replies, 2 * one - FRAME_BYTES, MSG_WAITALL));
	close(fd);
	server_stop(&server);
}

static void clients_above_the_limit_are_hung_up_and_places_come_back(void)
{
	struct server server;
	int fds[ADMIN_CLIENTS_MAX + 1];
	bool answered = false;

	server_start(&server);
	for (unsigned i = 0; i <= ADMIN_CLIENTS_MAX; i++)
		fds[i] = connect_to(&server);
	CHECK_TRUE(is_closed_by_server(fds[ADMIN_CLIENTS_MAX]));
	close(fds[0]);
	close(fds[ADMIN_CLIENTS_MAX]);
	for (unsigned i = 0; i < 1000 && !answered; i++) {
		answered = answers_ping(&server);
		usleep(answered ? 0 : 10000);
	}
	CHECK_TRUE(answered);
	for (unsigned i = 1; i < ADMIN_CLIENTS_MAX; i++)
		close(fds[i]);
	server_stop(&server);
}

static void a_second_server_is_refused_and_a_dead_ones_socket_is_replaced(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct admin *second;
	struct server server;
	struct err err = {0};
	int fd;

	server_start(&server);
	CHECK_ERRNO(-EADDRINUSE, admin_new(server.path, server.loop, answer, &server, &second, &err));
	server_stop(&server);
	/* What a killed gateway leaves: a name that nobody listens to. */
	CHECK_OK(mkdir(server.dir, 0700) ? -errno : 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", server.path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_OK(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0);
	close(fd);
	server.loop = ev_loop_new(0);
	CHECK_OK(admin_new(server.path, server.loop, answer, &server, &server.admin, &err));
	admin_free(server.admin);
	ev_loop_destroy(server.loop);
	rmdir(server.dir);
}

static void the_client_names_what_is_wrong_with_a_socket(void)
{
	struct admin_request ping = {.kind = ADMIN_PING};
	struct err err = {0};
	char path[200];

	CHECK_ERRNO(-ENOENT, admin_client_call("/tmp/lockstep-no-such.sock", &ping, WAIT_MS, &received, &err));
	CHECK_STR_HAS("/tmp/lockstep-no-such.sock", err.text);
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	CHECK_ERRNO(-ENAMETOOLONG, admin_client_call(path, &ping, WAIT_MS, &received, &err));
}

static void a_gateway_that_does_not_answer_is_given_up(void)
{
	struct admin_request status = {.kind = ADMIN_STATUS};
	struct err err = {0};
	struct server server;

	server_start(&server);
	CHECK_ERRNO(-ETIMEDOUT, admin_client_call(server.path, &status, 50, &received, &err));
	server_stop(&server);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_status_with_all_legs_comes_back_as_it_was),
	CHECK_TEST(a_verify_with_all_findings_comes_back_as_it_was),
	CHECK_TEST(a_verify_that_names_what_cannot_be_is_refused),
	CHECK_TEST(an_order_to_verify_comes_back_as_it_was),
	CHECK_TEST(a_reply_that_does_not_fit_is_not_packed),
	CHECK_TEST(bytes_that_are_no_message_are_refused),
	CHECK_TEST(a_text_over_its_limit_is_refused_not_cut),
	CHECK_TEST(a_status_reply_without_a_status_and_a_refusal_without_an_error_are_refused),
	CHECK_TEST(a_ping_is_answered_and_the_socket_is_private),
	CHECK_TEST(each_kind_of_nonsense_costs_only_its_own_connection),
	CHECK_TEST(a_request_in_single_bytes_is_answered),
	CHECK_TEST(two_requests_in_one_segment_are_both_answered),
	CHECK_TEST(clients_above_the_limit_are_hung_up_and_places_come_back),
	CHECK_TEST(a_second_server_is_refused_and_a_dead_ones_socket_is_replaced),
	CHECK_TEST(the_client_names_what_is_wrong_with_a_socket),
	CHECK_TEST(a_gateway_that_does_not_answer_is_given_up),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("admin_socket", tests, argc, argv);
}
