/* READ: which replica, which lane, failover, short answers; and every order of what the replicas may do to one read. */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/choices.h"

static struct harness h;

static void start_with(unsigned sets, unsigned replicas, const struct engine_options *options)
{
	struct volume_spec spec = harness_spec(sets, replicas);

	harness_fini(&h);
	harness_init(&h, &spec, options);
	harness_attach(&h);
}

static void start(unsigned sets, unsigned replicas)
{
	start_with(sets, replicas, NULL);
}

static struct harness_sent *only_read(void)
{
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	for (unsigned leg = 0; leg < volume_leg_count(&h.spec); leg++) {
		if (harness_find(&h, leg, FRAME_READ))
			return harness_find(&h, leg, FRAME_READ);
	}
	return NULL;
}

static void a_read_asks_one_replica_and_completes_when_its_bytes_are_in_place(void)
{
	struct harness_sent *sent;

	start(1, 3);
	harness_submit(&h, 7, REQUEST_READ, 0, 8192, 4096);
	sent = only_read();
	CHECK_EQ_U64(8192, sent->frame.offset);
	CHECK_EQ_U64(0, sent->frame.gen);
	harness_answer_read(&h, sent, 4096);
	CHECK_EQ_U64(7, sent->target.slot);
	CHECK_EQ_U64(0, sent->target.buf_offset);
	CHECK_EQ_U64(1, h.pending);
	harness_place(&h, sent);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[7]);
	CHECK_EQ_U64(4096, harness_status(&h).read_bytes);
}

static enum lane lane_of_read(uint64_t length)
{
	enum lane lane;

	harness_submit(&h, 0, REQUEST_READ, 0, 0, length);
	lane = only_read()->lane;
	harness_answer_all(&h);
	return lane;
}

static void large_reads_take_the_bulk_lane(void)
{
	struct engine_options options = harness_options();

	start(1, 1);
	CHECK_EQ_INT(LANE_MAIN, lane_of_read(BULK_MIN_BYTES_DEFAULT));
	CHECK_EQ_INT(LANE_BULK, lane_of_read(BULK_MIN_BYTES_DEFAULT + 4096));
	options.bulk_min_bytes = 0;
	start_with(1, 1, &options);
	CHECK_EQ_INT(LANE_BULK, lane_of_read(4096));
}

static void a_read_over_chunks_fills_one_buffer_from_several_sets(void)
{
	struct harness_sent *second;

	start(2, 2);
	harness_submit(&h, 0, REQUEST_READ, 0, MIB - 4096, 8192);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_READ));
	second = harness_find(&h, 2, FRAME_READ) ? harness_find(&h, 2, FRAME_READ) : harness_find(&h, 3, FRAME_READ);
	harness_answer_read(&h, second, 4096);
	CHECK_EQ_U64(4096, second->target.buf_offset);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void reads_stay_on_one_replica_in_runs(void)
{
	struct engine_options options = harness_options();
	unsigned last = 99, changes = 0, per_leg[3] = {0};

	options.read_run = 4;
	start_with(1, 3, &options);
	for (unsigned i = 0; i < 24; i++) {
		struct harness_sent *sent;

		harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
		sent = only_read();
		changes += sent->leg != last;
		last = sent->leg;
		per_leg[last]++;
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(6, changes);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ_U64(8, per_leg[i]);
}

static void large_reads_are_shared_out_whatever_the_run(void)
{
	struct engine_options options = harness_options();

	options.read_run = 1000;
	start_with(1, 2, &options);
	/* A run of small ones is on its way: it is neither joined nor ended. */
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	unsigned run_leg = only_read()->leg;

	for (unsigned slot = 1; slot < 5; slot++)
		harness_submit(&h, slot, REQUEST_READ, 0, slot * 262144ull, 262144);
	CHECK_EQ_U64(2 * 262144ull + (run_leg == 0 ? 4096 : 0), harness_status(&h).legs[0].outstanding_bytes);
	CHECK_EQ_U64(2 * 262144ull + (run_leg == 1 ? 4096 : 0), harness_status(&h).legs[1].outstanding_bytes);
	harness_answer_all(&h);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	CHECK_EQ_U64(run_leg, only_read()->leg);
	harness_answer_all(&h);
}

static void the_next_run_goes_to_the_replica_with_least_outstanding_bytes(void)
{
	struct engine_options options = harness_options();

	options.read_run = 1;
	start_with(1, 3, &options);
	/* All three are asked in turn; the one that answers first is the next. */
	for (unsigned slot = 0; slot < 3; slot++)
		harness_submit(&h, slot, REQUEST_READ, 0, slot * 65536, 65536);
	for (unsigned leg = 0; leg < 3; leg++)
		CHECK_NOT_NULL(harness_find(&h, leg, FRAME_READ));
	CHECK_EQ_U64(65536, harness_status(&h).legs[2].outstanding_bytes);
	harness_answer(&h, harness_find(&h, 2, FRAME_READ), WIRE_OK);
	harness_submit(&h, 5, REQUEST_READ, 0, 4 * 65536, 4096);
	CHECK_NOT_NULL(harness_find(&h, 2, FRAME_READ));
	harness_answer_all(&h);
}

static void a_short_answer_is_filled_with_zeros_before_completion(void)
{
	static const uint32_t lengths[] = {0, 1, 100, 4095};

	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		struct harness_sent *sent;

		start(1, 2);
		harness_submit(&h, 3, REQUEST_READ, 0, 0, 4096);
		sent = only_read();
		harness_answer_read(&h, sent, lengths[i]);
		if (lengths[i] > 0)
			harness_place(&h, sent);
		CHECK_EQ_U64(1, h.pending);
		CHECK_EQ_U64(1, h.zero_count);
		CHECK_EQ_U64(3, h.zeros[0].slot);
		CHECK_EQ_U64(lengths[i], h.zeros[0].buf_offset);
		CHECK_EQ_U64(4096 - lengths[i], h.zeros[0].length);
		harness_zero(&h, 0);
		CHECK_EQ_U64(0, h.pending);
		CHECK_OK(h.errors[3]);
		CHECK_EQ_U64(1, harness_status(&h).short_reads);
		CHECK_EQ_U64(4096 - lengths[i], harness_status(&h).zeroed_bytes);
	}
}

static void zeros_that_cannot_be_written_fail_the_read(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_answer_read(&h, only_read(), 0);
	harness_zero(&h, -ENOMEM);
	CHECK_ERRNO(-EIO, h.errors[0]);
}

static void an_error_goes_to_the_application_only_when_all_replicas_failed(void)
{
	start(1, 3);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ_U64(1, h.pending);
		harness_answer(&h, only_read(), WIRE_EIO);
	}
	CHECK_EQ_U64(0, h.pending);
	CHECK_ERRNO(-EIO, h.errors[0]);
	CHECK_EQ_U64(2, harness_status(&h).reissued_reads);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_answer(&h, only_read(), WIRE_EIO);
	harness_answer(&h, only_read(), WIRE_OK);
	CHECK_OK(h.errors[0]);
}

static void a_lost_replicas_reads_go_to_another_after_both_connections_are_closed(void)
{
	unsigned first;

	start(1, 2);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, MIB);
	first = only_read()->leg;
	harness_answer_read(&h, only_read(), MIB);
	harness_break(&h, first, LANE_BULK);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	h.replicas[first].is_reachable = false;
	harness_pump(&h);
	CHECK_EQ_U64(1 - first, only_read()->leg);
	CHECK_EQ_U64(1, harness_status(&h).reissued_reads);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
}

static void new_reads_go_to_who_is_left_while_the_lease_holds(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_answer_all(&h);
	harness_kill(&h, 0);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	CHECK_EQ_U64(1, only_read()->leg);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	/* Neither a majority nor every member answers any more: a successor could serve. */
	harness_tick(&h, LEASE_MS * 1000000ull);
	harness_pump(&h);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	harness_raise(&h, 0);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void a_set_that_is_whole_serves_while_another_waits(void)
{
	start(2, 2);
	harness_kill(&h, 0);
	harness_submit(&h, 0, REQUEST_READ, 0, MIB, 4096);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void a_read_of_the_only_replica_waits_for_its_return(void)
{
	start(1, 1);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_kill(&h, 0);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	CHECK_EQ_U64(1, h.pending);
	harness_raise(&h, 0);
	CHECK_EQ_U64(2, only_read()->frame.session);
	harness_answer_all(&h);
	CHECK_OK(h.errors[0]);
}

static void a_write_waits_for_a_read_that_is_asked_again(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 0, 4096);
	harness_kill(&h, only_read()->leg);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	CHECK_EQ_U64(0, harness_count(&h, FRAME_WRITE));
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending); /* the write, until the set is whole */
}

static void bytes_that_do_not_arrive_lose_the_replica_after_the_deadline(void)
{
	struct harness_sent *sent;

	start(1, 2);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, MIB);
	sent = only_read();
	harness_answer_read(&h, sent, MIB);
	harness_tick(&h, h.options.answer_deadline_ns + 1);
	CHECK_TRUE(h.lanes[sent->leg][LANE_BULK].is_aborted);
	harness_pump(&h);
	harness_tick(&h, h.options.reconnect_ns);
	harness_pump(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

/* ---- every order of what may happen to one read ---- */

static struct {
	unsigned legs, downs_left, errors_left;
	unsigned first; /* the replica asked first: choices count from there, for every run to see the same */
	bool up[3];
} world;

enum event_kind {
	HAPPENS_WHOLE,
	HAPPENS_SHORT,
	HAPPENS_EMPTY,
	HAPPENS_ERROR,
	HAPPENS_PLACED,
	HAPPENS_ZEROED,
	HAPPENS_DOWN,
	HAPPENS_UP
};

struct event {
	enum event_kind kind;
	unsigned leg, sent;
};

static unsigned possible_events(struct event events[16])
{
	unsigned count = 0;

	for (unsigned i = 0; i < h.sent_count; i++) {
		const struct harness_sent *sent = &h.sent[i];

		if (sent->is_arriving)
			events[count++] = (struct event){HAPPENS_PLACED, sent->leg, i};
		if (sent->is_answered)
			continue;
		events[count++] = (struct event){HAPPENS_WHOLE, sent->leg, i};
		events[count++] = (struct event){HAPPENS_SHORT, sent->leg, i};
		events[count++] = (struct event){HAPPENS_EMPTY, sent->leg, i};
		if (world.errors_left)
			events[count++] = (struct event){HAPPENS_ERROR, sent->leg, i};
	}
	if (h.zero_count)
		events[count++] = (struct event){HAPPENS_ZEROED, 0, 0};
	for (unsigned i = 0; i < world.legs; i++) {
		unsigned leg = (world.first + i) % world.legs;

		if (!world.up[leg])
			events[count++] = (struct event){HAPPENS_UP, leg, 0};
		else if (world.downs_left && h.pending)
			events[count++] = (struct event){HAPPENS_DOWN, leg, 0};
	}
	return count;
}

static void play(const struct event *event)
{
	struct harness_sent *sent = &h.sent[event->sent];

	switch (event->kind) {
	case HAPPENS_WHOLE:
		harness_answer_read(&h, sent, sent->frame.length);
		break;
	case HAPPENS_SHORT:
		harness_answer_read(&h, sent, 100);
		break;
	case HAPPENS_EMPTY:
		harness_answer_read(&h, sent, 0);
		break;
	case HAPPENS_ERROR:
		world.errors_left--;
		harness_answer(&h, sent, WIRE_EIO);
		break;
	case HAPPENS_PLACED:
		harness_place(&h, sent);
		break;
	case HAPPENS_ZEROED:
		harness_zero(&h, 0);
		break;
	case HAPPENS_DOWN:
		world.up[event->leg] = false;
		world.downs_left--;
		harness_kill(&h, event->leg);
		break;
	case HAPPENS_UP:
		world.up[event->leg] = true;
		harness_raise(&h, event->leg);
		break;
	}
	harness_sweep(&h);
}

/* At most one replica is asked at a time, and a completed read leaves nothing behind that could touch its memory. */
static void check_read(unsigned slot)
{
	unsigned active = h.zero_count;

	for (unsigned i = 0; i < h.sent_count; i++)
		active += !h.sent[i].is_answered || h.sent[i].is_arriving;
	CHECK_TRUE(active <= 1);
	if (!h.is_pending[slot])
		CHECK_EQ_U64(0, active);
}

static void run_one_order(unsigned slot, unsigned errors)
{
	struct event events[16];
	unsigned count, completions = h.completions[slot];

	harness_submit(&h, slot, REQUEST_READ, 0, 0, MIB);
	check_read(slot);
	world.first = only_read()->leg;
	while ((count = possible_events(events)) > 0) {
		play(&events[choices_take(count)]);
		check_read(slot);
	}
	CHECK_EQ_U64(completions + 1, h.completions[slot]);
	/* As many errors as replicas: all failed. */
	if (errors - world.errors_left < world.legs)
		CHECK_OK(h.errors[slot]);
	else
		CHECK_ERRNO(-EIO, h.errors[slot]);
	harness_submit(&h, slot, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_OK(h.errors[slot]);
}

static uint64_t run_all_orders(unsigned legs, unsigned downs, unsigned errors)
{
	struct engine_options options = harness_options();
	uint64_t runs = 0;

	options.sync_interval_ns = UINT64_MAX;
	options.answer_deadline_ns = UINT64_MAX / 2;
	options.read_run = 1;
	start_with(1, legs, &options);
	choices_start();
	do {
		world.legs = legs;
		world.downs_left = downs;
		world.errors_left = errors;
		memset(world.up, true, sizeof(world.up));
		run_one_order((unsigned)(runs % h.options.queue_depth), errors);
		runs++;
	} while (choices_next());
	return runs;
}

static void every_order_of_events_completes_a_read_exactly_once(void)
{
	for (unsigned legs = 1; legs <= 3; legs++) {
		uint64_t runs = run_all_orders(legs, legs < 2 ? 3 : 0, legs);

		printf("%u legs: %llu orders\n", legs, (unsigned long long)runs);
		CHECK_TRUE(runs > 5);
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(a_read_asks_one_replica_and_completes_when_its_bytes_are_in_place),
	CHECK_TEST(large_reads_take_the_bulk_lane),
	CHECK_TEST(a_read_over_chunks_fills_one_buffer_from_several_sets),
	CHECK_TEST(reads_stay_on_one_replica_in_runs),
	CHECK_TEST(large_reads_are_shared_out_whatever_the_run),
	CHECK_TEST(the_next_run_goes_to_the_replica_with_least_outstanding_bytes),
	CHECK_TEST(a_short_answer_is_filled_with_zeros_before_completion),
	CHECK_TEST(zeros_that_cannot_be_written_fail_the_read),
	CHECK_TEST(an_error_goes_to_the_application_only_when_all_replicas_failed),
	CHECK_TEST(a_lost_replicas_reads_go_to_another_after_both_connections_are_closed),
	CHECK_TEST(new_reads_go_to_who_is_left_while_the_lease_holds),
	CHECK_TEST(a_set_that_is_whole_serves_while_another_waits),
	CHECK_TEST(a_read_of_the_only_replica_waits_for_its_return),
	CHECK_TEST(a_write_waits_for_a_read_that_is_asked_again),
	CHECK_TEST(bytes_that_do_not_arrive_lose_the_replica_after_the_deadline),
	CHECK_TEST(every_order_of_events_completes_a_read_exactly_once),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_read", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
