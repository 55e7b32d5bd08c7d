/* A leg's moves, its backoff and its books. */
#include "gateway/core/leg.h"

#include <string.h>

#include "tests/unit/check.h"

static struct leg leg;

static void the_table_of_moves_is_the_drawing(void)
{
	static const struct {
		enum leg_state from, to;
	} drawn[] = {
		{LEG_DOWN, LEG_CONNECTING},    {LEG_CONNECTING, LEG_HANDSHAKE},
		{LEG_CONNECTING, LEG_CLOSING}, {LEG_CONNECTING, LEG_DOWN},
		{LEG_HANDSHAKE, LEG_VOTING},   {LEG_HANDSHAKE, LEG_CLOSING},
		{LEG_HANDSHAKE, LEG_DOWN},     {LEG_VOTING, LEG_UP},
		{LEG_VOTING, LEG_CLOSING},     {LEG_VOTING, LEG_DOWN},
		{LEG_UP, LEG_CLOSING},	       {LEG_CLOSING, LEG_DOWN},
	};

	for (int from = LEG_DOWN; from <= LEG_VOTING; from++) {
		for (int to = LEG_DOWN; to <= LEG_VOTING; to++) {
			bool expected = false;

			for (size_t i = 0; i < ARRAY_COUNT(drawn); i++)
				expected |= (int)drawn[i].from == from && (int)drawn[i].to == to;
			CHECK_EQ_INT(expected, leg_move_is_allowed((enum leg_state)from, (enum leg_state)to));
		}
	}
	CHECK_FALSE(leg_move_is_allowed((enum leg_state)99, LEG_DOWN));
}

static void a_move_notes_its_time(void)
{
	leg_init(&leg, 3, 1, 0);
	CHECK_EQ_INT(LEG_DOWN, leg.state);
	leg_move(&leg, LEG_CONNECTING, 500);
	CHECK_EQ_INT(LEG_CONNECTING, leg.state);
	CHECK_EQ_U64(500, leg.since_ns);
}

static void a_lost_leg_is_away_since_its_loss_however_often_it_tries(void)
{
	leg_init(&leg, 0, 0, 0);
	leg_move(&leg, LEG_CONNECTING, 100);
	leg_move(&leg, LEG_HANDSHAKE, 110);
	leg_move(&leg, LEG_VOTING, 120);
	CHECK_EQ_U64(120, leg.since_ns);
	leg_move(&leg, LEG_UP, 130);
	CHECK_EQ_U64(130, leg.since_ns);
	leg_move(&leg, LEG_CLOSING, 500);
	CHECK_EQ_U64(500, leg.since_ns);
	for (uint64_t now_ns = 510; now_ns < 600; now_ns += 10) {
		leg_move(&leg, LEG_DOWN, now_ns);
		leg_move(&leg, LEG_CONNECTING, now_ns + 5);
		CHECK_EQ_U64(500, leg.since_ns);
	}
	leg_move(&leg, LEG_HANDSHAKE, 700);
	CHECK_EQ_U64(500, leg.since_ns);
	leg_move(&leg, LEG_VOTING, 710);
	CHECK_EQ_U64(710, leg.since_ns);
}

static void the_pause_doubles_up_to_sixteen_times(void)
{
	static const uint64_t pauses[] = {10, 20, 40, 80, 160, 160, 160};

	leg_init(&leg, 0, 0, 0);
	for (size_t i = 0; i < ARRAY_COUNT(pauses); i++) {
		leg_back_off(&leg, 1000, 10);
		CHECK_EQ_U64(1000 + pauses[i], leg.retry_ns);
	}
}

static void outstanding_bytes_are_counted_by_leg(void)
{
	struct leg_op a, b;

	leg_init(&leg, 0, 0, 0);
	leg_op_init(&a, NULL);
	leg_op_init(&b, NULL);
	leg_op_sent(&leg, LANE_MAIN, &a, 4096, 10);
	leg_op_sent(&leg, LANE_BULK, &b, 65536, 20);
	CHECK_EQ_U64(2, leg.outstanding);
	CHECK_EQ_U64(4096 + 65536, leg.outstanding_bytes);
	leg_op_done(&leg, &a);
	CHECK_EQ_U64(1, leg.outstanding);
	CHECK_EQ_U64(65536, leg.outstanding_bytes);
	CHECK_FALSE(leg_op_is_outstanding(&a));
	CHECK_TRUE(leg_op_any(&leg) == &b);
	leg_op_done(&leg, &b);
	CHECK_NULL(leg_op_any(&leg));
}

static void the_oldest_operation_counts_while_its_bytes_arrive(void)
{
	struct leg_op old, young;

	leg_init(&leg, 0, 0, 0);
	leg_op_init(&old, NULL);
	leg_op_init(&young, NULL);
	CHECK_EQ_U64(0, leg_oldest_age(&leg, 100));
	leg_op_sent(&leg, LANE_BULK, &old, 1, 10);
	leg_op_sent(&leg, LANE_MAIN, &young, 1, 60);
	CHECK_EQ_U64(90, leg_oldest_age(&leg, 100));
	leg_op_arriving(&leg, &old);
	CHECK_EQ_U64(90, leg_oldest_age(&leg, 100));
	leg_op_done(&leg, &old);
	CHECK_EQ_U64(40, leg_oldest_age(&leg, 100));
}

static void only_steps_that_wait_for_the_replica_have_a_deadline(void)
{
	for (int step = STEP_NONE; step <= STEP_JOIN; step++) {
		bool waits_for_others = step == STEP_NONE || step == STEP_PROBED || step == STEP_BLANK;

		CHECK_EQ_INT(!waits_for_others, leg_step_has_deadline((enum leg_step)step));
		CHECK_TRUE(strcmp("?", leg_step_name((enum leg_step)step)) != 0);
	}
}

static void a_long_reason_is_cut(void)
{
	char reason[400];

	memset(reason, 'x', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	leg_init(&leg, 0, 0, 0);
	leg_blame(&leg, reason);
	CHECK_EQ_U64(sizeof(leg.last_error) - 1, strlen(leg.last_error));
}

static const struct check_test tests[] = {
	CHECK_TEST(the_table_of_moves_is_the_drawing),
	CHECK_TEST(a_move_notes_its_time),
	CHECK_TEST(a_lost_leg_is_away_since_its_loss_however_often_it_tries),
	CHECK_TEST(the_pause_doubles_up_to_sixteen_times),
	CHECK_TEST(outstanding_bytes_are_counted_by_leg),
	CHECK_TEST(the_oldest_operation_counts_while_its_bytes_arrive),
	CHECK_TEST(only_steps_that_wait_for_the_replica_have_a_deadline),
	CHECK_TEST(a_long_reason_is_cut),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("leg", tests, argc, argv);
}
