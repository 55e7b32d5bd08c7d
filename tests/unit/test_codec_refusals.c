/* One test for each thing codec_unpack() refuses. Hostile bytes are written by hand (struct raw), not by the code
 * under test; fields that a struct can hold wrong are packed as they are. */
#include "proto/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/raw.h"
#include "tests/unit/sample.h"
#include "tests/unit/sample_message.h"

static void check_raw_refused(const struct raw *raw, int error, const char *words)
{
	const char *reason = NULL;
	struct message got;

	CHECK_ERRNO(error, codec_unpack(raw->bytes, raw->len, &got, &reason));
	CHECK_STR_HAS(words, reason);
}

/* Packs as it is (codec_pack() trusts numbers) and expects the peer's refusal. */
static void check_refused(const struct message *message, const char *words)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];
	const char *reason = NULL;
	struct message got;
	int len = sample_pack(message, bytes);

	CHECK_TRUE(len >= 0);
	CHECK_ERRNO(-EPROTO, codec_unpack(bytes, (size_t)len, &got, &reason));
	CHECK_STR_HAS(words, reason);
}

#define BEND(name, of, statement, words)                                                                               \
	static void name(void)                                                                                         \
	{                                                                                                              \
		struct message m = sample_message(of);                                                                 \
		statement;                                                                                             \
		check_refused(&m, words);                                                                              \
	}
#define NIL ((struct uuid){{0}})
#define NO_BALLOT ((struct ballot){0})

BEND(a_hello_of_version_0_is_refused, MESSAGE_HELLO, m.hello.version = 0, "version 0")
BEND(a_hello_of_role_0_is_refused, MESSAGE_HELLO, m.hello.role = (enum hello_role)0, "unknown role")
BEND(a_hello_of_role_4_is_refused, MESSAGE_HELLO, m.hello.role = (enum hello_role)4, "unknown role")
BEND(a_hello_without_volume_is_refused, MESSAGE_HELLO, m.hello.volume_uuid = NIL, "does not name")
BEND(a_hello_without_set_is_refused, MESSAGE_HELLO, m.hello.set_uuid = NIL, "does not name")
BEND(a_hello_without_replica_is_refused, MESSAGE_HELLO, m.hello.replica_uuid = NIL, "does not name")
BEND(an_administrator_with_replica_is_refused, MESSAGE_HELLO, m.hello.role = HELLO_ADMIN, "names a replica")
BEND(a_welcome_of_version_0_is_refused, MESSAGE_WELCOME, m.welcome.version = 0, "version 0")
BEND(a_welcome_of_incarnation_0_is_refused, MESSAGE_WELCOME, m.welcome.incarnation = 0, "incarnation 0")
BEND(a_welcome_without_boot_id_is_refused, MESSAGE_WELCOME, m.welcome.boot_id = NIL, "nil uuid")
BEND(a_welcome_below_a_block_is_refused, MESSAGE_WELCOME, m.welcome.payload_max_bytes = 4095, "below one block")
BEND(a_refusal_of_kind_0_is_refused, MESSAGE_REFUSED, m.refused.refusal = REFUSAL_NONE, "unknown kind")
BEND(a_refusal_beyond_the_table_is_refused, MESSAGE_REFUSED, m.refused.refusal = REFUSAL_COUNT, "unknown kind")
BEND(a_refusal_with_half_a_ballot_is_refused, MESSAGE_REFUSED, m.refused.seen.epoch = 0, "nonce without epoch")
BEND(a_state_with_half_a_ballot_is_refused, MESSAGE_STATE, m.state.promised.epoch = 0, "nonce without epoch")
BEND(a_state_of_incarnation_0_is_refused, MESSAGE_STATE, m.state.incarnation = 0, "incarnation 0")
BEND(a_state_without_boot_id_is_refused, MESSAGE_STATE, m.state.boot_id = NIL, "nil uuid")
BEND(a_state_with_a_bad_config_is_refused, MESSAGE_STATE, m.state.config.gen = 0, "gen 0")
BEND(a_state_with_an_endless_lease_is_refused, MESSAGE_STATE, m.state.lease_left_ms = 3151, "a lease longer")
BEND(a_promise_of_epoch_0_is_refused, MESSAGE_PROMISE, m.promise.ballot = NO_BALLOT, "epoch 0")
BEND(an_accept_of_epoch_0_is_refused, MESSAGE_ACCEPT, m.accept.ballot = NO_BALLOT, "epoch 0")
BEND(a_blank_state_with_a_life_is_refused, MESSAGE_STATE, m.state.is_blank = true, "blank")
BEND(a_seed_of_epoch_0_is_refused, MESSAGE_SEED, m.accept.ballot = NO_BALLOT, "epoch 0")
BEND(a_replace_that_climbs_is_refused, MESSAGE_REPLACE, strcpy(m.create.volume_name, "../x"), "volume name")
BEND(an_accept_with_a_bad_config_is_refused, MESSAGE_ACCEPT, m.accept.config.voter_count = 0, "no replica among")
BEND(an_accepted_of_gen_0_is_refused, MESSAGE_ACCEPTED, m.accepted.gen = 0, "gen 0")
BEND(an_open_of_session_0_is_refused, MESSAGE_OPEN, m.open.session = 0, "session number 0")
BEND(an_open_of_epoch_0_is_refused, MESSAGE_OPEN, m.open.ballot = NO_BALLOT, "epoch 0")
BEND(a_join_of_session_0_is_refused, MESSAGE_JOIN, m.open.session = 0, "session number 0")
BEND(a_join_of_epoch_0_is_refused, MESSAGE_JOIN, m.open.ballot = NO_BALLOT, "epoch 0")
BEND(an_opened_of_session_0_is_refused, MESSAGE_OPENED, m.opened.session = 0, "session number 0")
BEND(an_opened_of_incarnation_0_is_refused, MESSAGE_OPENED, m.opened.incarnation = 0, "incarnation 0")
BEND(an_opened_without_boot_id_is_refused, MESSAGE_OPENED, m.opened.boot_id = NIL, "nil uuid")
BEND(a_joined_of_incarnation_0_is_refused, MESSAGE_JOINED, m.opened.incarnation = 0, "incarnation 0")
BEND(a_create_without_name_is_refused, MESSAGE_CREATE, m.create.volume_name[0] = '\0', "volume name")
BEND(a_create_that_climbs_is_refused, MESSAGE_CREATE, strcpy(m.create.volume_name, "../x"), "volume name")
BEND(a_create_with_a_slash_is_refused, MESSAGE_CREATE, strcpy(m.create.volume_name, "a/b"), "volume name")
BEND(a_create_without_replica_is_refused, MESSAGE_CREATE, m.create.replica_uuid = NIL, "nil uuid")
BEND(a_create_with_a_bad_config_is_refused, MESSAGE_CREATE, m.create.config.block_bytes = 0, "block size")
BEND(a_listing_with_a_bad_name_is_refused, MESSAGE_LISTING, strcpy(m.listing.replicas[1].volume_name, "-x"),
     "volume name")
BEND(an_empty_listing_that_promises_more_is_refused, MESSAGE_LISTING, m.listing.count = 0, "promises more")
BEND(a_delete_without_volume_is_refused, MESSAGE_DELETE, m.delete.volume_uuid = NIL, "nil uuid")
BEND(a_delete_without_replica_is_refused, MESSAGE_DELETE, m.delete.replica_uuid = NIL, "nil uuid")

/* A hello by hand; `uuid_bytes` and `client` are what may be wrong. */
static void raw_hello(struct raw *raw, size_t uuid_bytes, const char *client, size_t client_bytes)
{
	uint8_t uuid[32];
	struct raw hello;

	memset(uuid, 7, sizeof(uuid));
	raw_init(&hello);
	raw_number(&hello, 1, PROTOCOL_VERSION);
	raw_number(&hello, 3, HELLO_DATA);
	raw_bytes(&hello, 4, uuid, 16);
	raw_bytes(&hello, 5, uuid, 16);
	raw_bytes(&hello, 6, uuid, uuid_bytes);
	raw_bytes(&hello, 7, client, client_bytes);
	raw_init(raw);
	raw_bytes(raw, MESSAGE_HELLO, hello.bytes, hello.len);
}

static void a_hello_by_hand_is_accepted(void)
{
	struct message got;
	struct raw raw;

	raw_hello(&raw, 16, "me", 2);
	check_unpacks(raw.bytes, (int)raw.len, &got);
	CHECK_STR("me", got.hello.client);
	CHECK_EQ_U64(0, got.hello.features);
}

static void a_uuid_of_another_length_is_refused(void)
{
	static const size_t lengths[] = {0, 1, 15, 17, 32};
	struct raw raw;

	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		raw_hello(&raw, lengths[i], "me", 2);
		check_raw_refused(&raw, -EPROTO, "not 16 bytes");
	}
}

static void a_text_with_a_nul_inside_is_refused(void)
{
	struct raw raw;

	raw_hello(&raw, 16, "me\0and you", 10);
	check_raw_refused(&raw, -EPROTO, "printable");
	raw_hello(&raw, 16, "me\0", 3);
	check_raw_refused(&raw, -EPROTO, "printable");
}

static void a_text_that_could_drive_a_terminal_is_refused(void)
{
	static const char *const texts[] = {"a\nb", "\x1b[2J", "a\x7f", "caf\xc3\xa9", "\xff"};
	struct raw raw;

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		raw_hello(&raw, 16, texts[i], strlen(texts[i]));
		check_raw_refused(&raw, -EPROTO, "printable");
	}
}

static void a_text_of_the_limit_is_accepted_and_one_more_is_refused(void)
{
	struct message got;
	char text[64];
	struct raw raw;

	memset(text, 'x', sizeof(text));
	raw_hello(&raw, 16, text, 63);
	check_unpacks(raw.bytes, (int)raw.len, &got);
	CHECK_EQ_U64(63, strlen(got.hello.client));
	raw_hello(&raw, 16, text, 64);
	check_raw_refused(&raw, -EPROTO, "too long");
}

static void a_message_without_its_ballot_is_refused(void)
{
	static const unsigned kinds[] = {MESSAGE_PROMISE, MESSAGE_ACCEPT, MESSAGE_STATE};
	struct raw raw;

	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		raw_init(&raw);
		raw_bytes(&raw, kinds[i], NULL, 0);
		check_raw_refused(&raw, -EPROTO, "ballot is missing");
	}
}

static void raw_accept(struct raw *raw, const void *config, size_t config_bytes)
{
	struct raw ballot, accept;

	raw_init(&ballot);
	raw_number(&ballot, 1, 9);
	raw_init(&accept);
	raw_bytes(&accept, 1, ballot.bytes, ballot.len);
	raw_bytes(&accept, 2, config, config_bytes);
	raw_init(raw);
	raw_bytes(raw, MESSAGE_ACCEPT, accept.bytes, accept.len);
}

static void a_config_that_is_missing_damaged_or_too_long_is_refused(void)
{
	uint8_t record[CONFIG_BYTES_MAX + 1] = {0};
	struct config config = sample_config();
	int len = config_encode(&config, record, sizeof(record));
	struct message got;
	struct raw raw;

	raw_accept(&raw, record, (size_t)len);
	check_unpacks(raw.bytes, (int)raw.len, &got);
	raw_accept(&raw, NULL, 0);
	check_raw_refused(&raw, -EPROTO, "missing or too long");
	raw_accept(&raw, record, sizeof(record));
	check_raw_refused(&raw, -EPROTO, "missing or too long");
	record[60] ^= 1;
	raw_accept(&raw, record, (size_t)len);
	check_raw_refused(&raw, -EPROTO, "checksum");
}

static void a_listing_of_more_replicas_than_allowed_is_refused(void)
{
	static const uint8_t uuid[16] = {1};
	struct raw info, listing, raw;

	raw_init(&info);
	for (unsigned field = 2; field <= 4; field++)
		raw_bytes(&info, field, uuid, sizeof(uuid));
	raw_init(&listing);
	for (unsigned i = 0; i <= MESSAGE_LIST_MAX; i++)
		raw_bytes(&listing, 2, info.bytes, info.len);
	raw_init(&raw);
	raw_bytes(&raw, MESSAGE_LISTING, listing.bytes, listing.len);
	check_raw_refused(&raw, -EPROTO, "too many replicas");
}

static void a_message_that_unpacks_to_too_much_is_refused(void)
{
	static struct raw listing, raw; /* 128 KiB: not for the stack */

	raw_init(&listing);
	while (listing.len < MESSAGE_BYTES_MAX - 16)
		raw_bytes(&listing, 2, NULL, 0);
	raw_init(&raw);
	raw_bytes(&raw, MESSAGE_LISTING, listing.bytes, listing.len);
	check_raw_refused(&raw, -EMSGSIZE, "unpacks to more");
}

static void a_message_of_an_unknown_kind_is_refused(void)
{
	static const unsigned fields[] = {MESSAGE_KIND_COUNT, MESSAGE_KIND_COUNT + 1, 1000};
	struct raw raw;

	for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
		raw_init(&raw);
		raw_bytes(&raw, fields[i], "x", 1);
		check_raw_refused(&raw, -EPROTO, "unknown kind");
	}
}

static void an_empty_or_overlong_message_is_refused(void)
{
	static struct raw raw;

	raw_init(&raw);
	check_raw_refused(&raw, -EMSGSIZE, "empty or too long");
	raw.len = MESSAGE_BYTES_MAX + 1;
	check_raw_refused(&raw, -EMSGSIZE, "empty or too long");
}

static void bytes_that_are_no_protobuf_are_refused(void)
{
	static const struct raw bad[] = {
		{.len = 1, .bytes = {0x0a}},				   /* a tag, and nothing after it */
		{.len = 2, .bytes = {0x0a, 0x05}},			   /* five bytes promised, none there */
		{.len = 6, .bytes = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}}, /* 4 GiB promised */
		{.len = 1, .bytes = {0x00}},				   /* field 0 */
		{.len = 2, .bytes = {0x0b, 0x0c}},			   /* a group */
		{.len = 3, .bytes = {0x0a, 0x01, 0x80}},		   /* an endless varint inside a body */
	};

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		check_raw_refused(&bad[i], -EBADMSG, "cannot be parsed");
}

static void a_field_nobody_knows_is_skipped(void)
{
	struct raw accepted, raw;
	struct message got;

	raw_init(&accepted);
	raw_number(&accepted, 1, 8);
	raw_bytes(&accepted, 99, "future", 6);
	raw_init(&raw);
	raw_bytes(&raw, MESSAGE_ACCEPTED, accepted.bytes, accepted.len);
	check_unpacks(raw.bytes, (int)raw.len, &got);
	CHECK_EQ_U64(8, got.accepted.gen);
}

static void of_two_bodies_the_last_counts(void)
{
	struct raw accepted, raw;
	struct message got;

	raw_init(&accepted);
	raw_number(&accepted, 1, 8);
	raw_init(&raw);
	raw_bytes(&raw, MESSAGE_PROBE, NULL, 0);
	raw_bytes(&raw, MESSAGE_ACCEPTED, accepted.bytes, accepted.len);
	check_unpacks(raw.bytes, (int)raw.len, &got);
	CHECK_EQ_U64(MESSAGE_ACCEPTED, got.kind);
}

static void every_truncation_of_every_kind_is_handled(void)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];

	for (unsigned kind = MESSAGE_HELLO; kind < MESSAGE_KIND_COUNT; kind++) {
		struct message message = sample_message((enum message_kind)kind);
		int len = sample_pack(&message, bytes);

		for (int cut = 0; cut < len; cut++) {
			uint8_t *exact = malloc((size_t)cut + 1); /* so that ASan sees a read beyond the end */
			const char *reason = NULL;
			struct message got;

			CHECK_NOT_NULL(exact);
			memcpy(exact, bytes, (size_t)cut);
			CHECK_TRUE(codec_unpack(exact, (size_t)cut, &got, &reason) < 0);
			CHECK_NOT_NULL(reason);
			free(exact);
		}
	}
}

/* Bytes bent at random: a refusal with a reason, or a message whose own form is accepted again. */
static void random_bytes_in_any_kind_are_handled(void)
{
	uint8_t bytes[MESSAGE_BYTES_MAX], again[MESSAGE_BYTES_MAX];
	unsigned accepted_count = 0;
	struct check_random random;

	check_random_init(&random);
	for (unsigned i = 0; i < 30000; i++) {
		struct message message =
			sample_message((enum message_kind)(1 + check_random_below(&random, MESSAGE_KIND_COUNT - 1)));
		size_t len = (size_t)sample_pack(&message, bytes);
		const char *reason = NULL;
		struct message got, third;
		int again_len;

		for (uint64_t n = 1 + check_random_below(&random, 4); n > 0; n--)
			bytes[check_random_below(&random, len)] = (uint8_t)check_random_next(&random);
		if (codec_unpack(bytes, len, &got, &reason) < 0) {
			CHECK_NOT_NULL(reason);
			continue;
		}
		accepted_count++;
		again_len = sample_pack(&got, again);
		check_unpacks(again, again_len, &third);
		CHECK_EQ_U64(got.kind, third.kind);
	}
	CHECK_TRUE(accepted_count > 0 && accepted_count < 30000);
}

static void pure_noise_is_handled(void)
{
	struct check_random random;
	uint8_t bytes[512];

	check_random_init(&random);
	for (unsigned i = 0; i < 100000; i++) {
		size_t len = 1 + check_random_below(&random, sizeof(bytes));
		const char *reason = NULL;
		struct message got;

		check_random_fill(&random, bytes, len);
		if (codec_unpack(bytes, len, &got, &reason) < 0)
			CHECK_NOT_NULL(reason);
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(a_hello_of_version_0_is_refused),
	CHECK_TEST(a_hello_of_role_0_is_refused),
	CHECK_TEST(a_hello_of_role_4_is_refused),
	CHECK_TEST(a_hello_without_volume_is_refused),
	CHECK_TEST(a_hello_without_set_is_refused),
	CHECK_TEST(a_hello_without_replica_is_refused),
	CHECK_TEST(an_administrator_with_replica_is_refused),
	CHECK_TEST(a_welcome_of_version_0_is_refused),
	CHECK_TEST(a_welcome_of_incarnation_0_is_refused),
	CHECK_TEST(a_welcome_without_boot_id_is_refused),
	CHECK_TEST(a_welcome_below_a_block_is_refused),
	CHECK_TEST(a_refusal_of_kind_0_is_refused),
	CHECK_TEST(a_refusal_beyond_the_table_is_refused),
	CHECK_TEST(a_refusal_with_half_a_ballot_is_refused),
	CHECK_TEST(a_state_with_half_a_ballot_is_refused),
	CHECK_TEST(a_state_of_incarnation_0_is_refused),
	CHECK_TEST(a_state_without_boot_id_is_refused),
	CHECK_TEST(a_state_with_a_bad_config_is_refused),
	CHECK_TEST(a_state_with_an_endless_lease_is_refused),
	CHECK_TEST(a_promise_of_epoch_0_is_refused),
	CHECK_TEST(an_accept_of_epoch_0_is_refused),
	CHECK_TEST(a_blank_state_with_a_life_is_refused),
	CHECK_TEST(a_seed_of_epoch_0_is_refused),
	CHECK_TEST(a_replace_that_climbs_is_refused),
	CHECK_TEST(an_accept_with_a_bad_config_is_refused),
	CHECK_TEST(an_accepted_of_gen_0_is_refused),
	CHECK_TEST(an_open_of_session_0_is_refused),
	CHECK_TEST(an_open_of_epoch_0_is_refused),
	CHECK_TEST(a_join_of_session_0_is_refused),
	CHECK_TEST(a_join_of_epoch_0_is_refused),
	CHECK_TEST(an_opened_of_session_0_is_refused),
	CHECK_TEST(an_opened_of_incarnation_0_is_refused),
	CHECK_TEST(an_opened_without_boot_id_is_refused),
	CHECK_TEST(a_joined_of_incarnation_0_is_refused),
	CHECK_TEST(a_create_without_name_is_refused),
	CHECK_TEST(a_create_that_climbs_is_refused),
	CHECK_TEST(a_create_with_a_slash_is_refused),
	CHECK_TEST(a_create_without_replica_is_refused),
	CHECK_TEST(a_create_with_a_bad_config_is_refused),
	CHECK_TEST(a_listing_with_a_bad_name_is_refused),
	CHECK_TEST(an_empty_listing_that_promises_more_is_refused),
	CHECK_TEST(a_delete_without_volume_is_refused),
	CHECK_TEST(a_delete_without_replica_is_refused),
	CHECK_TEST(a_hello_by_hand_is_accepted),
	CHECK_TEST(a_uuid_of_another_length_is_refused),
	CHECK_TEST(a_text_with_a_nul_inside_is_refused),
	CHECK_TEST(a_text_that_could_drive_a_terminal_is_refused),
	CHECK_TEST(a_text_of_the_limit_is_accepted_and_one_more_is_refused),
	CHECK_TEST(a_message_without_its_ballot_is_refused),
	CHECK_TEST(a_config_that_is_missing_damaged_or_too_long_is_refused),
	CHECK_TEST(a_listing_of_more_replicas_than_allowed_is_refused),
	CHECK_TEST(a_message_that_unpacks_to_too_much_is_refused),
	CHECK_TEST(a_message_of_an_unknown_kind_is_refused),
	CHECK_TEST(an_empty_or_overlong_message_is_refused),
	CHECK_TEST(bytes_that_are_no_protobuf_are_refused),
	CHECK_TEST(a_field_nobody_knows_is_skipped),
	CHECK_TEST(of_two_bodies_the_last_counts),
	CHECK_TEST(every_truncation_of_every_kind_is_handled),
	CHECK_TEST(random_bytes_in_any_kind_are_handled),
	CHECK_TEST(pure_noise_is_handled),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("codec_refusals", tests, argc, argv);
}
