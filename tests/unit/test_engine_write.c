/* WRITE, DISCARD and ZEROES: paths, locks, resends; and every order of events of one write. */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/choices.h"
#include "tests/unit/sample.h"

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

static void answer(unsigned leg, uint8_t type, enum wire_status status)
{
	struct harness_sent *sent = harness_find(&h, leg, type);

	CHECK_NOT_NULL(sent);
	harness_answer(&h, sent, status);
}

static void a_write_completes_when_every_replica_has_acknowledged(void)
{
	start(1, 3);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 8192, 4096);
	CHECK_EQ_U64(3, harness_count(&h, FRAME_WRITE));
	answer(2, FRAME_WRITE, WIRE_OK);
	answer(0, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(1, h.pending);
	answer(1, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
	CHECK_EQ_U64(1, harness_status(&h).write_count);
	CHECK_EQ_U64(4096, harness_status(&h).write_bytes);
}

static void the_only_write_outstanding_is_due_an_answer_from_each_replica(void)
{
	start(1, 3);
	CHECK_EQ_U64(1, engine_answers_due(h.engine));
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	CHECK_EQ_U64(3, engine_answers_due(h.engine));
	harness_submit(&h, 1, REQUEST_READ, 0, 8192, 4096);
	CHECK_EQ_U64(1, engine_answers_due(h.engine));
	harness_answer_all(&h);
	harness_submit(&h, 1, REQUEST_READ, 0, 8192, 4096);
	CHECK_EQ_U64(1, engine_answers_due(h.engine)); /* one replica serves it */
	harness_answer_all(&h);
	CHECK_EQ_U64(1, engine_answers_due(h.engine));
}

static void a_write_carries_epoch_session_gen_and_number(void)
{
	struct harness_sent *sent;

	start(1, 2);
	harness_submit(&h, 5, REQUEST_WRITE, REQUEST_F_FUA, 8192, 4096);
	sent = harness_find(&h, 1, FRAME_WRITE);
	CHECK_EQ_U64(1, sent->frame.epoch);
	CHECK_EQ_U64(1, sent->frame.session);
	CHECK_EQ_U64(2, sent->frame.gen);
	CHECK_EQ_U64(1, sent->frame.wseq);
	CHECK_EQ_U64(0, sent->frame.stable_upto);
	CHECK_EQ_U64(8192, sent->frame.offset);
	CHECK_EQ_U64(4096, sent->frame.length);
	CHECK_EQ_U64(FRAME_F_FUA, sent->frame.flags);
	CHECK_EQ_U64(5, sent->slot);
	harness_answer_all(&h);
}

static enum write_path path_of(uint64_t length, unsigned flags)
{
	enum write_path path;

	harness_submit(&h, 0, REQUEST_WRITE, flags, 0, length);
	path = harness_find(&h, 0, FRAME_WRITE)->path;
	harness_answer_all(&h);
	return path;
}

static void the_path_follows_size_and_meta(void)
{
	struct engine_options options = harness_options();

	start(1, 2);
	CHECK_EQ_INT(WRITE_GATHER, path_of(BULK_MIN_BYTES_DEFAULT, 0));
	CHECK_EQ_INT(WRITE_BULK, path_of(BULK_MIN_BYTES_DEFAULT + 4096, 0));
	CHECK_EQ_INT(WRITE_GATHER, path_of(4096, REQUEST_F_META));
	CHECK_EQ_INT(WRITE_BULK_COPY, path_of(MIB, REQUEST_F_META));
	options.bulk_min_bytes = 0;
	start_with(1, 2, &options);
	CHECK_EQ_INT(WRITE_BULK, path_of(4096, 0));
	CHECK_EQ_INT(WRITE_BULK_COPY, path_of(4096, REQUEST_F_META));
}

static void a_request_over_chunks_goes_to_all_its_sets_from_one_buffer(void)
{
	struct harness_sent *sent;

	start(2, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, MIB - 4096, MIB);
	sent = harness_find(&h, 0, FRAME_WRITE);
	CHECK_EQ_U64(MIB - 4096, sent->frame.offset);
	CHECK_EQ_U64(4096, sent->frame.length);
	CHECK_EQ_U64(0, sent->buf_offset);
	sent = harness_find(&h, 3, FRAME_WRITE);
	CHECK_EQ_U64(0, sent->frame.offset);
	CHECK_EQ_U64(MIB - 4096, sent->frame.length);
	CHECK_EQ_U64(4096, sent->buf_offset);
	CHECK_EQ_U64(1, sent->frame.wseq);
	answer(0, FRAME_WRITE, WIRE_OK);
	answer(1, FRAME_WRITE, WIRE_OK);
	answer(2, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(1, h.pending);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

/* R11: a recovered device issues it again as a whole; nobody may have written over a part of it by then. */
static void a_write_keeps_all_its_ranges_until_its_last_part_is_done(void)
{
	start(2, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, MIB - 4096, 8192);
	answer(0, FRAME_WRITE, WIRE_OK);
	answer(1, FRAME_WRITE, WIRE_OK);
	harness_submit(&h, 1, REQUEST_WRITE, 0, MIB - 4096, 4096);
	CHECK_NULL(harness_find(&h, 0, FRAME_WRITE));
	answer(2, FRAME_WRITE, WIRE_OK);
	answer(3, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(1, h.completions[0]);
	CHECK_NOT_NULL(harness_find(&h, 0, FRAME_WRITE));
}

static void overlapping_writes_go_one_after_the_other(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 8192);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 4096, 8192);
	harness_submit(&h, 2, REQUEST_READ, 0, 8192, 4096);
	harness_submit(&h, 3, REQUEST_WRITE, 0, 12288, 4096);
	CHECK_EQ_U64(4, harness_count(&h, FRAME_WRITE));
	answer(0, FRAME_WRITE, WIRE_OK);
	answer(1, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(1, h.completions[0]);
	CHECK_EQ_U64(4, harness_count(&h, FRAME_WRITE));
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void discard_and_zeroes_are_one_frame_a_set(void)
{
	struct harness_sent *sent;

	start(2, 2);
	harness_submit(&h, 0, REQUEST_DISCARD, 0, MIB, 6 * MIB);
	CHECK_EQ_U64(4, harness_count(&h, FRAME_DISCARD));
	sent = harness_find(&h, 0, FRAME_DISCARD);
	CHECK_EQ_U64(MIB, sent->frame.offset);
	CHECK_EQ_U64(3 * MIB, sent->frame.length);
	CHECK_EQ_U64(1, sent->frame.wseq);
	harness_submit(&h, 1, REQUEST_ZEROES, REQUEST_F_NO_UNMAP | REQUEST_F_FUA, 0, 4096);
	sent = harness_find(&h, 1, FRAME_ZEROES);
	CHECK_EQ_U64(FRAME_F_NO_UNMAP | FRAME_F_FUA, sent->frame.flags);
	CHECK_EQ_U64(2, sent->frame.wseq);
	harness_submit(&h, 2, REQUEST_DISCARD, 0, 0, 16 * MIB);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_U64(2, harness_status(&h).discard_count);
	CHECK_EQ_U64(1, harness_status(&h).zeroes_count);
}

static void bad_requests_are_refused_at_once(void)
{
	static const struct {
		enum request_op op;
		uint64_t offset, length;
	} bad[] = {
		{REQUEST_WRITE, 0, 0},
		{REQUEST_WRITE, 512, 4096},
		{REQUEST_WRITE, 0, 512},
		{REQUEST_WRITE, 8 * MIB, 4096},
		{REQUEST_READ, 8 * MIB - 4096, 8192},
		{REQUEST_READ, UINT64_MAX - 4095, 4096},
		{REQUEST_READ, 4096, UINT64_MAX - 4095},
		{REQUEST_WRITE, 0, MIB + 4096},
		{REQUEST_FLUSH, 4096, 0},
		{REQUEST_DISCARD, 0, 8 * MIB + 4096},
		{(enum request_op)17, 0, 4096},
	};

	start(1, 2);
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		harness_submit(&h, 0, bad[i].op, 0, bad[i].offset, bad[i].length);
		CHECK_EQ_U64(0, h.pending);
		CHECK_ERRNO(-EINVAL, h.errors[0]);
	}
	CHECK_EQ_U64(0, h.sent_count);
	CHECK_EQ_U64(ARRAY_COUNT(bad), harness_status(&h).failed_requests);
}

static void what_a_lost_replica_has_not_acknowledged_is_sent_again_in_order(void)
{
	struct harness_sent *sent;

	start(1, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 4096, 4096);
	harness_submit(&h, 2, REQUEST_DISCARD, 0, 8192, 4096);
	answer(1, FRAME_WRITE, WIRE_OK);
	harness_kill(&h, 1);
	harness_sweep(&h);
	harness_submit(&h, 3, REQUEST_WRITE, 0, 12288, 4096);
	/* It goes to the one that is left: to be required less needs a majority, to be sent does not. */
	CHECK_EQ_U64(3, harness_count(&h, FRAME_WRITE));
	harness_raise(&h, 1);
	/* Evicted and being taken back: everything in flight, what it had acknowledged included. */
	sent = harness_find(&h, 1, FRAME_WRITE);
	CHECK_EQ_U64(1, sent->frame.wseq);
	CHECK_EQ_U64(2, sent->frame.session);
	CHECK_EQ_U64(3, harness_find(&h, 1, FRAME_DISCARD)->frame.wseq);
	CHECK_EQ_U64(4, harness_status(&h).resent_writes);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void a_restarted_machine_gets_back_what_it_acknowledged_and_nobody_completed(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	answer(1, FRAME_WRITE, WIRE_OK);
	harness_kill(&h, 1);
	harness_sweep(&h);
	h.replicas[1].incarnation++;
	h.replicas[1].boot_id = sample_uuid(200);
	harness_raise(&h, 1);
	CHECK_EQ_U64(1, harness_find(&h, 1, FRAME_WRITE)->frame.wseq);
	answer(0, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(1, h.pending);
	answer(1, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(0, h.pending);
}

static void the_last_replica_that_lost_completed_writes_fails_the_volume(void)
{
	start(1, 1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_kill(&h, 0);
	h.replicas[0].incarnation++;
	h.replicas[0].boot_id = sample_uuid(200);
	h.replicas[0].is_reachable = true;
	harness_tick(&h, 2000000000ull);
	harness_pump(&h);
	CHECK_EQ_INT(VOLUME_FAILED, harness_status(&h).state);
	CHECK_STR_HAS("replica r0 (10.0.0.1:7420), the last one in sync, restarted its machine",
		      harness_status(&h).reason);
	CHECK_STR("", harness_status(&h).waits_for);
	CHECK_EQ_U64(1, h.event_count[EVENT_FAILED]);
	CHECK_EQ_U64(1, h.event_count[EVENT_LOSS_RECORDED]);
	CHECK_EQ_U64(1, h.replicas[0].session);
}

static void a_restarted_machine_with_everything_flushed_goes_on(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	harness_answer_all(&h);
	harness_kill(&h, 1);
	h.replicas[1].boot_id = sample_uuid(200);
	harness_raise(&h, 1);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
}

static void a_flush_does_not_cover_what_completed_after_it(void)
{
	start(1, 1);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	harness_answer_all(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_kill(&h, 0);
	h.replicas[0].boot_id = sample_uuid(200);
	h.replicas[0].is_reachable = true;
	harness_tick(&h, 2000000000ull);
	harness_pump(&h);
	CHECK_EQ_INT(VOLUME_FAILED, harness_status(&h).state);
}

static void a_restarted_server_on_the_same_boot_goes_on(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_kill(&h, 1);
	h.replicas[1].incarnation = 4242;
	harness_raise(&h, 1);
	CHECK_EQ_U64(4242, harness_status(&h).legs[1].incarnation);
}

static void a_replica_that_does_not_answer_is_lost_after_the_deadline(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	answer(0, FRAME_WRITE, WIRE_OK);
	harness_tick(&h, h.options.answer_deadline_ns);
	CHECK_FALSE(h.lanes[1][LANE_MAIN].is_aborted);
	harness_tick(&h, 1);
	CHECK_TRUE(h.lanes[1][LANE_MAIN].is_aborted);
	CHECK_FALSE(h.lanes[0][LANE_MAIN].is_aborted);
}

/* ---- every order of events of one write ---- */

enum event_kind { HAPPENS_RELEASE, HAPPENS_ACK, HAPPENS_ERROR, HAPPENS_DOWN, HAPPENS_UP };

struct event {
	enum event_kind kind;
	unsigned leg;
	unsigned sent;
};

/* What a run expects, kept beside the engine. */
static struct {
	unsigned legs, downs_left, errors_left;
	bool answered[3], up[3], failed;
} expected;

static bool nothing_is_borrowed(void)
{
	for (unsigned i = 0; i < h.sent_count; i++) {
		if (h.sent[i].is_borrowed)
			return false;
	}
	return true;
}

static void check_completion(unsigned slot)
{
	bool is_due = h.options.memory_is_pinned || nothing_is_borrowed();

	for (unsigned i = 0; i < expected.legs; i++)
		is_due &= expected.answered[i];
	CHECK_EQ_INT(!is_due, h.is_pending[slot]);
	if (is_due)
		CHECK_ERRNO(expected.failed ? -EIO : 0, h.errors[slot]);
}

static unsigned possible_events(struct event events[32])
{
	unsigned count = 0;

	for (unsigned i = 0; i < h.sent_count; i++) {
		const struct harness_sent *sent = &h.sent[i];

		if (sent->is_borrowed)
			events[count++] = (struct event){HAPPENS_RELEASE, sent->leg, i};
		if (!sent->is_answered)
			events[count++] = (struct event){HAPPENS_ACK, sent->leg, i};
		if (!sent->is_answered && expected.errors_left)
			events[count++] = (struct event){HAPPENS_ERROR, sent->leg, i};
	}
	for (unsigned leg = 0; leg < expected.legs; leg++) {
		if (!expected.up[leg])
			events[count++] = (struct event){HAPPENS_UP, leg, 0};
		else if (expected.downs_left && h.pending) /* what can happen to legs ends with the write */
			events[count++] = (struct event){HAPPENS_DOWN, leg, 0};
	}
	return count;
}

static void play(const struct event *event)
{
	switch (event->kind) {
	case HAPPENS_RELEASE:
		harness_release(&h, &h.sent[event->sent]);
		break;
	case HAPPENS_ACK:
		expected.answered[event->leg] = true;
		harness_answer(&h, &h.sent[event->sent], WIRE_OK);
		break;
	case HAPPENS_ERROR:
		expected.answered[event->leg] = expected.failed = true;
		expected.errors_left--;
		harness_answer(&h, &h.sent[event->sent], WIRE_EIO);
		break;
	case HAPPENS_DOWN:
		expected.up[event->leg] = false;
		expected.downs_left--;
		harness_kill(&h, event->leg);
		break;
	case HAPPENS_UP:
		expected.up[event->leg] = true;
		harness_raise(&h, event->leg);
		break;
	}
	harness_sweep(&h);
}

/* One run: the write, all its events in the chosen order, and proof that nothing of it is left behind. */
static void run_one_order(unsigned slot)
{
	struct event events[32];
	unsigned count, completions = h.completions[slot];

	harness_submit(&h, slot, REQUEST_WRITE, 0, 0, MIB);
	check_completion(slot);
	while ((count = possible_events(events)) > 0) {
		play(&events[choices_take(count)]);
		check_completion(slot);
	}
	CHECK_EQ_U64(completions + 1, h.completions[slot]);
	/* A second write of the same range finds the lock free. */
	harness_submit(&h, slot, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(completions + 2, h.completions[slot]);
	CHECK_OK(h.errors[slot]);
	CHECK_EQ_U64(0, harness_status(&h).outstanding);
	for (unsigned leg = 0; leg < expected.legs; leg++)
		CHECK_EQ_U64(0, harness_status(&h).legs[leg].outstanding_bytes);
}

static uint64_t run_all_orders(unsigned legs, unsigned downs, unsigned errors, bool is_pinned)
{
	struct engine_options options = harness_options();
	uint64_t runs = 0;

	options.memory_is_pinned = is_pinned;
	options.sync_interval_ns = UINT64_MAX; /* no SYNC among the frames */
	options.answer_deadline_ns = UINT64_MAX / 2;
	start_with(1, legs, &options);
	choices_start();
	do {
		memset(&expected, 0, sizeof(expected));
		expected.legs = legs;
		expected.downs_left = downs;
		expected.errors_left = errors;
		memset(expected.up, true, sizeof(expected.up));
		run_one_order((unsigned)(runs % h.options.queue_depth));
		runs++;
	} while (choices_next());
	return runs;
}

static void every_order_of_events_completes_a_write_exactly_once(void)
{
	static const struct {
		unsigned legs, downs, errors;
	} worlds[] = {{1, 3, 2}, {2, 0, 0}, {3, 0, 0}};

	for (size_t i = 0; i < ARRAY_COUNT(worlds); i++) {
		for (int is_pinned = 0; is_pinned < 2; is_pinned++) {
			uint64_t runs = run_all_orders(worlds[i].legs, worlds[i].downs, worlds[i].errors, is_pinned);

			printf("%u legs, %u losses, %u errors, %s: %llu orders\n", worlds[i].legs, worlds[i].downs,
			       worlds[i].errors, is_pinned ? "pinned" : "not pinned", (unsigned long long)runs);
			CHECK_TRUE(runs > 10);
		}
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(a_write_completes_when_every_replica_has_acknowledged),
	CHECK_TEST(the_only_write_outstanding_is_due_an_answer_from_each_replica),
	CHECK_TEST(a_write_carries_epoch_session_gen_and_number),
	CHECK_TEST(the_path_follows_size_and_meta),
	CHECK_TEST(a_request_over_chunks_goes_to_all_its_sets_from_one_buffer),
	CHECK_TEST(a_write_keeps_all_its_ranges_until_its_last_part_is_done),
	CHECK_TEST(overlapping_writes_go_one_after_the_other),
	CHECK_TEST(discard_and_zeroes_are_one_frame_a_set),
	CHECK_TEST(bad_requests_are_refused_at_once),
	CHECK_TEST(what_a_lost_replica_has_not_acknowledged_is_sent_again_in_order),
	CHECK_TEST(a_restarted_machine_gets_back_what_it_acknowledged_and_nobody_completed),
	CHECK_TEST(the_last_replica_that_lost_completed_writes_fails_the_volume),
	CHECK_TEST(a_restarted_machine_with_everything_flushed_goes_on),
	CHECK_TEST(a_flush_does_not_cover_what_completed_after_it),
	CHECK_TEST(a_restarted_server_on_the_same_boot_goes_on),
	CHECK_TEST(a_replica_that_does_not_answer_is_lost_after_the_deadline),
	CHECK_TEST(every_order_of_events_completes_a_write_exactly_once),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_write", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
