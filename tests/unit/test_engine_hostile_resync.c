/* What a replica may not say while another one, or itself, is being taken back: answers to what it was never asked, and
 * answers that fit no resync. Each costs it its connection and nobody anything else (P9). */
#include "tests/unit/engine_scene.h"

#include <errno.h>
#include <string.h>

#include "replica-server/core/stamps.h"
#include "tests/unit/check.h"

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];
static struct message message;

/* It comes back, and stops where it is asked `mute`. */
static void return_until(enum message_kind mute)
{
	scene_leave_and_return(&h, contents);
	h.replicas[1].mute_on = mute;
	scene_wait(&h, 2000000000);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
}

/* Then it is taken back as if nothing had been said, and the volume serves. */
static void is_survived(unsigned leg)
{
	h.replicas[leg].mute_on = 0;
	harness_pump(&h);
	for (unsigned i = 0; i < 40 && (harness_status(&h).sets[0].in_sync < 2 || h.pending); i++) {
		scene_wait(&h, 1000000000);
		harness_sweep(&h);
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(2, harness_status(&h).sets[0].in_sync);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	CHECK_EQ_U64(0, h.pending);
}

static void message_is_nonsense(unsigned leg, const char *why)
{
	CHECK_TRUE(h.message_count > 0);
	h.message_count = 0; /* what it was asked is answered by hand */
	engine_message(h.engine, leg, LANE_MAIN, &message);
	CHECK_TRUE(h.lanes[leg][LANE_MAIN].is_aborted);
	CHECK_STR_HAS(why, h.lanes[leg][LANE_MAIN].reason);
	CHECK_FALSE(h.lanes[!leg][LANE_MAIN].is_aborted);
	is_survived(leg);
}

static void reply_is_nonsense(unsigned leg, const struct frame *reply, const char *why)
{
	CHECK_ERRNO(-EPROTO, harness_raw_reply(&h, leg, LANE_MAIN, reply));
	CHECK_TRUE(h.lanes[leg][LANE_MAIN].is_aborted);
	CHECK_STR_HAS(why, h.lanes[leg][LANE_MAIN].reason);
	CHECK_FALSE(h.lanes[!leg][LANE_MAIN].is_aborted);
	is_survived(leg);
}

static void regions_beyond_the_set_are_nonsense(void)
{
	return_until(MESSAGE_STAMPED_REGIONS);
	message = (struct message){.kind = MESSAGE_REGIONS};
	message.regions.count = 1;
	message.regions.runs[0] = (struct region_run){.first = HARNESS_REGIONS - 1, .count = 2, .gen = 2};
	message_is_nonsense(1, "beyond the end of its set");
}

/* Of one run, with more to come from region `next` on. */
static struct message a_page(uint32_t first, uint32_t count, uint32_t next)
{
	struct message ret = {.kind = MESSAGE_REGIONS};

	ret.regions.count = 1;
	ret.regions.runs[0] = (struct region_run){.first = first, .count = count, .gen = 2};
	ret.regions.more = true;
	ret.regions.next = next;
	return ret;
}

static void a_list_of_regions_that_does_not_end_is_nonsense(void)
{
	return_until(MESSAGE_STAMPED_REGIONS);
	message = a_page(2, 1, 2);
	message_is_nonsense(1, "does not end");
}

/* Each page by itself could be one of a list that ends. */
static void a_list_of_regions_that_begins_again_is_nonsense(void)
{
	return_until(MESSAGE_STAMPED_REGIONS);
	message = a_page(2, 1, 3);
	h.message_count = 0;
	engine_message(h.engine, 1, LANE_MAIN, &message);
	CHECK_FALSE(h.lanes[1][LANE_MAIN].is_aborted);
	message = a_page(0, 1, 1);
	message_is_nonsense(1, "does not end");
}

static void a_list_of_regions_that_names_the_same_ones_again_is_nonsense(void)
{
	return_until(MESSAGE_STAMPED_REGIONS);
	message = a_page(2, 2, 3);
	message_is_nonsense(1, "does not end");
}

static void digests_of_another_range_are_nonsense(void)
{
	return_until(MESSAGE_DIGEST);
	message = (struct message){.kind = MESSAGE_DIGESTED};
	message.digested.offset = 5 * MIB;
	message.digested.count = DIGEST_PIECES_MAX;
	message_is_nonsense(1, "digested another range");
	return_until(MESSAGE_DIGEST);
	message.digested.offset = 3 * MIB;
	message.digested.count = DIGEST_PIECES_MAX - 1;
	message_is_nonsense(1, "digested another range");
}

/* The source has nothing to digest any more. */
static void digests_that_nobody_asked_for_are_nonsense(void)
{
	return_until(MESSAGE_DIGEST);
	message = (struct message){.kind = MESSAGE_DIGESTED};
	message.digested.offset = 3 * MIB;
	message.digested.count = DIGEST_PIECES_MAX;
	engine_message(h.engine, 0, LANE_MAIN, &message);
	CHECK_TRUE(h.lanes[0][LANE_MAIN].is_aborted);
	CHECK_STR_HAS("unexpected message DIGESTED", h.lanes[0][LANE_MAIN].reason);
	h.replicas[1].mute_on = 0;
}

/* Only the replica in sync was sent it. */
static void a_joiner_that_answers_a_flush_it_was_not_sent_is_nonsense(void)
{
	struct frame reply;

	return_until(MESSAGE_DIGEST);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	CHECK_NULL(harness_find(&h, 1, FRAME_FLUSH));
	reply = harness_reply(&h, harness_find(&h, 0, FRAME_FLUSH));
	reply.session = h.replicas[1].session;
	reply_is_nonsense(1, &reply, "second reply");
	CHECK_OK(h.errors[0]);
}

/* The bytes of a copy go to the joiner alone. */
static void a_source_that_acknowledges_the_copy_is_nonsense(void)
{
	struct frame reply;

	return_until(0);
	scene_answer(&h, 0, FRAME_READ);
	reply = harness_reply(&h, harness_find(&h, 1, FRAME_WRITE));
	reply.session = h.replicas[0].session;
	CHECK_ERRNO(-EPROTO, harness_raw_reply(&h, 0, LANE_MAIN, &reply));
	CHECK_STR_HAS("nonsense", h.lanes[0][LANE_MAIN].reason);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
}

static void a_second_answer_to_the_flush_of_a_rejoin_is_nonsense(void)
{
	struct frame reply;

	return_until(0);
	scene_answer(&h, 0, FRAME_READ);
	scene_answer(&h, 1, FRAME_WRITE);
	harness_pump(&h);
	reply = harness_reply(&h, harness_find(&h, 1, FRAME_FLUSH));
	scene_answer(&h, 1, FRAME_FLUSH);
	reply_is_nonsense(1, &reply, "nonsense");
}

/* Out of sync and connected as a voter: it has no session whose frames anybody waits for. */
static void a_voter_that_sends_data_is_nonsense(void)
{
	struct frame reply = {.type = FRAME_FLUSH | FRAME_REPLY};

	scene_leave_and_return(&h, contents);
	h.replicas[1].mute_on = MESSAGE_OPEN;
	scene_wait(&h, 2000000000);
	CHECK_EQ_INT(LEG_VOTING, harness_status(&h).legs[1].state);
	h.message_count = 0;
	reply_is_nonsense(1, &reply, "a data frame before the session is open");
}

/* A damaged block of the stamp table, or a change that came to nothing: newer than any config, and no lie. */
static void stamps_newer_than_the_config_are_passed_on_under_a_gen_that_exists(void)
{
	scene_leave_and_return(&h, contents);
	h.replicas[0].stamps[5] = STAMP_UNKNOWN;
	contents[0][5 * DIGEST_PIECES_MAX] = 9;
	scene_wait(&h, 2000000000);
	CHECK_EQ_U64(3, h.replicas[1].stamps[5]);
	CHECK_EQ_U64(2 * MIB, harness_status(&h).legs[1].resync_total_bytes);
	is_survived(1);
	CHECK_EQ_U64(2 * DIGEST_PIECE_BYTES, harness_status(&h).resynced_bytes);
}

static const struct check_test tests[] = {
	CHECK_TEST(regions_beyond_the_set_are_nonsense),
	CHECK_TEST(a_list_of_regions_that_does_not_end_is_nonsense),
	CHECK_TEST(a_list_of_regions_that_begins_again_is_nonsense),
	CHECK_TEST(a_list_of_regions_that_names_the_same_ones_again_is_nonsense),
	CHECK_TEST(digests_of_another_range_are_nonsense),
	CHECK_TEST(digests_that_nobody_asked_for_are_nonsense),
	CHECK_TEST(a_joiner_that_answers_a_flush_it_was_not_sent_is_nonsense),
	CHECK_TEST(a_source_that_acknowledges_the_copy_is_nonsense),
	CHECK_TEST(a_second_answer_to_the_flush_of_a_rejoin_is_nonsense),
	CHECK_TEST(a_voter_that_sends_data_is_nonsense),
	CHECK_TEST(stamps_newer_than_the_config_are_passed_on_under_a_gen_that_exists),
};

int main(int argc, char **argv)
{
	int failed = CHECK_MAIN("engine_hostile_resync", tests, argc, argv);

	harness_fini(&h);
	return failed;
}
