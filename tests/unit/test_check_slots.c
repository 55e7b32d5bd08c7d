/* What an offline check finds in a superblock's two slots and in the stamps: each finding by itself, and nothing in
 * what is in order. */
#include <string.h>

#include "replica-server/core/check.h"
#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static uint8_t image[SUPERBLOCK_FILE_BYTES];
static struct superblock slots[SUPERBLOCK_SLOT_COUNT]; /* [0] is the newer one */
static struct check_report report;

static void put(unsigned slot, const struct superblock *sb)
{
	CHECK_OK(superblock_encode(sb, image + slot * SUPERBLOCK_SLOT_SPACING));
}

/* A promise of epoch 9, then the config of that attachment: writes 7 and 8. */
static void begin(void)
{
	memset(image, 0, sizeof(image));
	slots[1] = (struct superblock){
		.sequence = 7,
		.replica_uuid = sample_config().voters[0].uuid,
		.volume_name = "vol",
		.promised = sample_config().ballot,
		.config = sample_config(),
	};
	slots[1].config.loss_count = 0;
	slots[0] = slots[1];
	slots[0].sequence = 8;
	slots[1].config.ballot = (struct ballot){8, 88};
	slots[1].config.gen = 6;
	for (unsigned i = 0; i < 2; i++)
		slots[1].config.voters[i].in_sync_gen = 6;
}

static void check(void)
{
	put(0, &slots[0]);
	put(1, &slots[1]);
	check_init(&report);
	check_superblock(&report, image);
	check_slots(&report, image);
}

/* One problem, with `part` in it, that says what to do. */
static void check_finds(const char *part)
{
	check();
	CHECK_EQ_U64(1, report.problem_count);
	CHECK_STR_HAS(part, report.problems[0]);
	CHECK_STR_HAS("restore", report.problems[0]);
}

static void two_slots_that_follow_each_other_are_sound(void)
{
	begin();
	check();
	CHECK_EQ_U64(0, report.problem_count);
	CHECK_EQ_U64(0, report.note_count);
	CHECK_EQ_U64(8, report.superblock.sequence);
}

static void one_slot_that_was_never_followed_is_sound(void)
{
	begin();
	slots[1] = slots[0];
	slots[1].sequence = 1;
	put(1, &slots[1]);
	check_init(&report);
	check_superblock(&report, image);
	check_slots(&report, image);
	CHECK_EQ_U64(0, report.problem_count);
}

static void a_promise_that_goes_back_is_named(void)
{
	begin();
	slots[1].promised = (struct ballot){12, 1};
	check_finds("the promise goes back from epoch 12 to 9");
}

static void an_epoch_promised_to_two_is_named(void)
{
	begin();
	slots[1].promised.nonce++;
	check_finds("epoch 9 was promised to two attachments");
}

static void a_count_of_failed_syncs_that_goes_back_is_named(void)
{
	begin();
	slots[1].failed_syncs = 2;
	slots[0].failed_syncs = 1;
	check_finds("its count of failed syncs goes back from 2 to 1");
}

static void failed_syncs_are_a_note(void)
{
	begin();
	slots[0].failed_syncs = 1;
	check();
	CHECK_EQ_U64(0, report.problem_count);
	CHECK_EQ_U64(1, report.note_count);
	CHECK_STR_HAS("could not be made durable 1 times", report.notes[0]);
}

static void a_life_that_goes_back_is_named(void)
{
	begin();
	for (unsigned i = 0; i < 2; i++)
		slots[i].config.voters[0].life = config_life(1, 2 + (uint32_t)i);
	slots[0].life = config_life(1, 2);
	slots[1].life = config_life(1, 3);
	check_finds("of two lives");
}

static void a_config_that_goes_back_is_named(void)
{
	begin();
	slots[1].config = slots[0].config;
	slots[1].config.gen = 11;
	check_finds("the config goes back from epoch 9, gen 11 to 9, 7");
}

static void two_configs_of_one_gen_are_named(void)
{
	begin();
	slots[1].config = slots[0].config;
	slots[1].config.voters[1].compare = COMPARE_EVERYTHING;
	check_finds("two configs of epoch 9, gen 7");
}

static void a_config_that_was_never_promised_is_named(void)
{
	begin();
	slots[0].promised = slots[1].promised = (struct ballot){8, 88};
	check_finds("is of epoch 9 and was never promised (the promise is of epoch 8)");
	begin();
	slots[0].promised.nonce++;
	slots[1].promised.nonce++;
	check_finds("was never promised");
	/* As created. */
	begin();
	slots[0].promised = slots[1].promised = (struct ballot){0};
	check();
	CHECK_EQ_U64(0, report.problem_count);
}

static void slots_of_different_replicas_are_named(void)
{
	begin();
	slots[1].replica_uuid = sample_config().voters[1].uuid;
	check_finds("its slots are of different replicas");
}

static void a_slot_in_the_place_of_the_other_is_named(void)
{
	begin();
	slots[1].sequence = 6;
	check_finds("slot 1: write number 6 belongs into the other slot");
}

static void a_replica_that_its_config_does_not_name_is_named(void)
{
	begin();
	slots[0].replica_uuid = slots[1].replica_uuid = sample_uuid(0x99);
	check();
	CHECK_EQ_U64(1, report.problem_count);
	CHECK_STR_HAS("its own config does not name this replica among the 3 voters", report.problems[0]);
	CHECK_STR_HAS("delete the directory", report.problems[0]);
}

static void what_is_no_damage_is_a_note(void)
{
	begin();
	slots[0].replica_uuid = slots[1].replica_uuid = sample_config().voters[1].uuid;
	slots[0].config.loss_count = 2;
	check();
	CHECK_EQ_U64(0, report.problem_count);
	CHECK_EQ_U64(2, report.note_count);
	CHECK_STR("out of sync since gen 6, by its own config; what it missed and what was not yet stable is compared "
		  "when it is back",
		  report.notes[0]);
	CHECK_STR_HAS("2 losses", report.notes[1]);
}

static void a_witness_is_sound_and_has_no_state_of_its_own(void)
{
	begin();
	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++) {
		slots[i].replica_uuid = sample_config().voters[2].uuid;
		slots[i].incompat = SUPERBLOCK_INCOMPAT_WITNESS;
	}
	check();
	CHECK_EQ_U64(0, report.problem_count);
	CHECK_EQ_U64(0, report.note_count);
	CHECK_TRUE(report.is_witness);
}

static void note_stamp(uint32_t gen)
{
	uint8_t block[STAMPS_BLOCK_BYTES];
	uint32_t gens[STAMPS_PER_BLOCK] = {3, gen};

	begin();
	check();
	stamps_block_encode(0, gens, block);
	check_stamps_block(&report, 0, block);
	check_stamps_end(&report);
}

static void stamps_newer_than_the_config_are_a_note_and_others_are_not(void)
{
	note_stamp(7);
	CHECK_EQ_U64(0, report.note_count);
	note_stamp(STAMP_UNKNOWN);
	CHECK_EQ_U64(0, report.note_count);
	note_stamp(8);
	CHECK_EQ_U64(0, report.problem_count);
	CHECK_EQ_U64(1, report.note_count);
	CHECK_STR_HAS("the newest is of gen 8, the config of gen 7", report.notes[0]);
}

static void a_damaged_slot_leaves_the_other_to_be_judged_alone(void)
{
	begin();
	put(0, &slots[0]);
	put(1, &slots[1]);
	image[SUPERBLOCK_SLOT_SPACING + 100] ^= 1;
	check_init(&report);
	check_superblock(&report, image);
	check_slots(&report, image);
	CHECK_EQ_U64(1, report.problem_count);
	CHECK_STR_HAS("slot 1: damaged (bad checksum); the other slot stands in", report.problems[0]);
}

static const struct check_test tests[] = {
	CHECK_TEST(two_slots_that_follow_each_other_are_sound),
	CHECK_TEST(one_slot_that_was_never_followed_is_sound),
	CHECK_TEST(a_promise_that_goes_back_is_named),
	CHECK_TEST(an_epoch_promised_to_two_is_named),
	CHECK_TEST(a_count_of_failed_syncs_that_goes_back_is_named),
	CHECK_TEST(failed_syncs_are_a_note),
	CHECK_TEST(a_life_that_goes_back_is_named),
	CHECK_TEST(a_config_that_goes_back_is_named),
	CHECK_TEST(two_configs_of_one_gen_are_named),
	CHECK_TEST(a_config_that_was_never_promised_is_named),
	CHECK_TEST(slots_of_different_replicas_are_named),
	CHECK_TEST(a_slot_in_the_place_of_the_other_is_named),
	CHECK_TEST(a_replica_that_its_config_does_not_name_is_named),
	CHECK_TEST(what_is_no_damage_is_a_note),
	CHECK_TEST(a_witness_is_sound_and_has_no_state_of_its_own),
	CHECK_TEST(stamps_newer_than_the_config_are_a_note_and_others_are_not),
	CHECK_TEST(a_damaged_slot_leaves_the_other_to_be_judged_alone),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("check_slots", tests, argc, argv);
}
