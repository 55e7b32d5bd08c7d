/* What a replica may not say: each such word costs it its connection and nobody anything else (P9). */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

static struct harness h;

static void start(unsigned replicas)
{
	struct volume_spec spec = harness_spec(1, replicas);

	harness_fini(&h);
	harness_init(&h, &spec, NULL);
	harness_attach(&h);
}

/* `reply` breaks leg 0 alone; what was asked is answered properly once it is back. */
static void is_nonsense(enum lane lane, const struct frame *reply, const char *why)
{
	CHECK_ERRNO(-EPROTO, harness_raw_reply(&h, 0, lane, reply));
	CHECK_TRUE(h.lanes[0][lane].is_aborted);
	CHECK_STR_HAS(why, h.lanes[0][lane].reason);
	CHECK_FALSE(h.lanes[1][LANE_MAIN].is_aborted);
	/* Nothing more of that connection is believed. */
	CHECK_ERRNO(-EPROTO, harness_raw_reply(&h, 0, lane, reply));
	harness_pump(&h);
	CHECK_STR_HAS(why, harness_status(&h).legs[0].last_error);
	harness_raise(&h, 0);
	harness_sweep(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
}

/* A write in flight and the good reply of leg 0. */
static struct frame start_write(void)
{
	start(2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	return harness_reply(&h, harness_find(&h, 0, FRAME_WRITE));
}

/* A read in flight from leg 0 and its good reply. */
static struct frame start_read(uint64_t length)
{
	start(2);
	for (unsigned i = 0; i < 100; i++) { /* the replicas take turns, in runs */
		harness_submit(&h, 0, REQUEST_READ, 0, 0, length);
		if (harness_find(&h, 0, FRAME_READ))
			return harness_reply(&h, harness_find(&h, 0, FRAME_READ));
		harness_answer_all(&h);
	}
	CHECK_FAIL("no read of %llu bytes goes to the first replica", (unsigned long long)length);
	return (struct frame){0};
}

static void an_unknown_id_is_nonsense(void)
{
	struct frame reply = start_write();

	reply.id ^= 1ull << 40;
	is_nonsense(LANE_MAIN, &reply, "unknown request");
	reply = start_write();
	reply.id = 0;
	is_nonsense(LANE_MAIN, &reply, "unknown request");
	reply = start_write();
	reply.id = UINT64_MAX;
	is_nonsense(LANE_MAIN, &reply, "unknown request");
	reply = start_write();
	reply.id ^= 3; /* another part of the slot */
	is_nonsense(LANE_MAIN, &reply, "unknown request");
}

static void a_second_acknowledgement_is_nonsense(void)
{
	struct frame reply = start_write();

	CHECK_OK(harness_raw_reply(&h, 0, LANE_MAIN, &reply));
	harness_find(&h, 0, FRAME_WRITE)->is_answered = true;
	is_nonsense(LANE_MAIN, &reply, "a second reply");
}

static void an_acknowledgement_of_a_completed_write_is_nonsense(void)
{
	struct frame reply = start_write();

	harness_answer_all(&h);
	is_nonsense(LANE_MAIN, &reply, "unknown request");
}

static void another_type_is_nonsense(void)
{
	struct frame reply = start_write();

	reply.type = FRAME_FLUSH | FRAME_REPLY;
	is_nonsense(LANE_MAIN, &reply, "another type");
	reply = start_write();
	reply.type = FRAME_WRITE;
	is_nonsense(LANE_MAIN, &reply, "another type");
	reply = start_write();
	reply.type = FRAME_CONTROL;
	is_nonsense(LANE_MAIN, &reply, "another type");
	reply = start_write();
	reply.type = FRAME_READ | FRAME_REPLY;
	reply.length = 4096;
	is_nonsense(LANE_MAIN, &reply, "another type");
}

static void another_epoch_or_session_is_nonsense(void)
{
	struct frame reply = start_write();

	reply.epoch++;
	is_nonsense(LANE_MAIN, &reply, "another session");
	reply = start_write();
	reply.session--;
	is_nonsense(LANE_MAIN, &reply, "another session");
}

static void the_wrong_lane_is_nonsense(void)
{
	struct frame reply = start_write();

	is_nonsense(LANE_BULK, &reply, "wrong lane");
	reply = start_read(MIB);
	is_nonsense(LANE_MAIN, &reply, "wrong lane");
	reply = start_read(4096);
	is_nonsense(LANE_BULK, &reply, "wrong lane");
}

static void more_bytes_than_asked_for_are_nonsense(void)
{
	struct frame reply = start_read(4096);

	reply.length = 4097;
	is_nonsense(LANE_MAIN, &reply, "longer than what was asked for");
	reply = start_read(4096);
	reply.status = WIRE_EIO;
	is_nonsense(LANE_MAIN, &reply, "longer than what was asked for");
	reply = start_write();
	reply.length = 1;
	is_nonsense(LANE_MAIN, &reply, "longer than what was asked for");
}

static void a_bulk_reply_out_of_order_is_nonsense(void)
{
	struct engine_options options = harness_options();
	struct volume_spec spec = harness_spec(1, 1);
	struct frame reply;

	harness_fini(&h);
	harness_init(&h, &spec, &options);
	harness_attach(&h);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, MIB);
	harness_submit(&h, 1, REQUEST_READ, 0, MIB, MIB);
	reply = harness_reply(&h, &h.sent[1]);
	CHECK_ERRNO(-EPROTO, harness_raw_reply(&h, 0, LANE_BULK, &reply));
	CHECK_STR_HAS("out of order", h.lanes[0][LANE_BULK].reason);
	harness_pump(&h);
	harness_raise(&h, 0);
	harness_sweep(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void small_replies_may_come_in_any_order(void)
{
	start(1);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_READ, 0, 4096, 4096);
	harness_answer(&h, &h.sent[1], WIRE_OK);
	CHECK_EQ_U64(1, h.completions[1]);
	harness_answer(&h, &h.sent[0], WIRE_OK);
	CHECK_EQ_U64(0, h.pending);
}

static void a_second_reply_while_the_first_ones_bytes_arrive_is_nonsense(void)
{
	struct frame reply = start_read(4096);

	harness_answer_read(&h, harness_find(&h, 0, FRAME_READ), 4096);
	is_nonsense(LANE_MAIN, &reply, "a second reply");
}

static void a_ping_reply_nobody_asked_for_is_nonsense(void)
{
	struct frame reply = start_write();

	reply.type = FRAME_PING | FRAME_REPLY;
	is_nonsense(LANE_MAIN, &reply, "PING");
}

static void the_answer_to_a_ping_of_the_last_session_is_nonsense(void)
{
	struct frame reply;

	start(2);
	harness_tick(&h, h.options.answer_deadline_ns / 3);
	reply = harness_reply(&h, harness_find(&h, 0, FRAME_PING));
	harness_kill(&h, 0);
	harness_sweep(&h);
	harness_answer_all(&h);
	harness_raise(&h, 0);
	reply.session++;
	is_nonsense(LANE_MAIN, &reply, "PING");
}

static void a_reply_for_another_replicas_read_is_nonsense(void)
{
	struct frame reply;

	start(2);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	while (!harness_find(&h, 1, FRAME_READ)) {
		harness_answer_all(&h);
		harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	}
	reply = harness_reply(&h, harness_find(&h, 1, FRAME_READ));
	is_nonsense(LANE_MAIN, &reply, "a second reply");
}

static void data_frames_before_the_session_are_nonsense(void)
{
	struct volume_spec spec = harness_spec(1, 2);
	struct frame reply = {.type = FRAME_WRITE | FRAME_REPLY};

	harness_fini(&h);
	harness_init(&h, &spec, NULL);
	h.replicas[0].is_silent = true;
	engine_attach(h.engine);
	harness_pump(&h);
	CHECK_ERRNO(-EPROTO, harness_raw_reply(&h, 0, LANE_MAIN, &reply));
	CHECK_TRUE(h.lanes[0][LANE_MAIN].is_aborted);
	harness_pump(&h);
	h.replicas[0].is_silent = false;
	harness_raise(&h, 0);
	CHECK_OK(h.attached_error);
}

static void unexpected_messages_lose_the_connection(void)
{
	static struct message message;

	for (int kind = MESSAGE_HELLO; kind < MESSAGE_KIND_COUNT; kind++) {
		start(2);
		message.kind = (enum message_kind)kind;
		engine_message(h.engine, 0, LANE_MAIN, &message);
		CHECK_TRUE(h.lanes[0][LANE_MAIN].is_aborted);
		harness_pump(&h);
		harness_raise(&h, 0);
		CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	}
}

/* Answers leg 0's `at` with what `bend` makes of the right answer. */
static void bent_answer(enum message_kind at, const struct message *answer, const char *why)
{
	struct volume_spec spec = harness_spec(1, 1);

	harness_fini(&h);
	harness_init(&h, &spec, NULL);
	h.replicas[0].refuse_on = at;
	h.replicas[0].refusal = REFUSAL_LIMIT;
	/* Up to the step, by refusing it; then once more, answered by hand. */
	engine_attach(h.engine);
	harness_pump(&h);
	harness_tick(&h, 1000000000ull);
	for (unsigned i = 0; i < 20; i++) {
		if (h.message_count && h.messages[0].kind == at)
			break;
		h.replicas[0].refuse_on = 0;
		harness_step(&h);
	}
	CHECK_EQ_INT(at, h.messages[0].kind);
	h.message_count = 0;
	engine_message(h.engine, 0, at == MESSAGE_JOIN ? LANE_BULK : LANE_MAIN, answer);
	CHECK_STR_HAS(why, harness_status(&h).legs[0].last_error);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.attached_count);
	harness_raise(&h, 0);
	CHECK_OK(h.attached_error);
}

static void answers_that_do_not_fit_their_question_lose_the_connection(void)
{
	static struct message message;

	message = (struct message){.kind = MESSAGE_STATE, .state = {.incarnation = 1}};
	bent_answer(MESSAGE_PROBE, &message, "of another process");
	message = (struct message){.kind = MESSAGE_STATE, .state = {.promised = {9, 9}}};
	bent_answer(MESSAGE_PROMISE, &message, "promised something else");
	message = (struct message){.kind = MESSAGE_ACCEPTED, .accepted = {.gen = 77}};
	bent_answer(MESSAGE_ACCEPT, &message, "accepted another config");
	message = (struct message){.kind = MESSAGE_OPENED, .opened = {.session = 77}};
	bent_answer(MESSAGE_OPEN, &message, "opened another session");
	message = (struct message){.kind = MESSAGE_JOINED, .opened = {.session = 77}};
	bent_answer(MESSAGE_JOIN, &message, "opened another session");
}

static void answer_at_random(struct check_random *random)
{
	struct engine_options options = harness_options();
	struct volume_spec spec = harness_spec(1, 2);

	options.answer_deadline_ns = UINT64_MAX / 2; /* leg 1 is honest, but slow */
	harness_fini(&h);
	harness_init(&h, &spec, &options);
	harness_attach(&h);
	for (unsigned i = 0; i < 20000; i++) {
		struct frame reply = {0};
		struct read_target target;
		enum lane lane = (enum lane)check_random_below(random, 2);

		if (!h.is_pending[0])
			harness_submit(&h, 0, (enum request_op)check_random_below(random, 2), 0, 0, 4096);
		if (h.sent_count)
			reply = harness_reply(&h, &h.sent[check_random_below(random, h.sent_count)]);
		for (unsigned j = 0; j < 2; j++)
			((uint8_t *)&reply)[check_random_below(random, sizeof(reply))] ^=
				(uint8_t)(1u << check_random_below(random, 8));
		if (engine_reply(h.engine, 0, lane, &reply, &target) == 0 && target.length > 0)
			engine_read_placed(h.engine, 0, lane, target.id);
		harness_pump(&h);
		harness_tick(&h, h.options.reconnect_ns * 16);
		harness_pump(&h);
		if (i % 7 == 0) {
			/* A bent reply may have been accepted: what is still owed comes with a new session; and a
			 * replica that said that its disk failed is started anew. */
			if (strstr(harness_status(&h).legs[0].last_error, "failed"))
				h.replicas[0].incarnation++;
			if (h.lanes[0][LANE_MAIN].state == HARNESS_OPEN)
				harness_break(&h, 0, LANE_MAIN);
			harness_pump(&h);
			harness_raise(&h, 0);
			harness_sweep(&h);
			harness_answer_all(&h);
			CHECK_EQ_U64(0, h.pending);
		}
	}
}

static void random_replies_never_do_more_than_break_their_connection(void)
{
	struct check_random random;

	check_random_init(&random);
	answer_at_random(&random);
}

/* Seeds that failed, by the word for which they did. */
static void replies_that_once_broke_something_break_nothing(void)
{
	/* "Its FLUSH failed", after which a replica is left alone until its server is started anew. */
	static const uint64_t seeds[] = {1795901219131168504u};

	for (size_t i = 0; i < ARRAY_COUNT(seeds); i++)
		answer_at_random(&(struct check_random){seeds[i]});
}

static const struct check_test tests[] = {
	CHECK_TEST(an_unknown_id_is_nonsense),
	CHECK_TEST(a_second_acknowledgement_is_nonsense),
	CHECK_TEST(an_acknowledgement_of_a_completed_write_is_nonsense),
	CHECK_TEST(another_type_is_nonsense),
	CHECK_TEST(another_epoch_or_session_is_nonsense),
	CHECK_TEST(the_wrong_lane_is_nonsense),
	CHECK_TEST(more_bytes_than_asked_for_are_nonsense),
	CHECK_TEST(a_bulk_reply_out_of_order_is_nonsense),
	CHECK_TEST(small_replies_may_come_in_any_order),
	CHECK_TEST(a_second_reply_while_the_first_ones_bytes_arrive_is_nonsense),
	CHECK_TEST(a_ping_reply_nobody_asked_for_is_nonsense),
	CHECK_TEST(the_answer_to_a_ping_of_the_last_session_is_nonsense),
	CHECK_TEST(a_reply_for_another_replicas_read_is_nonsense),
	CHECK_TEST(data_frames_before_the_session_are_nonsense),
	CHECK_TEST(unexpected_messages_lose_the_connection),
	CHECK_TEST(answers_that_do_not_fit_their_question_lose_the_connection),
	CHECK_TEST(replies_that_once_broke_something_break_nothing),
	CHECK_TEST(random_replies_never_do_more_than_break_their_connection),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_hostile", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
