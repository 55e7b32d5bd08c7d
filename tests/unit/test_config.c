/* The config record: golden bytes, and one test for each thing config_decode() refuses. */
#include "proto/config.h"

#include <errno.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/crc32c.h"
#include "tests/unit/check.h"
#include "tests/unit/sample.h"

#define HEAD_BYTES 112u
#define VOTER_BYTES 320u
#define SAMPLE_BYTES (HEAD_BYTES + 3 * VOTER_BYTES + 4)

static const uint8_t golden_head[HEAD_BYTES] = {
	0x4c, 0x4b, 0x43, 0x46, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x34, 0x04, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
	0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
	0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
	0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x40, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x02, 0x00, 0x00, 0x00, 0x88, 0x87, 0x86, 0x85, 0x84, 0x83, 0x82, 0x81,
	0x09, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

/* The first voter as far as its address goes; zeros follow. */
static const uint8_t golden_voter[64] = {
	0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f,
	0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x07, 0x00, 0x00, 0x00, 0x01, 0x01, 0x01, 0x00,
	0x61, 0x2e, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x3a, 0x37, 0x34, 0x32, 0x30, 0x00, 0x00,
};
#define GOLDEN_CRC 0x9b4720f0u /* of the whole record, by another program */

static void encode_sample(uint8_t out[CONFIG_BYTES_MAX])
{
	struct config config = sample_config();

	memset(out, 0xee, CONFIG_BYTES_MAX);
	CHECK_EQ_INT(SAMPLE_BYTES, config_encode(&config, out, CONFIG_BYTES_MAX));
}

static void the_sample_has_the_golden_bytes(void)
{
	uint8_t bytes[CONFIG_BYTES_MAX];

	encode_sample(bytes);
	CHECK_MEM(golden_head, bytes, HEAD_BYTES);
	CHECK_MEM(golden_voter, bytes + HEAD_BYTES, sizeof(golden_voter));
	CHECK_EQ_U64(GOLDEN_CRC, load_le32(bytes + SAMPLE_BYTES - 4));
	CHECK_EQ_U64(0xee, bytes[SAMPLE_BYTES]);
}

static void check_equal(const struct config *want, const struct config *got)
{
	uint8_t a[CONFIG_BYTES_MAX], b[CONFIG_BYTES_MAX];
	int bytes = config_encode(want, a, sizeof(a));

	CHECK_TRUE(bytes > 0);
	CHECK_EQ_INT(bytes, config_encode(got, b, sizeof(b)));
	CHECK_MEM(a, b, (size_t)bytes);
}

static void a_record_decodes_to_what_was_encoded(void)
{
	struct config config = sample_config(), got;
	uint8_t bytes[CONFIG_BYTES_MAX];
	const char *reason;

	encode_sample(bytes);
	CHECK_OK(config_decode(bytes, SAMPLE_BYTES, &got, &reason));
	check_equal(&config, &got);
	CHECK_STR("[fe80::2]:7421", got.voters[1].address);
	CHECK_EQ_U64(COMPARE_ITS_LIST, got.voters[1].compare);
	CHECK_EQ_U64(0x1112131415161718, got.voters[1].incarnation);
	CHECK_EQ_U64(VOTER_WITNESS, got.voters[2].kind);
	CHECK_EQ_U64(0x8182838485868788, got.ballot.nonce);
}

static void the_largest_config_fits_and_survives(void)
{
	struct config config = sample_config(), got;
	uint8_t bytes[CONFIG_BYTES_MAX];
	const char *reason;
	int len;

	config.voter_count = SET_VOTERS_MAX;
	for (unsigned i = 0; i < SET_VOTERS_MAX; i++) {
		config.voters[i] = sample_config().voters[i < SET_REPLICAS_MAX ? 0 : 2];
		config.voters[i].uuid = sample_uuid((uint8_t)(0x80 + i));
		memset(config.voters[i].address, 'a', 255);
		memcpy(config.voters[i].address + 255, ":65535", sizeof(":65535"));
	}
	len = config_encode(&config, bytes, sizeof(bytes));
	CHECK_TRUE(len > 0);
	CHECK_OK(config_decode(bytes, (size_t)len, &got, &reason));
	check_equal(&config, &got);
}

static void encoding_refuses_too_many_voters_and_too_little_space(void)
{
	struct config config = sample_config();
	uint8_t bytes[CONFIG_BYTES_MAX];

	CHECK_EQ_INT(SAMPLE_BYTES, config_encode(&config, bytes, SAMPLE_BYTES));
	CHECK_ERRNO(-EMSGSIZE, config_encode(&config, bytes, SAMPLE_BYTES - 1));
	CHECK_ERRNO(-EMSGSIZE, config_encode(&config, bytes, 0));
	config.voter_count = SET_VOTERS_MAX + 1;
	CHECK_ERRNO(-EMSGSIZE, config_encode(&config, bytes, sizeof(bytes)));
}

static void check_refused(const uint8_t *bytes, size_t len, int error, const char *words)
{
	const char *reason = NULL;
	struct config got;

	CHECK_ERRNO(error, config_decode(bytes, len, &got, &reason));
	CHECK_STR_HAS(words, reason);
}

/* The bytes of the sample with `value` at `at`, under a checksum that fits. */
static void check_byte_refused(size_t at, uint8_t value, int error, const char *words)
{
	uint8_t bytes[CONFIG_BYTES_MAX];

	encode_sample(bytes);
	bytes[at] = value;
	store_le32(bytes + SAMPLE_BYTES - 4, crc32c(0, bytes, SAMPLE_BYTES - 4));
	check_refused(bytes, SAMPLE_BYTES, error, words);
}

static void an_envelope_that_does_not_fit_is_refused(void)
{
	check_byte_refused(0, 0, -EBADMSG, "not a config record");
	check_byte_refused(4, 2, -EPROTONOSUPPORT, "version");
	check_byte_refused(8, 1, -EBADMSG, "length"); /* lives are announced and do not follow */
	check_byte_refused(8, 2, -EPROTONOSUPPORT, "feature bits");
	check_byte_refused(15, 0x80, -EPROTONOSUPPORT, "feature bits");
	check_byte_refused(16, 0x35, -EBADMSG, "length");
	check_byte_refused(20, 2, -EBADMSG, "length");
	check_byte_refused(20, 255, -EBADMSG, "length");
	check_byte_refused(23, 255, -EBADMSG, "length");
	check_byte_refused(108, 1, -EINVAL, "reserved field");
	check_byte_refused(HEAD_BYTES + 47, 1, -EINVAL, "reserved byte");
}

static void text_after_the_end_of_an_address_is_refused(void)
{
	check_byte_refused(HEAD_BYTES + 48 + 100, 'x', -EINVAL, "after the end");
}

static void an_address_without_end_is_refused(void)
{
	uint8_t bytes[CONFIG_BYTES_MAX];

	encode_sample(bytes);
	memset(bytes + HEAD_BYTES + 48, 'a', ADDRESS_CHARS_MAX + 1);
	store_le32(bytes + SAMPLE_BYTES - 4, crc32c(0, bytes, SAMPLE_BYTES - 4));
	check_refused(bytes, SAMPLE_BYTES, -EINVAL, "has no end");
}

static void every_truncation_is_refused(void)
{
	uint8_t bytes[CONFIG_BYTES_MAX];

	encode_sample(bytes);
	for (size_t len = 0; len < SAMPLE_BYTES; len++)
		check_refused(bytes, len, -EBADMSG, "");
	check_refused(bytes, SAMPLE_BYTES + 1, -EBADMSG, "length");
}

static void every_single_bit_flip_is_noticed(void)
{
	uint8_t bytes[CONFIG_BYTES_MAX];

	encode_sample(bytes);
	for (unsigned bit = 0; bit < 8 * SAMPLE_BYTES; bit++) {
		const char *reason = NULL;
		struct config got;

		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK_TRUE(config_decode(bytes, SAMPLE_BYTES, &got, &reason) < 0);
		CHECK_NOT_NULL(reason);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* One field of the sample bent, and the words that name it. Fields that are wrong together share a function. */
struct bend {
	void (*bend)(struct config *config);
	const char *words;
};

static void check_bends(const struct bend *bends, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct config config = sample_config();
		uint8_t bytes[CONFIG_BYTES_MAX];
		int len;

		bends[i].bend(&config);
		len = config_encode(&config, bytes, sizeof(bytes));
		CHECK_TRUE(len > 0);
		check_refused(bytes, (size_t)len, -EINVAL, bends[i].words);
	}
}

#define BEND(name, statement)                                                                                          \
	static void name(struct config *c)                                                                             \
	{                                                                                                              \
		statement;                                                                                             \
	}

BEND(without_volume_uuid, c->volume_uuid = (struct uuid){{0}})
BEND(without_set_uuid, c->set_uuid = (struct uuid){{0}})
BEND(with_gen_0, c->gen = 0)
BEND(with_block_0, c->block_bytes = 0)
BEND(with_block_1024, c->block_bytes = 1024)
BEND(with_block_8192, c->block_bytes = 8192)
BEND(with_small_chunk, c->chunk_bytes = CHUNK_BYTES_MIN - 4096)
BEND(with_large_chunk, c->chunk_bytes = CHUNK_BYTES_MAX + 4096)
BEND(with_odd_chunk, c->chunk_bytes = CHUNK_BYTES_MIN + 512)
BEND(with_no_sets, c->set_count = 0)
BEND(with_too_many_sets, c->set_count = SET_COUNT_MAX + 1)
BEND(with_index_past_the_sets, c->set_index = c->set_count)
BEND(with_volume_0, c->volume_bytes = 0)
BEND(with_volume_too_large, c->volume_bytes = VOLUME_BYTES_MAX + 4096)
BEND(with_odd_volume, c->volume_bytes += 512)
BEND(with_set_0, c->set_bytes = 0)
BEND(with_set_above_volume, c->set_bytes = c->volume_bytes + 4096)
BEND(with_odd_set, c->set_bytes += 512)
BEND(with_one_set_below_volume, c->set_count = 1; c->set_index = 0)

static void geometry_outside_its_limits_is_refused(void)
{
	static const struct bend bends[] = {
		{without_volume_uuid, "without uuid"},
		{without_set_uuid, "without uuid"},
		{with_gen_0, "gen 0"},
		{with_block_0, "block size"},
		{with_block_1024, "block size"},
		{with_block_8192, "block size"},
		{with_small_chunk, "chunk size is outside"},
		{with_large_chunk, "chunk size is outside"},
		{with_odd_chunk, "multiple of 4096"},
		{with_no_sets, "index or count"},
		{with_too_many_sets, "index or count"},
		{with_index_past_the_sets, "index or count"},
		{with_volume_0, "volume's size"},
		{with_volume_too_large, "volume's size"},
		{with_odd_volume, "volume's size"},
		{with_set_0, "set's size"},
		{with_set_above_volume, "set's size"},
		{with_odd_set, "set's size"},
		{with_one_set_below_volume, "only set"},
	};

	check_bends(bends, ARRAY_COUNT(bends));
}

BEND(with_nil_voter, c->voters[1].uuid = (struct uuid){{0}})
BEND(with_voter_twice, c->voters[2].uuid = c->voters[0].uuid)
BEND(without_address, c->voters[0].address[0] = '\0')
BEND(without_port, strcpy(c->voters[0].address, "node"))
BEND(with_control_character, c->voters[0].address[1] = '\n')
BEND(with_kind_0, c->voters[0].kind = (enum voter_kind)0)
BEND(with_kind_3, c->voters[0].kind = (enum voter_kind)3)
BEND(with_state_0, c->voters[0].state = (enum voter_state)0)
BEND(with_state_3, c->voters[0].state = (enum voter_state)3)
BEND(with_compare_0, c->voters[0].compare = (enum compare_rule)0)
BEND(with_compare_4, c->voters[0].compare = (enum compare_rule)4)
BEND(with_gen_to_come, c->voters[0].in_sync_gen = c->gen + 1)
BEND(with_none_in, c->voters[0].state = VOTER_OUT)
BEND(with_witness_in, c->voters[2].state = VOTER_IN)
BEND(with_witness_compared, c->voters[2].compare = COMPARE_STAMPS)
BEND(with_witness_gen, c->voters[2].in_sync_gen = 1)
BEND(with_witness_incarnation, c->voters[2].incarnation = 1)
BEND(with_witness_boot, c->voters[2].boot_id = sample_uuid(1))
BEND(without_voters, c->voter_count = 0)
BEND(with_witnesses_only, c->voters[0] = c->voters[2]; c->voter_count = 1)

static void with_six_replicas(struct config *config)
{
	config->voter_count = SET_REPLICAS_MAX + 1;
	for (unsigned i = 1; i < config->voter_count; i++) {
		config->voters[i] = config->voters[0];
		config->voters[i].uuid = sample_uuid((uint8_t)(0x80 + i));
	}
}

static void voters_that_make_no_sense_are_refused(void)
{
	static const struct bend bends[] = {
		{with_nil_voter, "without uuid"},	   {with_voter_twice, "named twice"},
		{without_address, "not host:port"},	   {without_port, "not host:port"},
		{with_control_character, "not host:port"}, {with_kind_0, "kind is unknown"},
		{with_kind_3, "kind is unknown"},	   {with_state_0, "state is unknown"},
		{with_state_3, "state is unknown"},	   {with_compare_0, "compare rule"},
		{with_compare_4, "compare rule"},	   {with_gen_to_come, "yet to come"},
		{with_none_in, "no replica is in sync"},   {with_witness_in, "a witness"},
		{with_witness_compared, "a witness"},	   {with_witness_gen, "a witness"},
		{with_witness_incarnation, "a witness"},   {with_witness_boot, "a witness"},
		{without_voters, "no replica among"},	   {with_witnesses_only, "no replica among"},
		{with_six_replicas, "too many replicas"},
	};

	check_bends(bends, ARRAY_COUNT(bends));
}

/* Whatever is accepted encodes to the same bytes again. */
static void random_records_are_refused_or_mean_exactly_their_bytes(void)
{
	unsigned accepted_count = 0;
	struct check_random random;

	check_random_init(&random);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t bytes[CONFIG_BYTES_MAX], again[CONFIG_BYTES_MAX];
		const char *reason = NULL;
		struct config got;

		encode_sample(bytes);
		for (uint64_t n = check_random_below(&random, 3); n > 0; n--)
			bytes[check_random_below(&random, SAMPLE_BYTES)] = (uint8_t)check_random_next(&random);
		store_le32(bytes + SAMPLE_BYTES - 4, crc32c(0, bytes, SAMPLE_BYTES - 4));
		if (config_decode(bytes, SAMPLE_BYTES, &got, &reason) < 0) {
			CHECK_NOT_NULL(reason);
			continue;
		}
		accepted_count++;
		CHECK_EQ_INT(SAMPLE_BYTES, config_encode(&got, again, sizeof(again)));
		CHECK_MEM(bytes, again, SAMPLE_BYTES);
	}
	CHECK_TRUE(accepted_count > 0 && accepted_count < 20000);
}

static void configs_are_ordered_by_epoch_then_gen(void)
{
	struct config a = sample_config(), b = sample_config();

	CHECK_EQ_INT(0, config_compare(&a, &b));
	b.ballot.nonce++;
	CHECK_EQ_INT(0, config_compare(&a, &b));
	b.gen++;
	CHECK_TRUE(config_compare(&a, &b) < 0 && config_compare(&b, &a) > 0);
	a.ballot.epoch++;
	CHECK_TRUE(config_compare(&a, &b) > 0 && config_compare(&b, &a) < 0);
	a.ballot.epoch = UINT32_MAX;
	CHECK_TRUE(config_compare(&a, &b) > 0 && config_compare(&b, &a) < 0);
}

static void voters_are_found_by_uuid(void)
{
	struct config config = sample_config();
	struct uuid stranger = sample_uuid(0x99);

	CHECK_TRUE(config_voter(&config, &config.voters[1].uuid) == &config.voters[1]);
	CHECK_NULL(config_voter(&config, &stranger));
	config.voter_count = 1;
	CHECK_NULL(config_voter(&config, &config.voters[1].uuid));
}

static const struct check_test tests[] = {
	CHECK_TEST(the_sample_has_the_golden_bytes),
	CHECK_TEST(a_record_decodes_to_what_was_encoded),
	CHECK_TEST(the_largest_config_fits_and_survives),
	CHECK_TEST(encoding_refuses_too_many_voters_and_too_little_space),
	CHECK_TEST(an_envelope_that_does_not_fit_is_refused),
	CHECK_TEST(text_after_the_end_of_an_address_is_refused),
	CHECK_TEST(an_address_without_end_is_refused),
	CHECK_TEST(every_truncation_is_refused),
	CHECK_TEST(every_single_bit_flip_is_noticed),
	CHECK_TEST(geometry_outside_its_limits_is_refused),
	CHECK_TEST(voters_that_make_no_sense_are_refused),
	CHECK_TEST(random_records_are_refused_or_mean_exactly_their_bytes),
	CHECK_TEST(configs_are_ordered_by_epoch_then_gen),
	CHECK_TEST(voters_are_found_by_uuid),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("config", tests, argc, argv);
}
