/* A verify: what it finds, what it repairs and from whom, what it makes way for, and how it ends. */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

#define NS_PER_S 1000000000ull
#define PIECES (HARNESS_REGIONS * DIGEST_PIECES_MAX)

static struct harness h;
static uint64_t contents[LEG_COUNT_MAX][PIECES];
static struct verify_status found;

static uint64_t digest(struct harness *harness, unsigned leg, uint64_t piece)
{
	return contents[leg][piece];
}

/* What was written by a copy is what the others have: 0 in these tests. */
static void note_copied(struct harness *harness, const struct harness_sent *sent)
{
	if (sent->frame.type != FRAME_WRITE || !(sent->frame.flags & FRAME_F_COPY))
		return;
	for (uint64_t at = sent->frame.offset; at < sent->frame.offset + sent->frame.length; at += DIGEST_PIECE_BYTES)
		contents[sent->leg][at / DIGEST_PIECE_BYTES] = 0;
}

static void make(const struct volume_spec *spec)
{
	memset(contents, 0, sizeof(contents));
	harness_fini(&h);
	harness_init(&h, spec, NULL);
	h.digest = digest;
	h.on_sent = note_copied;
	harness_attach(&h);
	harness_tick(&h, NS_PER_S);
	harness_pump(&h);
}

static void make_three(void)
{
	struct volume_spec spec = harness_spec(1, 3);

	make(&spec);
}

/* Two replicas and a witness. */
static void make_pair(void)
{
	struct volume_spec spec = harness_spec_with_witness(1, 2);

	make(&spec);
}

static void look(void)
{
	engine_verify_status(h.engine, &found);
}

static int start(struct verify_order order)
{
	struct err err;
	int error = engine_verify_start(h.engine, &order, &err);

	look();
	return error;
}

/* Until it is over, or `ticks` of 50 ms have passed. */
static void go_on(unsigned ticks)
{
	for (unsigned i = 0; i < ticks; i++) {
		harness_pump(&h);
		harness_answer_all(&h);
		look();
		if (found.state != VERIFY_RUNNING)
			return;
		harness_tick(&h, 50000000);
	}
}

static void verify(struct verify_order order)
{
	CHECK_OK(start(order));
	go_on(100);
}

static void check_finding(unsigned nth, uint64_t first_piece, uint64_t pieces, uint8_t wrong, bool is_repaired)
{
	const struct verify_finding *finding = &found.findings[nth];

	CHECK_TRUE(nth < found.finding_count);
	CHECK_EQ_U64(first_piece * DIGEST_PIECE_BYTES, finding->offset);
	CHECK_EQ_U64(pieces * DIGEST_PIECE_BYTES, finding->length);
	CHECK_EQ_U64(wrong, finding->wrong);
	CHECK_EQ_INT(is_repaired, finding->is_repaired);
}

static void equal_replicas_are_compared_to_the_end_and_nothing_is_written(void)
{
	make_three();
	verify((struct verify_order){.repair = true});
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(8 * MIB, found.total_bytes);
	CHECK_EQ_U64(8 * MIB, found.compared_bytes);
	CHECK_EQ_U64(8 * MIB, found.leg_bytes[2]);
	CHECK_EQ_U64(0, found.finding_count);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_WRITE));
	CHECK_EQ_U64(0, h.replicas[0].stamps[0]);
	CHECK_EQ_U64(1, h.event_count[EVENT_VERIFYING]);
	CHECK_EQ_U64(1, h.event_count[EVENT_VERIFIED]);
	CHECK_EQ_U64(8 * MIB, harness_status(&h).verified_bytes);
}

/* R12: that replicas differ there is lawful until they were made equal (simulator's seed 214561). */
static void what_a_write_left_that_failed_while_it_was_waited_for_is_no_difference(void)
{
	make_pair();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 37 * DIGEST_PIECE_BYTES, 4096);
	CHECK_OK(start((struct verify_order){0}));
	harness_pump(&h);
	contents[0][37] = 5; /* the other one is read to make it equal */
	harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_EIO);
	harness_answer(&h, harness_find(&h, 1, FRAME_WRITE), WIRE_EIO);
	CHECK_ERRNO(-EIO, h.errors[0]);
	go_on(100);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(0, found.finding_count);
	CHECK_EQ_U64(8 * MIB, found.compared_bytes);
	CHECK_EQ_U64(0, contents[0][37]);
}

static void what_differs_is_listed_and_left_as_it_is_unless_a_repair_is_asked_for(void)
{
	make_three();
	contents[1][37] = contents[1][38] = 5;
	verify((struct verify_order){0});
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(1, found.finding_count);
	check_finding(0, 37, 2, 2, false);
	CHECK_EQ_U64(7, found.findings[0].compared);
	CHECK_EQ_U64(2 * DIGEST_PIECE_BYTES, found.differing_bytes);
	CHECK_EQ_U64(0, found.repaired_bytes);
	CHECK_EQ_U64(5, contents[1][37]);
	CHECK_EQ_U64(0, h.sent_count);
	CHECK_STR_HAS("r1 differs", h.last_event_text[EVENT_DIFFERENCE]);
}

static void a_repair_copies_from_the_majority_and_the_next_verify_finds_nothing(void)
{
	make_three();
	/* The first in the set is the wrong one, so that who asks it first would be wrong. */
	contents[0][37] = 5;
	CHECK_OK(start((struct verify_order){.repair = true}));
	harness_pump(&h);
	CHECK_NULL(harness_find(&h, 0, FRAME_READ));
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	CHECK_EQ_U64(37 * DIGEST_PIECE_BYTES, harness_find(&h, 1, FRAME_READ)->frame.offset);
	harness_answer(&h, harness_find(&h, 1, FRAME_READ), WIRE_OK);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_WRITE));
	CHECK_EQ_INT(FRAME_F_COPY | FRAME_F_STAMP, harness_find(&h, 0, FRAME_WRITE)->frame.flags);
	CHECK_EQ_U64(DIGEST_PIECE_BYTES, harness_find(&h, 0, FRAME_WRITE)->frame.length);
	go_on(100);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	check_finding(0, 37, 1, 1, true);
	CHECK_EQ_U64(DIGEST_PIECE_BYTES, found.repaired_bytes);
	CHECK_EQ_U64(DIGEST_PIECE_BYTES, harness_status(&h).repaired_bytes);
	verify((struct verify_order){0});
	CHECK_EQ_U64(0, found.finding_count);
	CHECK_EQ_U64(8 * MIB, found.compared_bytes);
}

static void a_repair_is_made_durable_as_any_write(void)
{
	make_three();
	contents[2][1] = 5;
	verify((struct verify_order){.repair = true});
	harness_tick(&h, h.options.sync_interval_ns);
	CHECK_NOT_NULL(harness_find(&h, 2, FRAME_FLUSH));
}

static void different_replicas_may_be_wrong_in_one_region(void)
{
	make_three();
	contents[0][16] = contents[1][17] = contents[2][18] = 5;
	verify((struct verify_order){.repair = true});
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(3, found.finding_count);
	for (unsigned i = 0; i < 3; i++) {
		check_finding(i, 16 + i, 1, (uint8_t)(1u << i), true);
		CHECK_EQ_U64(0, contents[i][16 + i]);
	}
}

static void a_difference_over_the_edge_of_regions_is_one(void)
{
	make_three();
	for (unsigned piece = 14; piece < 35; piece++)
		contents[2][piece] = 5;
	verify((struct verify_order){0});
	CHECK_EQ_U64(1, found.finding_count);
	check_finding(0, 14, 21, 4, false);
}

static void between_two_nothing_tells_who_is_right_and_nothing_is_written(void)
{
	make_pair();
	contents[1][3] = 5;
	verify((struct verify_order){.repair = true});
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	check_finding(0, 3, 1, 0, false);
	CHECK_EQ_U64(3, found.findings[0].compared);
	CHECK_EQ_U64(DIGEST_PIECE_BYTES, found.undecided_bytes);
	CHECK_EQ_U64(0, found.repaired_bytes);
	CHECK_STR_HAS("no majority", h.last_event_text[EVENT_DIFFERENCE]);
	CHECK_EQ_U64(5, contents[1][3]);
}

static void three_that_all_differ_have_no_majority_either(void)
{
	make_three();
	contents[1][3] = 5;
	contents[2][3] = 6;
	verify((struct verify_order){.repair = true});
	check_finding(0, 3, 1, 0, false);
	CHECK_EQ_U64(0, h.sent_count);
}

static void the_replica_that_people_name_decides_between_two(void)
{
	make_pair();
	contents[1][3] = 5;
	verify((struct verify_order){.repair = true, .sources = 1});
	check_finding(0, 3, 1, 2, true);
	CHECK_EQ_U64(0, contents[1][3]);
}

static void the_replica_that_people_name_is_not_believed_against_a_majority(void)
{
	make_three();
	contents[1][3] = 5;
	verify((struct verify_order){.repair = true, .sources = 2});
	check_finding(0, 3, 1, 2, true);
	CHECK_EQ_U64(0, contents[1][3]);
}

static void more_differences_than_are_kept_are_counted(void)
{
	struct volume_spec spec = harness_spec(2, 3);

	make(&spec);
	/* Each piece beside an equal one, in both sets. */
	for (unsigned piece = 0; piece < PIECES; piece += 2)
		contents[1][piece] = contents[5][piece] = 5;
	verify((struct verify_order){0});
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(16 * MIB, found.compared_bytes);
	CHECK_EQ_U64(PIECES, found.finding_count);
	CHECK_EQ_U64(PIECES * DIGEST_PIECE_BYTES, found.differing_bytes);
	CHECK_EQ_U64(VERIFY_FINDINGS_MAX, h.event_count[EVENT_DIFFERENCE]);
}

static void orders_that_make_no_sense_are_refused(void)
{
	struct volume_spec one = harness_spec(1, 1), two = harness_spec(1, 2);

	make(&one);
	CHECK_ERRNO(-EINVAL, start((struct verify_order){0}));
	make_pair();
	CHECK_ERRNO(-EINVAL, start((struct verify_order){.sources = 4}));
	CHECK_ERRNO(-EINVAL, start((struct verify_order){.sources = 3}));
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	CHECK_OK(start((struct verify_order){0}));
	CHECK_ERRNO(-EBUSY, start((struct verify_order){0}));
	harness_fini(&h);
	harness_init(&h, &two, NULL);
	CHECK_ERRNO(-EAGAIN, start((struct verify_order){0}));
}

static void a_write_waits_while_its_region_is_compared_and_others_do_not(void)
{
	make_pair();
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	CHECK_OK(start((struct verify_order){.bytes_per_s = 4 * MIB}));
	harness_tick(&h, NS_PER_S);
	harness_pump(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 7 * MIB, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.completions[1]);
	CHECK_EQ_U64(0, h.completions[0]);
	h.replicas[1].mute_on = 0;
	go_on(100);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
}

static unsigned digests;

static void count_digests(struct harness *harness, const struct harness_message *asked)
{
	digests += asked->kind == MESSAGE_DIGEST && asked->leg == 0;
}

/* A request is outstanding all the time, and nothing is known of what it is hindered by: a burst of a few regions, a
 * rest twice as long, the next burst. */
static void while_the_application_works_regions_go_in_bursts_with_rests(void)
{
	make_pair();
	digests = 0;
	h.on_asked = count_digests;
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	harness_submit(&h, 0, REQUEST_WRITE, 0, 7 * MIB, 4096);
	CHECK_OK(start((struct verify_order){0}));
	harness_pump(&h);
	CHECK_EQ_U64(3, digests);
	harness_tick(&h, 40000000);
	h.replicas[1].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(3, digests);
	harness_tick(&h, 79000000);
	harness_pump(&h);
	CHECK_EQ_U64(3, digests);
	harness_tick(&h, 3000000);
	harness_pump(&h);
	CHECK_TRUE(digests > 3);
	go_on(100);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
}

/* `count` requests done, and the next one outstanding. */
static void requests(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		harness_answer_all(&h);
		harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	}
	harness_sweep(&h);
}

/* One verify after the other, each region 10 ms, beside an application that does so many requests in a millisecond
 * while regions are compared, and so many while none is. In percent of the time: regions are being compared. */
static unsigned compared_beside(unsigned requests_beside, unsigned requests_alone)
{
	unsigned active = 0, total = 4000;

	make_pair();
	h.on_asked = count_digests;
	look();
	for (unsigned ms = 0; ms < total; ms++) {
		bool is_active;

		if (found.state != VERIFY_RUNNING) {
			digests = 0;
			CHECK_OK(start((struct verify_order){0}));
		}
		h.replicas[1].mute_on = ms % 10 ? MESSAGE_DIGEST : 0;
		harness_pump(&h);
		look();
		is_active = found.state == VERIFY_RUNNING && digests > found.compared_bytes / MIB;
		active += is_active;
		requests(is_active ? requests_beside : requests_alone);
		harness_tick(&h, 1000000);
	}
	return active * 100 / total;
}

static void an_application_that_is_stopped_by_it_keeps_two_thirds_of_the_time(void)
{
	unsigned percent = compared_beside(0, 2);

	CHECK_TRUE(percent >= 25 && percent <= 36);
}

/* A part p of the time at half the rate leaves 1 - p / 2. */
static void an_application_that_is_slowed_down_by_it_keeps_two_thirds_of_its_rate(void)
{
	unsigned percent = compared_beside(2, 4);

	CHECK_TRUE(percent >= 55 && percent <= 72);
}

static void an_application_that_it_does_not_hinder_is_hardly_waited_for(void)
{
	CHECK_TRUE(compared_beside(2, 2) >= 80);
}

static void alone_it_fills_all_its_slots(void)
{
	make_pair();
	digests = 0;
	h.on_asked = count_digests;
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	CHECK_OK(start((struct verify_order){0}));
	harness_pump(&h);
	CHECK_EQ_U64(RESYNC_SLOTS, digests);
}

static void it_keeps_to_its_rate(void)
{
	make_pair();
	CHECK_OK(start((struct verify_order){.bytes_per_s = 2 * MIB}));
	go_on(20);
	CHECK_EQ_INT(VERIFY_RUNNING, found.state);
	CHECK_TRUE(found.compared_bytes >= 1 * MIB && found.compared_bytes <= 3 * MIB);
	go_on(80);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
}

static void a_lost_replica_is_left_out_and_its_regions_are_compared_again(void)
{
	make_three();
	contents[2][1] = 5;
	contents[1][100] = 5;
	h.replicas[2].mute_on = MESSAGE_DIGEST;
	CHECK_OK(start((struct verify_order){0}));
	harness_pump(&h);
	harness_kill(&h, 2);
	go_on(100);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(8 * MIB, found.compared_bytes);
	CHECK_EQ_U64(8 * MIB, found.leg_bytes[0]);
	CHECK_EQ_U64(0, found.leg_bytes[2]);
	/* Among two. */
	CHECK_EQ_U64(1, found.finding_count);
	check_finding(0, 100, 1, 0, false);
}

static void a_replica_that_is_taken_back_goes_first(void)
{
	make_three();
	harness_kill(&h, 2);
	h.replicas[2].mute_on = MESSAGE_STAMPED_REGIONS;
	harness_raise(&h, 2);
	CHECK_OK(start((struct verify_order){0}));
	for (unsigned i = 0; i < 4; i++) {
		go_on(5);
		CHECK_EQ_INT(VERIFY_RUNNING, found.state);
		CHECK_EQ_U64(0, found.compared_bytes);
		CHECK_STR("set 0: a replica is being taken back", found.text);
	}
	h.replicas[2].mute_on = 0;
	go_on(200);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(8 * MIB, found.leg_bytes[2]);
}

static void with_one_replica_left_it_ends_after_a_while_and_says_why(void)
{
	make_pair();
	harness_kill(&h, 1);
	CHECK_OK(start((struct verify_order){0}));
	for (unsigned i = 0; i < 55; i++) {
		harness_tick(&h, NS_PER_S);
		go_on(1);
	}
	CHECK_EQ_INT(VERIFY_RUNNING, found.state);
	harness_tick(&h, 6 * NS_PER_S);
	look();
	CHECK_EQ_INT(VERIFY_ENDED, found.state);
	CHECK_STR_HAS("one replica alone is in sync", found.text);
	CHECK_EQ_U64(1, h.event_count[EVENT_VERIFY_ENDED]);
}

static void refuse_digests(unsigned leg)
{
	h.replicas[leg].refuse_on = MESSAGE_DIGEST;
	h.replicas[leg].refusal = REFUSAL_STORE;
	CHECK_OK(start((struct verify_order){0}));
	for (unsigned i = 0; i < 100 && found.state == VERIFY_RUNNING; i++) {
		harness_tick(&h, NS_PER_S);
		go_on(1);
	}
}

static void a_replica_that_cannot_digest_is_evicted_and_the_others_are_compared(void)
{
	make_three();
	refuse_digests(2);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(8 * MIB, found.leg_bytes[1]);
	CHECK_EQ_U64(0, found.leg_bytes[2]);
}

/* It is taken back each time, for nothing says that it missed a write. */
static void the_only_other_one_that_cannot_digest_ends_it_by_name_of_the_reason(void)
{
	make_pair();
	refuse_digests(1);
	CHECK_EQ_INT(VERIFY_ENDED, found.state);
	CHECK_STR_HAS("cannot be compared: refused (store)", found.text);
}

static void a_cancelled_one_begins_nothing_new(void)
{
	make_pair();
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	CHECK_OK(start((struct verify_order){0}));
	harness_pump(&h);
	engine_verify_cancel(h.engine);
	look();
	CHECK_EQ_INT(VERIFY_RUNNING, found.state);
	h.replicas[1].mute_on = 0;
	go_on(10);
	CHECK_EQ_INT(VERIFY_ENDED, found.state);
	CHECK_STR("cancelled", found.text);
	CHECK_EQ_U64(RESYNC_SLOTS * MIB, found.compared_bytes);
	CHECK_OK(start((struct verify_order){0}));
}

static void a_detach_does_not_wait_for_it(void)
{
	make_pair();
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	CHECK_OK(start((struct verify_order){0}));
	harness_pump(&h);
	engine_detach(h.engine);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
	harness_pump(&h);
	look();
	CHECK_EQ_INT(VERIFY_ENDED, found.state);
	CHECK_STR("the volume is being detached", found.text);
}

/* R10: a contender fenced the gateway, and came to nothing. */
static void a_volume_attached_anew_in_place_is_compared_to_the_end(void)
{
	make_pair();
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	CHECK_OK(start((struct verify_order){0}));
	harness_pump(&h);
	for (unsigned leg = 0; leg < 3; leg++) {
		h.replicas[leg].promised = (struct ballot){9, 99};
		harness_break(&h, leg, LANE_MAIN);
	}
	h.replicas[1].mute_on = 0;
	for (unsigned i = 0; i < 100; i++) {
		harness_tick(&h, NS_PER_S / 4);
		go_on(1);
	}
	CHECK_EQ_U64(1, harness_status(&h).reattaches);
	CHECK_EQ_INT(VERIFY_DONE, found.state);
	CHECK_EQ_U64(8 * MIB, found.compared_bytes);
}

static const struct check_test tests[] = {
	CHECK_TEST(equal_replicas_are_compared_to_the_end_and_nothing_is_written),
	CHECK_TEST(what_a_write_left_that_failed_while_it_was_waited_for_is_no_difference),
	CHECK_TEST(what_differs_is_listed_and_left_as_it_is_unless_a_repair_is_asked_for),
	CHECK_TEST(a_repair_copies_from_the_majority_and_the_next_verify_finds_nothing),
	CHECK_TEST(a_repair_is_made_durable_as_any_write),
	CHECK_TEST(different_replicas_may_be_wrong_in_one_region),
	CHECK_TEST(a_difference_over_the_edge_of_regions_is_one),
	CHECK_TEST(between_two_nothing_tells_who_is_right_and_nothing_is_written),
	CHECK_TEST(three_that_all_differ_have_no_majority_either),
	CHECK_TEST(the_replica_that_people_name_decides_between_two),
	CHECK_TEST(the_replica_that_people_name_is_not_believed_against_a_majority),
	CHECK_TEST(more_differences_than_are_kept_are_counted),
	CHECK_TEST(orders_that_make_no_sense_are_refused),
	CHECK_TEST(a_write_waits_while_its_region_is_compared_and_others_do_not),
	CHECK_TEST(while_the_application_works_regions_go_in_bursts_with_rests),
	CHECK_TEST(an_application_that_is_stopped_by_it_keeps_two_thirds_of_the_time),
	CHECK_TEST(an_application_that_is_slowed_down_by_it_keeps_two_thirds_of_its_rate),
	CHECK_TEST(an_application_that_it_does_not_hinder_is_hardly_waited_for),
	CHECK_TEST(alone_it_fills_all_its_slots),
	CHECK_TEST(it_keeps_to_its_rate),
	CHECK_TEST(a_lost_replica_is_left_out_and_its_regions_are_compared_again),
	CHECK_TEST(a_replica_that_is_taken_back_goes_first),
	CHECK_TEST(with_one_replica_left_it_ends_after_a_while_and_says_why),
	CHECK_TEST(a_replica_that_cannot_digest_is_evicted_and_the_others_are_compared),
	CHECK_TEST(the_only_other_one_that_cannot_digest_ends_it_by_name_of_the_reason),
	CHECK_TEST(a_cancelled_one_begins_nothing_new),
	CHECK_TEST(a_detach_does_not_wait_for_it),
	CHECK_TEST(a_volume_attached_anew_in_place_is_compared_to_the_end),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_verify", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
