/* Superblock slots: golden bytes, every refusal, and which of two slots counts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/crc32c.h"
#include "replica-server/core/superblock.h"
#include "tests/unit/check.h"
#include "tests/unit/replica_rig.h"
#include "tests/unit/sample.h"

static uint8_t image[SUPERBLOCK_FILE_BYTES];

static uint8_t *slot(unsigned idx)
{
	return image + idx * SUPERBLOCK_SLOT_SPACING;
}

static void put(unsigned idx, uint64_t sequence, uint32_t epoch)
{
	struct superblock sb;

	rig_superblock(&sb);
	sb.sequence = sequence;
	sb.promised = (struct ballot){epoch, 0x1122334455667788};
	CHECK_OK(superblock_encode(&sb, slot(idx)));
}

/* After a deliberate change: as if it had been written so. */
static void reseal(unsigned idx)
{
	store_le32(slot(idx) + 4092, 0);
	store_le32(slot(idx) + 4092, crc32c(0, slot(idx), SUPERBLOCK_SLOT_BYTES));
}

static int decode(unsigned idx, const char **ret_reason)
{
	struct superblock sb;

	return superblock_decode(slot(idx), &sb, ret_reason);
}

static void the_header_has_its_golden_bytes(void)
{
	static const uint8_t golden[] = {
		'L',  'S',  'R',  'E',	'P',  'S',  'B',  '1',
		1,    0,    0,	  0,	0,    0x10, 0,	  0, /* magic, version, header bytes */
		0,    0,    0,	  0,	0,    0,    0,	  0,
		0,    0,    0,	  0,	0,    0,    0,	  0, /* compat, incompat */
		5,    0,    0,	  0,	0,    0,    0,	  0, /* sequence */
		1,    1,    0,	  0,	0,    0,    0,	  0,
		0,    0,    0,	  0,	0,    0,    0,	  0, /* volume */
		2,    2,    0,	  0,	0,    0,    0,	  0,
		0,    0,    0,	  0,	0,    0,    0,	  0, /* set */
		3,    3,    0,	  0,	0,    0,    0,	  0,
		0,    0,    0,	  0,	0,    0,    0,	  0, /* replica */
		0,    0,    0,	  0,	1,    0,    0,	  0,
		0,    0x10, 0,	  0,	0,    0,    0x10, 0, /* set index, count, block, chunk */
		0,    0,    0x40, 0,	0,    0,    0,	  0,
		0,    0,    0x40, 0,	0,    0,    0,	  0,	/* set and volume bytes */
		9,    0,    0,	  0,	0xb4, 1,    0,	  0,	/* promised epoch, config length 436 */
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* nonce */
		0,    0,    0,	  0,	0,    0,    0x10, 0,	/* flags, region bytes */
		100,  0,    0,	  0,	0,    0,    0,	  0,
		100,  0,    0,	  0,	0,    0,    0,	  0, /* created, updated */
		'v',  'o',  'l',  0,
	};

	put(0, 5, 9);
	CHECK_MEM(golden, slot(0), sizeof(golden));
	/* The config's own checksum, which ends it. */
	CHECK_MEM(slot(0) + 4096 + 436 - 4, slot(0) + 224, 4);
	CHECK_EQ_U64(0xd7bea26f, load_le32(slot(0) + 4092));
}

static void what_was_encoded_is_decoded(void)
{
	struct superblock sb, back;
	const char *reason;

	rig_superblock(&sb);
	sb.clean = true;
	sb.updated_s = 12345678901;
	sb.failed_syncs = 0x01020304;
	sb.boot = sample_uuid(7);
	sb.kernel = sample_uuid(8);
	CHECK_OK(superblock_encode(&sb, slot(0)));
	CHECK_OK(superblock_decode(slot(0), &back, &reason));
	CHECK_STR("vol", back.volume_name);
	CHECK_TRUE(back.clean);
	CHECK_EQ_U64(12345678901, back.updated_s);
	CHECK_EQ_U64(0x01020304, back.failed_syncs);
	CHECK_MEM("\x04\x03\x02\x01", slot(0) + 228, 4);
	CHECK_TRUE(uuid_equal(&sb.boot, &back.boot));
	CHECK_TRUE(uuid_equal(&sb.kernel, &back.kernel));
	CHECK_MEM(sb.boot.bytes, slot(0) + 240, 16);
	CHECK_MEM(sb.kernel.bytes, slot(0) + 256, 16);
	CHECK_EQ_INT(0, config_compare(&sb.config, &back.config));
	CHECK_STR("10.0.0.1:7420", back.config.voters[0].address);
}

static void a_slot_never_written_is_told_from_a_damaged_one(void)
{
	const char *reason;

	memset(image, 0, sizeof(image));
	CHECK_ERRNO(-ENODATA, decode(0, &reason));
	slot(0)[7000] = 1;
	CHECK_ERRNO(-EBADMSG, decode(0, &reason));
	CHECK_STR_HAS("magic", reason);
}

static void every_flipped_bit_is_noticed(void)
{
	const char *reason;

	put(0, 5, 9);
	for (unsigned byte = 0; byte < SUPERBLOCK_SLOT_BYTES; byte++) {
		slot(0)[byte] ^= 0x10;
		if (decode(0, &reason) != -EBADMSG)
			CHECK_FAIL("a flip in byte %u went unnoticed", byte);
		slot(0)[byte] ^= 0x10;
	}
	CHECK_OK(decode(0, &reason));
}

static void a_newer_version_is_refused_and_not_called_damage(void)
{
	const char *reason;

	put(0, 5, 9);
	store_le32(slot(0) + 8, SUPERBLOCK_VERSION + 1);
	reseal(0);
	CHECK_ERRNO(-EPROTONOSUPPORT, decode(0, &reason));
	CHECK_STR_HAS("newer", reason);
}

static void an_unknown_incompat_feature_is_refused(void)
{
	const char *reason;

	put(0, 5, 9);
	store_le64(slot(0) + 24, 1ull << 63);
	reseal(0);
	CHECK_ERRNO(-EPROTONOSUPPORT, decode(0, &reason));
	CHECK_STR_HAS("feature", reason);
}

static void an_unknown_compat_feature_is_kept(void)
{
	struct superblock sb;
	const char *reason;

	put(0, 5, 9);
	store_le64(slot(0) + 16, 1ull << 63);
	reseal(0);
	CHECK_OK(superblock_decode(slot(0), &sb, &reason));
	CHECK_EQ_U64(1ull << 63, sb.compat);
}

/* A sealed slot whose field says something impossible. */
static void check_field_refused(unsigned at, uint32_t value, const char *part)
{
	const char *reason = "";

	put(0, 5, 9);
	store_le32(slot(0) + at, value);
	reseal(0);
	CHECK_ERRNO(-EINVAL, decode(0, &reason));
	CHECK_STR_HAS(part, reason);
}

static void fields_that_contradict_each_other_are_refused(void)
{
	check_field_refused(8, 0, "version");
	check_field_refused(12, 512, "header size");
	check_field_refused(40, 7, "different sets");	  /* volume */
	check_field_refused(56, 7, "different sets");	  /* set */
	check_field_refused(88, 7, "different sets");	  /* index */
	check_field_refused(92, 7, "different sets");	  /* count */
	check_field_refused(96, 512, "different sets");	  /* block */
	check_field_refused(100, 1, "different sets");	  /* chunk */
	check_field_refused(104, 4096, "different sets"); /* set bytes */
	check_field_refused(112, 4096, "different sets"); /* volume bytes */
	check_field_refused(124, CONFIG_BYTES_MAX + 1, "beyond the slot");
	check_field_refused(140, 4096, "region");
	check_field_refused(160, 0, "name");
	check_field_refused(220, 0x41414141, "name");
}

static void header_and_config_agree_about_being_a_witness(void)
{
	const char *reason = NULL;

	put(0, 5, 9);
	store_le64(slot(0) + 24, SUPERBLOCK_INCOMPAT_WITNESS);
	reseal(0);
	CHECK_ERRNO(-EINVAL, decode(0, &reason));
	CHECK_STR_HAS("witness", reason);
}

static void a_config_that_does_not_decode_is_refused(void)
{
	const char *reason = "";

	put(0, 5, 9);
	slot(0)[SUPERBLOCK_HEADER_BYTES + 30] ^= 1;
	reseal(0);
	CHECK_ERRNO(-EINVAL, decode(0, &reason));
}

static int choose(struct superblock *ret, struct superblock_slots *ret_slots)
{
	return superblock_choose(image, ret, ret_slots);
}

static void the_newer_of_two_valid_slots_counts(void)
{
	struct superblock_slots slots;
	struct superblock sb;

	put(0, 6, 3);
	put(1, 5, 2);
	CHECK_OK(choose(&sb, &slots));
	CHECK_EQ_U64(0, slots.newest);
	CHECK_EQ_U64(3, sb.promised.epoch);
	put(1, 7, 4);
	CHECK_OK(choose(&sb, &slots));
	CHECK_EQ_U64(1, slots.newest);
	CHECK_EQ_U64(4, sb.promised.epoch);
}

static void a_torn_write_leaves_the_slot_before_it(void)
{
	struct superblock_slots slots;
	struct superblock sb;

	put(0, 6, 3);
	for (unsigned written = 512; written < SUPERBLOCK_SLOT_BYTES; written += 512) {
		uint8_t old[SUPERBLOCK_SLOT_BYTES];

		put(1, 5, 2);
		memcpy(old, slot(1), sizeof(old));
		put(1, 7, 4);
		if (!memcmp(slot(1) + written, old + written, sizeof(old) - written))
			continue; /* both writes agree from here on: nothing is torn */
		memcpy(slot(1) + written, old + written, sizeof(old) - written);
		CHECK_OK(choose(&sb, &slots));
		CHECK_EQ_U64(3, sb.promised.epoch);
		CHECK_ERRNO(-EBADMSG, slots.error[1]);
	}
}

/* A record that ends with its own CRC adds the same to the slot's CRC as any other: that one alone is blind here. */
static void a_header_with_the_config_of_another_write_is_damage(void)
{
	uint8_t header[SUPERBLOCK_HEADER_BYTES];
	struct superblock sb;
	const char *reason;

	rig_superblock(&sb);
	sb.sequence = 7;
	sb.config.gen = 2;
	CHECK_OK(superblock_encode(&sb, slot(0)));
	memcpy(header, slot(0), sizeof(header));
	sb.sequence = 5;
	sb.config.gen = 1;
	CHECK_OK(superblock_encode(&sb, slot(0)));
	memcpy(slot(0), header, sizeof(header));
	CHECK_ERRNO(-EBADMSG, decode(0, &reason));
	CHECK_STR_HAS("different writes", reason);
}

static void one_slot_is_enough(void)
{
	struct superblock_slots slots;
	struct superblock sb;

	memset(image, 0, sizeof(image));
	put(1, 1, 0);
	CHECK_OK(choose(&sb, &slots));
	CHECK_EQ_U64(1, slots.newest);
	CHECK_ERRNO(-ENODATA, slots.error[0]);
}

static void two_damaged_slots_are_refused(void)
{
	struct superblock_slots slots;
	struct superblock sb;

	put(0, 6, 3);
	put(1, 5, 2);
	slot(0)[300] ^= 1;
	slot(1)[300] ^= 1;
	CHECK_ERRNO(-EBADMSG, choose(&sb, &slots));
	memset(image, 0, sizeof(image));
	CHECK_ERRNO(-ENODATA, choose(&sb, &slots));
}

static void a_newer_format_in_either_slot_forbids_writing(void)
{
	struct superblock_slots slots;
	struct superblock sb;

	for (unsigned idx = 0; idx < 2; idx++) {
		put(0, 6, 3);
		put(1, 5, 2);
		store_le32(slot(idx) + 8, SUPERBLOCK_VERSION + 1);
		reseal(idx);
		CHECK_ERRNO(-EPROTONOSUPPORT, choose(&sb, &slots));
	}
}

static void writes_alternate_between_the_slots(void)
{
	CHECK_EQ_U64(SUPERBLOCK_SLOT_SPACING, superblock_slot_offset(1));
	CHECK_EQ_U64(0, superblock_slot_offset(2));
	CHECK_EQ_U64(SUPERBLOCK_SLOT_SPACING, superblock_slot_offset(3));
}

static void every_failed_sync_is_another_boot(void)
{
	struct superblock sb = {0};
	struct uuid kernel, first, second;

	for (unsigned i = 0; i < sizeof(kernel.bytes); i++)
		kernel.bytes[i] = (uint8_t)(17 * i);
	first = superblock_boot_id(&sb, &kernel);
	CHECK_TRUE(uuid_equal(&kernel, &first));
	sb.failed_syncs = 1;
	first = superblock_boot_id(&sb, &kernel);
	CHECK_FALSE(uuid_equal(&kernel, &first));
	sb.failed_syncs = 256;
	second = superblock_boot_id(&sb, &kernel);
	CHECK_FALSE(uuid_equal(&kernel, &second) || uuid_equal(&first, &second));
}

static void random_bytes_never_pass(void)
{
	struct check_random random;
	const char *reason;

	check_random_init(&random);
	for (unsigned i = 0; i < 300; i++) {
		put(0, 5, 9);
		for (unsigned n = 0; n <= i % 7; n++)
			slot(0)[check_random_below(&random, SUPERBLOCK_SLOT_BYTES)] =
				(uint8_t)check_random_next(&random);
		reseal(0);
		(void)decode(0, &reason); /* must return; what it says depends on the byte */
	}
}

static bool reports(const struct superblock *sb, const struct uuid *kernel, const struct uuid *boot)
{
	struct uuid reported = superblock_boot_id(sb, kernel);

	return uuid_equal(&reported, boot);
}

static void a_boot_lasts_until_something_may_be_lost(void)
{
	const struct uuid first = sample_uuid(1), second = sample_uuid(2), third = sample_uuid(3);
	struct superblock sb;

	rig_superblock(&sb);
	sb.clean = true; /* as it was made, or by a program that knew no boots */
	superblock_start(&sb, &first);
	CHECK_TRUE(reports(&sb, &first, &first));
	CHECK_FALSE(sb.clean);
	/* Killed: the page cache is there. */
	superblock_start(&sb, &first);
	CHECK_TRUE(reports(&sb, &first, &first));
	/* Stopped in order, and the machine restarted: nothing was left in it. */
	sb.clean = true;
	superblock_start(&sb, &second);
	CHECK_TRUE(reports(&sb, &second, &first));
	/* Killed on that kernel. */
	superblock_start(&sb, &second);
	CHECK_TRUE(reports(&sb, &second, &first));
	/* Power loss. */
	superblock_start(&sb, &third);
	CHECK_TRUE(reports(&sb, &third, &third));
	/* It is not undone by stopping in order afterwards. */
	sb.clean = true;
	superblock_start(&sb, &first);
	CHECK_TRUE(reports(&sb, &first, &third));
}

static const struct check_test tests[] = {
	CHECK_TEST(the_header_has_its_golden_bytes),
	CHECK_TEST(what_was_encoded_is_decoded),
	CHECK_TEST(a_boot_lasts_until_something_may_be_lost),
	CHECK_TEST(a_slot_never_written_is_told_from_a_damaged_one),
	CHECK_TEST(every_flipped_bit_is_noticed),
	CHECK_TEST(a_newer_version_is_refused_and_not_called_damage),
	CHECK_TEST(an_unknown_incompat_feature_is_refused),
	CHECK_TEST(an_unknown_compat_feature_is_kept),
	CHECK_TEST(fields_that_contradict_each_other_are_refused),
	CHECK_TEST(header_and_config_agree_about_being_a_witness),
	CHECK_TEST(a_config_that_does_not_decode_is_refused),
	CHECK_TEST(the_newer_of_two_valid_slots_counts),
	CHECK_TEST(a_torn_write_leaves_the_slot_before_it),
	CHECK_TEST(a_header_with_the_config_of_another_write_is_damage),
	CHECK_TEST(one_slot_is_enough),
	CHECK_TEST(two_damaged_slots_are_refused),
	CHECK_TEST(a_newer_format_in_either_slot_forbids_writing),
	CHECK_TEST(writes_alternate_between_the_slots),
	CHECK_TEST(every_failed_sync_is_another_boot),
	CHECK_TEST(random_bytes_never_pass),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("superblock", tests, argc, argv);
}
