/* Rejoins that copy without comparing (R7): what they copy and what they say of it. */
#include "tests/unit/engine_scene.h"

#include "tests/unit/check.h"

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];
static unsigned digests_asked;
static uint64_t copied_bytes;

static void count_digests(struct harness *harness, const struct harness_message *asked)
{
	(void)harness;
	digests_asked += asked->kind == MESSAGE_DIGEST && asked->leg == 0;
}

static void count_copied(struct harness *harness, const struct harness_sent *sent)
{
	(void)harness;
	if (sent->leg == 1 && sent->frame.type == FRAME_WRITE && sent->frame.flags & FRAME_F_COPY)
		copied_bytes += sent->frame.length;
}

/* Region after region of a replica that lost its disk; every piece of the source is another. */
static void take_back_what_is_wholly_different(unsigned unseen_below_percent)
{
	struct engine_options options = harness_options();

	options.resync_bytes_per_s = MIB;
	options.unseen_below_percent = unseen_below_percent;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 1);
	for (unsigned i = 0; i < 3; i++)
		h.replicas[i].config.voters[1].compare = COMPARE_EVERYTHING;
	for (unsigned i = 0; i < ARRAY_COUNT(contents[0]); i++)
		contents[0][i] = 7;
	digests_asked = 0;
	copied_bytes = 0;
	h.on_asked = count_digests;
	h.on_sent = count_copied;
	scene_attach(&h);
	for (unsigned i = 0; i < 20; i++) {
		scene_wait(&h, 1000000000);
		harness_answer_all(&h);
	}
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

static void where_nothing_is_equal_regions_are_copied_without_comparing(void)
{
	take_back_what_is_wholly_different(25);
	CHECK_EQ_U64(1, digests_asked);
	CHECK_EQ_U64(8 * MIB, copied_bytes);
	CHECK_EQ_U64(8 * MIB, harness_status(&h).resynced_bytes);
	CHECK_STR("1048576 bytes compared, 8388608 copied, 7340032 of them without comparing",
		  h.last_event_text[EVENT_REJOINED]);
}

static void a_rejoin_that_may_copy_nothing_unseen_compares_all(void)
{
	take_back_what_is_wholly_different(0);
	CHECK_EQ_U64(8, digests_asked);
	CHECK_EQ_U64(8 * MIB, copied_bytes);
	CHECK_STR("8388608 bytes compared, 8388608 copied, 0 of them without comparing",
		  h.last_event_text[EVENT_REJOINED]);
}

static const struct check_test tests[] = {
	CHECK_TEST(where_nothing_is_equal_regions_are_copied_without_comparing),
	CHECK_TEST(a_rejoin_that_may_copy_nothing_unseen_compares_all),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_unseen", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
