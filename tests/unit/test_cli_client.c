/* The CLI's client against a server that lies: every answer a replica-server must not give is refused with the reason,
 * in bounded time and memory. The server is a thread with a script of replies. */
#include "gateway/cli/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "tests/unit/check.h"

#define REPLIES_MAX 4u
#define TIMEOUT_MS 5000

struct reply {
	uint8_t bytes[FRAME_BYTES + MESSAGE_BYTES_MAX];
	size_t len; /* 0: hang up */
};

struct liar {
	int fd;
	char address[64];
	pthread_t thread;
	unsigned count;
	bool repeats_last; /* for ever */
	bool is_silent;	   /* after the last reply: keep the connection until the client leaves */
	struct reply *replies;
};

static void receive_request(int fd)
{
	uint8_t bytes[FRAME_BYTES + MESSAGE_BYTES_MAX];
	const char *reason;
	struct frame frame;

	if (recv(fd, bytes, FRAME_BYTES, MSG_WAITALL) == (ssize_t)FRAME_BYTES && !frame_decode(bytes, &frame, &reason))
		(void)!recv(fd, bytes, frame.length, MSG_WAITALL);
}

static void *serve(void *data)
{
	struct liar *liar = data;
	int fd = accept(liar->fd, NULL, NULL);
	char byte;

	for (unsigned i = 0; fd >= 0 && (i < liar->count || liar->repeats_last); i++) {
		const struct reply *reply = &liar->replies[i < liar->count ? i : liar->count - 1];

		receive_request(fd);
		if (!reply->len || send(fd, reply->bytes, reply->len, MSG_NOSIGNAL) < 0)
			break;
	}
	if (fd >= 0 && liar->is_silent) {
		while (recv(fd, &byte, 1, 0) > 0)
			;
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static struct message welcome(void)
{
	struct message message = {.kind = MESSAGE_WELCOME};

	message.welcome.version = PROTOCOL_VERSION;
	message.welcome.incarnation = 42;
	message.welcome.boot_id.bytes[0] = 1;
	message.welcome.payload_max_bytes = IO_BYTES_MAX;
	snprintf(message.welcome.server, sizeof(message.welcome.server), "liar");
	return message;
}

static void encode(const struct message *message, struct reply *ret)
{
	struct frame frame = {.type = FRAME_CONTROL};
	int len = codec_pack(message, ret->bytes + FRAME_BYTES, MESSAGE_BYTES_MAX);

	CHECK_TRUE(len > 0);
	frame.length = (uint32_t)len;
	frame.checksum = crc32c(0, ret->bytes + FRAME_BYTES, (size_t)len);
	frame_encode(&frame, ret->bytes);
	ret->len = FRAME_BYTES + (size_t)len;
}

static struct reply *add_reply(struct liar *liar)
{
	CHECK_TRUE(liar->count < REPLIES_MAX);
	return &liar->replies[liar->count++];
}

static void liar_init(struct liar *liar)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	memset(liar, 0, sizeof(*liar));
	liar->replies = calloc(REPLIES_MAX, sizeof(*liar->replies));
	CHECK_NOT_NULL(liar->replies);
	liar->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_TRUE(liar->fd >= 0);
	CHECK_EQ_INT(0, bind(liar->fd, (struct sockaddr *)&address, sizeof(address)));
	CHECK_EQ_INT(0, listen(liar->fd, 4));
	CHECK_EQ_INT(0, getsockname(liar->fd, (struct sockaddr *)&address, &len));
	snprintf(liar->address, sizeof(liar->address), "127.0.0.1:%u", ntohs(address.sin_port));
}

static void liar_start(struct liar *liar)
{
	CHECK_EQ_INT(0, pthread_create(&liar->thread, NULL, serve, liar));
}

static void liar_stop(struct liar *liar)
{
	shutdown(liar->fd, SHUT_RDWR); /* ends an accept(2) that nobody will connect to */
	CHECK_EQ_INT(0, pthread_join(liar->thread, NULL));
	close(liar->fd);
	free(liar->replies);
}

/* The first answer is `reply`: opening must fail with `expected` and `part`. */
static void open_fails(struct liar *liar, int timeout_ms, int expected, const char *part)
{
	struct client *client = NULL;
	struct err err = {.code = 0};
	int error;

	liar_start(liar);
	error = client_open(liar->address, timeout_ms, &client, &err);
	liar_stop(liar);
	CHECK_ERRNO(expected, error);
	CHECK_ERRNO(expected, err.code);
	CHECK_STR_HAS(part, err.text);
	CHECK_NULL(client);
}

static void a_server_of_our_version_is_welcome(void)
{
	const struct message hello = welcome();
	struct client *client = NULL;
	struct liar liar;
	struct err err;

	liar_init(&liar);
	encode(&hello, add_reply(&liar));
	liar_start(&liar);
	CHECK_OK(client_open(liar.address, TIMEOUT_MS, &client, &err));
	CHECK_EQ_U64(42, client_welcome(client)->incarnation);
	CHECK_STR(liar.address, client_address(client));
	client_close(client);
	liar_stop(&liar);
}

static void another_protocol_version_is_refused(void)
{
	struct message hello = welcome();
	struct liar liar;

	hello.welcome.version = PROTOCOL_VERSION + 1;
	liar_init(&liar);
	encode(&hello, add_reply(&liar));
	open_fails(&liar, TIMEOUT_MS, -EPROTONOSUPPORT, "upgrade the older of the two");
}

static void bytes_that_are_no_frame_are_refused(void)
{
	struct liar liar;
	struct reply *reply;

	liar_init(&liar);
	reply = add_reply(&liar);
	memset(reply->bytes, 'x', FRAME_BYTES);
	reply->len = FRAME_BYTES;
	open_fails(&liar, TIMEOUT_MS, -EPROTO, "not the answer of a lockstep-replica");
}

static void a_data_frame_is_no_answer(void)
{
	struct frame ping = {.type = FRAME_PING, .epoch = 1, .session = 1, .id = 1};
	struct liar liar;
	struct reply *reply;

	liar_init(&liar);
	reply = add_reply(&liar);
	frame_encode(&ping, reply->bytes);
	reply->len = FRAME_BYTES;
	open_fails(&liar, TIMEOUT_MS, -EPROTO, "not a control message");
}

static void a_wrong_checksum_is_refused(void)
{
	const struct message hello = welcome();
	struct liar liar;
	struct reply *reply;

	liar_init(&liar);
	reply = add_reply(&liar);
	encode(&hello, reply);
	reply->bytes[reply->len - 1] ^= 1;
	open_fails(&liar, TIMEOUT_MS, -EPROTO, "checksum");
}

static void a_message_that_does_not_unpack_is_refused(void)
{
	struct frame frame = {.type = FRAME_CONTROL, .length = 8};
	struct liar liar;
	struct reply *reply;

	liar_init(&liar);
	reply = add_reply(&liar);
	memset(reply->bytes + FRAME_BYTES, 0xff, 8);
	frame.checksum = crc32c(0, reply->bytes + FRAME_BYTES, 8);
	frame_encode(&frame, reply->bytes);
	reply->len = FRAME_BYTES + 8;
	open_fails(&liar, TIMEOUT_MS, -EPROTO, "not the answer of a lockstep-replica");
}

static void a_connection_closed_in_the_middle_is_said(void)
{
	const struct message hello = welcome();
	struct liar liar;
	struct reply *reply;

	liar_init(&liar);
	reply = add_reply(&liar);
	encode(&hello, reply);
	reply->len = FRAME_BYTES + 3;
	open_fails(&liar, TIMEOUT_MS, -ECONNRESET, liar.address);
}

static void a_silent_server_is_given_up_in_time(void)
{
	struct liar liar;

	liar_init(&liar);
	liar.is_silent = true;
	open_fails(&liar, 50, -ETIMEDOUT, "no answer within 50 ms");
}

static void an_unexpected_kind_of_answer_is_refused(void)
{
	const struct message odd = {.kind = MESSAGE_DELETED};
	struct liar liar;

	liar_init(&liar);
	encode(&odd, add_reply(&liar));
	open_fails(&liar, TIMEOUT_MS, -EPROTO, "not the answer");
}

/* A refusal with this reason becomes this errno, with the server's text, made harmless. */
static void refusal_is(enum refusal refusal, int expected)
{
	struct message no = {.kind = MESSAGE_REFUSED};
	struct liar liar;

	no.refused.refusal = refusal;
	snprintf(no.refused.text, sizeof(no.refused.text), "replica x: because; do y");
	liar_init(&liar);
	encode(&no, add_reply(&liar));
	open_fails(&liar, TIMEOUT_MS, expected, "replica x: because; do y");
}

static void each_refusal_has_its_errno(void)
{
	refusal_is(REFUSAL_EXISTS, -EEXIST);
	refusal_is(REFUSAL_UNKNOWN_REPLICA, -ENOENT);
	refusal_is(REFUSAL_IN_USE, -EBUSY);
	refusal_is(REFUSAL_NO_SPACE, -ENOSPC);
	refusal_is(REFUSAL_LIMIT, -EUSERS);
	refusal_is(REFUSAL_VERSION, -EPROTONOSUPPORT);
	refusal_is(REFUSAL_STORE, -EREMOTEIO);
	refusal_is(REFUSAL_BAD_CONFIG, -EREMOTEIO);
}

static bool count_replica(void *ctx, const struct replica_info *info)
{
	++*(unsigned *)ctx;
	return true;
}

static void list_fails(const struct message *page, const char *part)
{
	const struct message hello = welcome();
	struct client *client = NULL;
	unsigned count = 0;
	struct liar liar;
	struct err err;
	int error;

	liar_init(&liar);
	encode(&hello, add_reply(&liar));
	encode(page, add_reply(&liar));
	liar.repeats_last = true;
	liar_start(&liar);
	CHECK_OK(client_open(liar.address, TIMEOUT_MS, &client, &err));
	error = client_list(client, count_replica, &count, &err);
	client_close(client);
	liar_stop(&liar);
	CHECK_ERRNO(-EPROTO, error);
	CHECK_STR_HAS(part, err.text);
}

static void a_listing_that_never_ends_is_cut_off(void)
{
	struct message page = {.kind = MESSAGE_LISTING};

	page.listing.more = true;
	page.listing.count = 1;
	snprintf(page.listing.replicas[0].volume_name, sizeof(page.listing.replicas[0].volume_name), "v");
	page.listing.replicas[0].volume_uuid.bytes[0] = 1;
	page.listing.replicas[0].set_uuid.bytes[0] = 2;
	page.listing.replicas[0].replica_uuid.bytes[0] = 3;
	page.listing.replicas[0].set_bytes = MIB;
	snprintf(page.listing.replicas[0].health, sizeof(page.listing.replicas[0].health), "ok");
	list_fails(&page, "a listing without end");
}

static void an_empty_page_with_more_to_come_is_refused(void)
{
	struct message page = {.kind = MESSAGE_LISTING};

	page.listing.more = true;
	list_fails(&page, "an empty listing that promises more");
}

static void nobody_listening_is_said_with_what_to_do(void)
{
	struct client *client = NULL;
	struct liar liar;
	struct err err;

	liar_init(&liar);
	close(liar.fd);
	free(liar.replies);
	CHECK_ERRNO(-ECONNREFUSED, client_open(liar.address, TIMEOUT_MS, &client, &err));
	CHECK_STR_HAS("start lockstep-replica or correct the address", err.text);
}

static void a_malformed_address_is_refused(void)
{
	struct client *client = NULL;
	struct err err;

	CHECK_ERRNO(-EINVAL, client_open("127.0.0.1:http", TIMEOUT_MS, &client, &err));
}

static const struct check_test tests[] = {
	CHECK_TEST(a_server_of_our_version_is_welcome),
	CHECK_TEST(another_protocol_version_is_refused),
	CHECK_TEST(bytes_that_are_no_frame_are_refused),
	CHECK_TEST(a_data_frame_is_no_answer),
	CHECK_TEST(a_wrong_checksum_is_refused),
	CHECK_TEST(a_message_that_does_not_unpack_is_refused),
	CHECK_TEST(a_connection_closed_in_the_middle_is_said),
	CHECK_TEST(a_silent_server_is_given_up_in_time),
	CHECK_TEST(an_unexpected_kind_of_answer_is_refused),
	CHECK_TEST(each_refusal_has_its_errno),
	CHECK_TEST(a_listing_that_never_ends_is_cut_off),
	CHECK_TEST(an_empty_page_with_more_to_come_is_refused),
	CHECK_TEST(nobody_listening_is_said_with_what_to_do),
	CHECK_TEST(a_malformed_address_is_refused),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("cli_client", tests, argc, argv);
}
