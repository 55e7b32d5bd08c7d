/* Control messages: every kind survives the wire. What is refused is in test_codec_refusals.c. */
#include "proto/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample_message.h"

#define NIL ((struct uuid){{0}})

static void every_kind_survives_the_wire(void)
{
	uint8_t bytes[MESSAGE_BYTES_MAX], again[MESSAGE_BYTES_MAX];

	for (unsigned kind = MESSAGE_HELLO; kind < MESSAGE_KIND_COUNT; kind++) {
		struct message message = sample_message((enum message_kind)kind);
		int len = sample_pack(&message, bytes);
		struct message got;

		CHECK_TRUE(len > 0);
		check_unpacks(bytes, len, &got);
		CHECK_EQ_U64(kind, got.kind);
		CHECK_EQ_INT(len, sample_pack(&got, again));
		CHECK_MEM(bytes, again, (size_t)len);
	}
}

static void a_hello_keeps_every_field(void)
{
	struct message message = sample_message(MESSAGE_HELLO), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_EQ_U64(PROTOCOL_VERSION, got.hello.version);
	CHECK_EQ_U64(0x8000000000000001, got.hello.features);
	CHECK_EQ_U64(HELLO_BULK, got.hello.role);
	CHECK_MEM(&message.hello.volume_uuid, &got.hello.volume_uuid, sizeof(struct uuid));
	CHECK_MEM(&message.hello.set_uuid, &got.hello.set_uuid, sizeof(struct uuid));
	CHECK_MEM(&message.hello.replica_uuid, &got.hello.replica_uuid, sizeof(struct uuid));
	CHECK_STR(message.hello.client, got.hello.client);
}

static void a_state_keeps_every_field(void)
{
	struct message message = sample_message(MESSAGE_STATE), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_EQ_U64(9, got.state.promised.epoch);
	CHECK_EQ_U64(10, got.state.promised.nonce);
	CHECK_EQ_U64(11, got.state.incarnation);
	CHECK_EQ_U64(12, got.state.lease_left_ms);
	CHECK_TRUE(got.state.list_is_everything);
	CHECK_EQ_U64(13, got.state.unstable_extents);
	CHECK_EQ_U64(config_life(3, 4), got.state.life);
	CHECK_FALSE(got.state.is_blank);
	CHECK_MEM(&message.state.boot_id, &got.state.boot_id, sizeof(struct uuid));
	CHECK_EQ_U64(3, got.state.config.voter_count);
	CHECK_STR("[fe80::2]:7421", got.state.config.voters[1].address);
}

static void a_listing_keeps_every_field(void)
{
	struct message message = sample_message(MESSAGE_LISTING), got;
	const struct replica_info *info = &got.listing.replicas[1];
	uint8_t bytes[MESSAGE_BYTES_MAX];

	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_TRUE(got.listing.more);
	CHECK_EQ_U64(2, got.listing.count);
	CHECK_STR("data-1", info->volume_name);
	CHECK_MEM(&message.listing.replicas[1].replica_uuid, &info->replica_uuid, sizeof(struct uuid));
	CHECK_EQ_U64(1, info->set_index);
	CHECK_EQ_U64(7, info->gen);
	CHECK_EQ_U64(9, info->epoch);
	CHECK_EQ_U64(5 * GIB, info->set_bytes);
	CHECK_EQ_U64(1 * MIB, info->allocated_bytes);
	CHECK_TRUE(info->session_open);
	CHECK_TRUE(info->is_witness);
	CHECK_STR("ok", info->health);
}

static void the_fullest_listing_fits_the_limits(void)
{
	struct message *message = calloc(1, sizeof(*message)), *got = malloc(sizeof(*got));
	uint8_t bytes[MESSAGE_BYTES_MAX];

	CHECK_NOT_NULL(message);
	CHECK_NOT_NULL(got);
	message->kind = MESSAGE_LISTING;
	message->listing.count = MESSAGE_LIST_MAX;
	for (unsigned i = 0; i < MESSAGE_LIST_MAX; i++) {
		struct replica_info *info = &message->listing.replicas[i];

		*info = sample_replica((uint8_t)i);
		info->set_index = info->gen = info->epoch = UINT32_MAX;
		info->set_bytes = info->allocated_bytes = UINT64_MAX;
		memset(info->volume_name, 'n', sizeof(info->volume_name) - 1);
		memset(info->health, 'h', sizeof(info->health) - 1);
	}
	check_unpacks(bytes, sample_pack(message, bytes), got);
	CHECK_EQ_U64(MESSAGE_LIST_MAX, got->listing.count);
	CHECK_STR(message->listing.replicas[127].health, got->listing.replicas[127].health);
	free(message);
	free(got);
}

static void packing_refuses_what_has_no_form(void)
{
	struct message message = {.kind = (enum message_kind)0};
	uint8_t bytes[MESSAGE_BYTES_MAX];

	CHECK_ERRNO(-EINVAL, sample_pack(&message, bytes));
	message.kind = MESSAGE_KIND_COUNT;
	CHECK_ERRNO(-EINVAL, sample_pack(&message, bytes));
	message = sample_message(MESSAGE_LISTING);
	message.listing.count = MESSAGE_LIST_MAX + 1;
	CHECK_ERRNO(-EINVAL, sample_pack(&message, bytes));
	message = sample_message(MESSAGE_STATE);
	message.state.config.voter_count = SET_VOTERS_MAX + 1;
	CHECK_ERRNO(-EMSGSIZE, sample_pack(&message, bytes));
}

static void packing_never_writes_beyond_its_space(void)
{
	struct message message = sample_message(MESSAGE_HELLO);
	uint8_t bytes[MESSAGE_BYTES_MAX];
	int len = sample_pack(&message, bytes);

	memset(bytes, 0xee, sizeof(bytes));
	CHECK_ERRNO(-EMSGSIZE, codec_pack(&message, bytes, (size_t)len - 1));
	CHECK_EQ_U64(0xee, bytes[0]);
	CHECK_EQ_INT(len, codec_pack(&message, bytes, (size_t)len));
	CHECK_EQ_U64(0xee, bytes[len]);
}

static void packing_makes_texts_printable_so_that_a_refusal_always_arrives(void)
{
	struct message message = sample_message(MESSAGE_REFUSED), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	strcpy(message.refused.text, "\x1b[31m/srv/caf\xc3\xa9\n");
	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_STR("?[31m/srv/caf???", got.refused.text);
	memset(message.refused.text, 'x', sizeof(message.refused.text));
	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_EQ_U64(MESSAGE_TEXT_MAX, strlen(got.refused.text));
}

static void an_administrators_hello_names_nothing(void)
{
	struct message message = sample_message(MESSAGE_HELLO), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	message.hello.role = HELLO_ADMIN;
	message.hello.volume_uuid = message.hello.set_uuid = message.hello.replica_uuid = NIL;
	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_EQ_U64(HELLO_ADMIN, got.hello.role);
}

static void a_state_that_never_promised_is_accepted(void)
{
	struct message message = sample_message(MESSAGE_STATE), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	message.state.promised = (struct ballot){0};
	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_EQ_U64(0, got.state.promised.epoch);
}

static void a_damaged_replica_without_name_can_be_listed(void)
{
	struct message message = sample_message(MESSAGE_LISTING), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	message.listing.replicas[0] = (struct replica_info){.health = "superblock: both slots damaged"};
	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_STR("", got.listing.replicas[0].volume_name);
	CHECK_STR("superblock: both slots damaged", got.listing.replicas[0].health);
}

static void kinds_have_names(void)
{
	for (unsigned kind = MESSAGE_HELLO; kind < MESSAGE_KIND_COUNT; kind++)
		CHECK_TRUE(strcmp("?", message_kind_name((enum message_kind)kind)) != 0);
	CHECK_STR("HELLO", message_kind_name(MESSAGE_HELLO));
	CHECK_STR("?", message_kind_name((enum message_kind)0));
	CHECK_STR("?", message_kind_name(MESSAGE_KIND_COUNT));
}

static const struct check_test tests[] = {
	CHECK_TEST(every_kind_survives_the_wire),
	CHECK_TEST(a_hello_keeps_every_field),
	CHECK_TEST(a_state_keeps_every_field),
	CHECK_TEST(a_listing_keeps_every_field),
	CHECK_TEST(the_fullest_listing_fits_the_limits),
	CHECK_TEST(packing_refuses_what_has_no_form),
	CHECK_TEST(packing_never_writes_beyond_its_space),
	CHECK_TEST(packing_makes_texts_printable_so_that_a_refusal_always_arrives),
	CHECK_TEST(an_administrators_hello_names_nothing),
	CHECK_TEST(a_state_that_never_promised_is_accepted),
	CHECK_TEST(a_damaged_replica_without_name_can_be_listed),
	CHECK_TEST(kinds_have_names),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("codec", tests, argc, argv);
}
