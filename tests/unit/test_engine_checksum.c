/* Acknowledgements of one write whose checksums differ (R13): repeated from a private copy, and who leaves if that does
 * not help. */
#include "tests/unit/engine_harness.h"

#include "tests/unit/check.h"

static struct harness h;

static void start_with(const struct volume_spec *spec, const struct engine_options *options)
{
	harness_fini(&h);
	harness_init(&h, spec, options);
	harness_attach(&h);
}

static void start(unsigned replicas, const struct engine_options *options)
{
	struct volume_spec spec = harness_spec(1, replicas);

	start_with(&spec, options);
}

static void acknowledge_with(unsigned leg, uint32_t checksum)
{
	struct harness_sent *sent = harness_find(&h, leg, FRAME_WRITE);
	struct frame reply = harness_reply(&h, sent);

	reply.checksum = checksum;
	sent->is_answered = true;
	CHECK_OK(harness_raw_reply(&h, leg, LANE_MAIN, &reply));
}

static void a_write_that_differs_between_replicas_is_repeated_from_a_private_copy(void)
{
	struct engine_options options = harness_options();

	options.bulk_min_bytes = 0;
	start(2, &options);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, BULK_MIN_BYTES_MAX);
	CHECK_EQ_INT(WRITE_BULK, harness_find(&h, 0, FRAME_WRITE)->path);
	acknowledge_with(0, 1);
	acknowledge_with(1, 2);
	CHECK_EQ_U64(1, harness_status(&h).checksum_mismatches);
	CHECK_EQ_INT(WRITE_GATHER, harness_find(&h, 0, FRAME_WRITE)->path);
	CHECK_EQ_U64(1, harness_find(&h, 1, FRAME_WRITE)->frame.wseq);
	acknowledge_with(1, 3);
	acknowledge_with(0, 3);
	CHECK_EQ_U64(1, h.pending); /* the first sends still borrow it */
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
}

/* One too large for a batch as well: from the request's own pages it would differ again. */
static void a_large_write_that_differs_is_repeated_from_a_private_copy(void)
{
	start(2, NULL);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, IO_BYTES_MAX);
	CHECK_EQ_INT(WRITE_BULK, harness_find(&h, 0, FRAME_WRITE)->path);
	acknowledge_with(0, 1);
	acknowledge_with(1, 2);
	CHECK_EQ_INT(WRITE_PRIVATE, harness_find(&h, 0, FRAME_WRITE)->path);
	CHECK_EQ_INT(WRITE_PRIVATE, harness_find(&h, 1, FRAME_WRITE)->path);
	acknowledge_with(0, 3);
	acknowledge_with(1, 3);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
}

static void the_replica_that_stays_different_is_evicted(void)
{
	start(3, NULL);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ_U64(1, h.pending);
		acknowledge_with(0, 2);
		acknowledge_with(1, 1);
		acknowledge_with(2, 1);
	}
	CHECK_EQ_U64(2, harness_status(&h).checksum_mismatches);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
	CHECK_EQ_INT(VOTER_OUT, h.replicas[1].config.voters[0].state);
}

static void of_two_the_one_that_changed_its_mind_is_evicted(void)
{
	struct volume_spec spec = harness_spec_with_witness(1, 2);

	start_with(&spec, NULL);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	for (unsigned i = 0; i < 3; i++) {
		acknowledge_with(0, 7 + i);
		acknowledge_with(1, 1);
	}
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
	CHECK_EQ_INT(VOTER_OUT, h.replicas[1].config.voters[0].state);
}

static void one_that_is_being_taken_back_never_wins_against_one_in_sync(void)
{
	struct volume_spec spec = harness_spec_with_witness(1, 2);

	start_with(&spec, NULL);
	harness_kill(&h, 1);
	h.replicas[1].mute_on = MESSAGE_STAMPED_REGIONS;
	harness_raise(&h, 1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ_U64(1, h.pending);
		acknowledge_with(0, 7 + i);
		acknowledge_with(1, 1);
	}
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(LEG_UP, harness_status(&h).legs[0].state);
	CHECK_EQ_INT(VOTER_IN, h.replicas[0].config.voters[0].state);
	CHECK_STR_HAS("other bytes", harness_status(&h).legs[1].last_error);
}

static void a_repeat_reaches_a_replica_that_was_lost_meanwhile(void)
{
	start(2, NULL);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	acknowledge_with(0, 1);
	harness_kill(&h, 0);
	acknowledge_with(1, 2);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_WRITE));
	harness_raise(&h, 0);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_WRITE));
	harness_answer_all(&h);
	CHECK_OK(h.errors[0]);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_write_that_differs_between_replicas_is_repeated_from_a_private_copy),
	CHECK_TEST(a_large_write_that_differs_is_repeated_from_a_private_copy),
	CHECK_TEST(the_replica_that_stays_different_is_evicted),
	CHECK_TEST(of_two_the_one_that_changed_its_mind_is_evicted),
	CHECK_TEST(one_that_is_being_taken_back_never_wins_against_one_in_sync),
	CHECK_TEST(a_repeat_reaches_a_replica_that_was_lost_meanwhile),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_checksum", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
