/* Attach: the way to serving, its barriers, its refusals, reconnects, detach. */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static struct harness h;

static void start(unsigned sets, unsigned replicas)
{
	struct volume_spec spec = harness_spec(sets, replicas);

	harness_fini(&h);
	harness_init(&h, &spec, NULL);
}

static void all_replicas_promise_store_and_open_before_anything_is_served(void)
{
	struct engine_status status;

	start(2, 3);
	h.replicas[1].promised = (struct ballot){41, 5};
	h.replicas[4].config.gen = 9;
	harness_attach(&h);
	status = harness_status(&h);
	CHECK_EQ_INT(VOLUME_SERVING, status.state);
	CHECK_EQ_U64(42, status.epoch);
	CHECK_STR("", status.waits_for);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ_INT(LEG_UP, status.legs[i].state);
		CHECK_EQ_U64(42, h.replicas[i].promised.epoch);
		CHECK_EQ_U64(77, h.replicas[i].promised.nonce);
		CHECK_EQ_U64(i < 3 ? 2 : 10, h.replicas[i].config.gen);
		CHECK_EQ_U64(42, h.replicas[i].config.ballot.epoch);
		CHECK_EQ_U64(1, h.replicas[i].session);
	}
	CHECK_EQ_U64(100, h.replicas[2].config.voters[0].incarnation);
	CHECK_EQ_U64(2, h.replicas[2].config.voters[1].in_sync_gen);
}

static void nobody_is_fenced_while_no_majority_can_be_reached(void)
{
	start(1, 2);
	h.replicas[1].is_reachable = false;
	engine_attach(h.engine);
	for (unsigned i = 0; i < 50; i++) {
		harness_tick(&h, 100000000);
		harness_pump(&h);
	}
	CHECK_EQ_U64(0, h.attached_count);
	CHECK_EQ_U64(0, h.replicas[0].promised.epoch);
	CHECK_STR("r1 (10.0.0.2:7420)", harness_status(&h).waits_for);
	CHECK_STR_HAS("ECONNREFUSED", harness_status(&h).legs[1].last_error);
	harness_raise(&h, 1);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_OK(h.attached_error);
}

static void a_config_that_only_one_replica_stored_is_adopted_for_all(void)
{
	start(1, 2);
	h.replicas[1].config.ballot = (struct ballot){7, 8};
	h.replicas[1].config.gen = 3;
	h.replicas[1].config.loss_count = 4;
	h.replicas[1].promised = (struct ballot){7, 8};
	h.replicas[0].promised = (struct ballot){7, 8};
	harness_attach(&h);
	CHECK_EQ_U64(8, h.replicas[0].config.ballot.epoch);
	CHECK_EQ_U64(4, h.replicas[0].config.gen);
	CHECK_EQ_U64(4, h.replicas[0].config.loss_count);
}

static void requests_before_attached_wait_and_are_not_lost(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_READ, 0, 0, 4096);
	harness_submit(&h, 2, REQUEST_FLUSH, 0, 0, 0);
	CHECK_EQ_U64(0, h.sent_count);
	harness_attach(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[1]);
}

static void a_connection_lost_at_any_step_is_made_again(void)
{
	for (int kind = MESSAGE_HELLO; kind <= MESSAGE_JOIN; kind++) {
		start(1, 2);
		h.replicas[1].refuse_on = (enum message_kind)kind;
		h.replicas[1].refusal = REFUSAL_LIMIT;
		engine_attach(h.engine);
		harness_pump(&h);
		if (harness_status(&h).state == VOLUME_SERVING)
			continue; /* an answer's kind: never asked for */
		CHECK_EQ_U64(0, h.attached_count);
		CHECK_STR_HAS("refused (limit): for a test", harness_status(&h).legs[1].last_error);
		h.replicas[1].refuse_on = 0;
		harness_raise(&h, 1);
		CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	}
}

static void an_accept_whose_answer_was_lost_is_not_repeated(void)
{
	start(1, 2);
	h.replicas[1].refuse_on = MESSAGE_ACCEPT;
	h.replicas[1].refusal = REFUSAL_LIMIT;
	engine_attach(h.engine);
	harness_pump(&h);
	/* It had stored it all the same. The harness refuses an ACCEPT that does not rise. */
	h.replicas[1].config = h.replicas[0].config;
	h.replicas[1].refuse_on = 0;
	harness_raise(&h, 1);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
}

static void no_config_is_adopted_before_every_replica_has_promised(void)
{
	start(1, 3);
	h.replicas[2].refuse_on = MESSAGE_PROMISE;
	h.replicas[2].refusal = REFUSAL_LIMIT;
	/* It holds the newest config, and tells it with its promise. */
	h.replicas[2].config.gen = 6;
	engine_attach(h.engine);
	harness_pump(&h);
	CHECK_EQ_U64(1, h.replicas[0].config.gen);
	h.replicas[2].refuse_on = 0;
	harness_raise(&h, 2);
	CHECK_EQ_U64(7, h.replicas[0].config.gen);
}

static void no_session_is_opened_before_every_counted_replica_has_stored_the_config(void)
{
	start(2, 2);
	h.replicas[3].refuse_on = MESSAGE_ACCEPT;
	h.replicas[3].refusal = REFUSAL_LIMIT;
	engine_attach(h.engine);
	harness_pump(&h);
	CHECK_EQ_U64(2, h.replicas[2].config.gen);
	CHECK_EQ_U64(0, h.replicas[2].session);
	CHECK_EQ_U64(0, h.attached_count);
	h.replicas[3].refuse_on = 0;
	harness_raise(&h, 3);
	CHECK_EQ_U64(1, h.replicas[2].session);
	CHECK_EQ_U64(1, h.attached_count);
}

static void losing_the_first_connection_gives_up_the_second(void)
{
	start(1, 1);
	engine_attach(h.engine);
	while (h.lanes[0][LANE_BULK].state == HARNESS_CLOSED)
		CHECK_TRUE(harness_step(&h));
	harness_break(&h, 0, LANE_MAIN);
	CHECK_TRUE(h.lanes[0][LANE_BULK].is_aborted);
	harness_pump(&h);
	harness_raise(&h, 0);
	CHECK_OK(h.attached_error);
}

static void a_silent_handshake_is_given_up_after_the_deadline(void)
{
	start(1, 2);
	h.replicas[0].is_silent = true;
	engine_attach(h.engine);
	harness_pump(&h);
	harness_tick(&h, h.options.answer_deadline_ns);
	CHECK_FALSE(h.lanes[0][LANE_MAIN].is_aborted);
	harness_tick(&h, 1);
	CHECK_TRUE(h.lanes[0][LANE_MAIN].is_aborted);
	CHECK_STR("no answer to HELLO", h.lanes[0][LANE_MAIN].reason);
	h.replicas[0].is_silent = false;
	harness_pump(&h);
	harness_raise(&h, 0);
	CHECK_EQ_U64(1, h.attached_count);
}

static void attach_is_refused(int error, const char *why)
{
	engine_attach(h.engine);
	harness_pump(&h);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_ERRNO(error, h.attached_error);
	CHECK_STR_HAS(why, h.attached_text);
	CHECK_EQ_INT(VOLUME_FAILED, harness_status(&h).state);
	CHECK_STR_HAS(why, harness_status(&h).reason);
	/* It stays refused, and nothing connects any more. */
	harness_tick(&h, 10000000000ull);
	harness_pump(&h);
	CHECK_EQ_U64(1, h.attached_count);
	for (unsigned i = 0; i < volume_leg_count(&h.spec); i++)
		CHECK_EQ_INT(HARNESS_CLOSED, h.lanes[i][LANE_MAIN].state);
}

static void final_refusals_of_a_replica_end_the_attach_by_name(void)
{
	static const struct {
		enum message_kind kind;
		enum refusal refusal;
		int error;
	} cases[] = {
		{MESSAGE_HELLO, REFUSAL_UNKNOWN_REPLICA, -ENOENT}, {MESSAGE_HELLO, REFUSAL_WRONG_VOLUME, -EINVAL},
		{MESSAGE_HELLO, REFUSAL_WRONG_SET, -EINVAL},	   {MESSAGE_HELLO, REFUSAL_VERSION, -EPROTONOSUPPORT},
		{MESSAGE_HELLO, REFUSAL_MALFORMED, -EPROTO},	   {MESSAGE_ACCEPT, REFUSAL_BAD_CONFIG, -EINVAL},
		{MESSAGE_PROMISE, REFUSAL_STALE_EPOCH, -EBUSY},
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		start(1, 2);
		h.replicas[1].refuse_on = cases[i].kind;
		h.replicas[1].refusal = cases[i].refusal;
		attach_is_refused(cases[i].error, "volume vol: replica r1 (10.0.0.2:7420): ");
		CHECK_STR_HAS(cases[i].refusal == REFUSAL_STALE_EPOCH ? "another gateway"
								      : refusal_name(cases[i].refusal),
			      h.attached_text);
	}
}

static void refusals_that_may_pass_are_tried_again(void)
{
	static const enum refusal passing[] = {REFUSAL_STORE, REFUSAL_LIMIT, REFUSAL_STALE_SESSION, REFUSAL_ORDER};

	for (size_t i = 0; i < ARRAY_COUNT(passing); i++) {
		start(1, 2);
		h.replicas[1].refuse_on = MESSAGE_PROBE;
		h.replicas[1].refusal = passing[i];
		engine_attach(h.engine);
		harness_pump(&h);
		CHECK_EQ_U64(0, h.attached_count);
		h.replicas[1].refuse_on = 0;
		harness_raise(&h, 1);
		CHECK_OK(h.attached_error);
	}
}

static void another_protocol_version_is_refused(void)
{
	start(1, 2);
	h.replicas[1].version = PROTOCOL_VERSION + 1;
	attach_is_refused(-EPROTONOSUPPORT, "r1 (10.0.0.2:7420): speaks protocol version 3");
}

static void a_server_with_small_payloads_is_refused(void)
{
	start(1, 2);
	h.replicas[0].payload_max_bytes = 65536;
	attach_is_refused(-EINVAL, "r0 (10.0.0.1:7420): takes payloads of 65536 bytes");
}

static void a_config_that_is_not_the_files_is_refused(void)
{
	start(1, 2);
	h.replicas[1].config.volume_uuid.bytes[3] ^= 1;
	attach_is_refused(-EINVAL, "belongs to another volume");
	start(1, 2);
	h.replicas[1].config.set_bytes += 4096;
	attach_is_refused(-EINVAL, "replica r1 (10.0.0.2:7420): volume vol, set 0: size");
	start(1, 2);
	h.replicas[1].config.voters[0].uuid.bytes[3] ^= 1;
	attach_is_refused(-EINVAL, "replica r0: is not a voter");
}

static void a_promise_that_went_back_behind_its_config_is_refused(void)
{
	start(1, 2);
	h.replicas[1].config.ballot = (struct ballot){4, 44};
	h.replicas[1].promised = (struct ballot){3, 33};
	attach_is_refused(-EINVAL, "r1 (10.0.0.2:7420): its config was never promised");
	start(1, 2);
	h.replicas[1].config.ballot = (struct ballot){4, 44};
	h.replicas[1].promised = (struct ballot){4, 45};
	attach_is_refused(-EINVAL, "its promise went back");
}

static void a_replica_that_is_out_of_sync_is_not_counted(void)
{
	start(1, 2);
	h.replicas[0].config.voters[1].state = VOTER_OUT;
	h.replicas[0].config.gen = 5;
	engine_attach(h.engine);
	harness_pump(&h);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_OK(h.attached_error);
	CHECK_EQ_U64(1, harness_status(&h).sets[0].in_sync);
	CHECK_EQ_INT(VOTER_OUT, h.replicas[1].config.voters[1].state);
	CHECK_EQ_U64(6, h.replicas[1].config.gen);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
}

static void two_values_of_one_gen_are_refused(void)
{
	start(1, 2);
	h.replicas[0].config.ballot = (struct ballot){3, 1};
	h.replicas[1].config.ballot = (struct ballot){3, 2};
	attach_is_refused(-EINVAL, "different configs as gen 1");
}

static void used_up_epochs_and_gens_are_refused(void)
{
	start(1, 2);
	h.replicas[1].promised.epoch = UINT32_MAX;
	attach_is_refused(-EOVERFLOW, "epochs are used up");
	start(1, 2);
	h.replicas[1].config.gen = UINT32_MAX;
	attach_is_refused(-EOVERFLOW, "gens are used up");
}

static void a_contender_that_promised_meanwhile_ends_the_attach(void)
{
	start(1, 2);
	h.replicas[1].refuse_on = MESSAGE_ACCEPT;
	h.replicas[1].refusal = REFUSAL_LIMIT;
	engine_attach(h.engine);
	harness_pump(&h);
	h.replicas[1].promised = (struct ballot){2, 1234};
	h.replicas[1].refuse_on = 0;
	harness_tick(&h, 1000000000ull);
	harness_pump(&h);
	CHECK_ERRNO(-EBUSY, h.attached_error);
	CHECK_STR_HAS("was promised to another gateway (epoch 2)", h.attached_text);
}

static void requests_of_a_refused_attach_fail(void)
{
	start(1, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 0, 4096);
	h.replicas[1].version = PROTOCOL_VERSION + 1;
	engine_attach(h.engine);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_ERRNO(-EIO, h.errors[0]);
	CHECK_ERRNO(-EIO, h.errors[1]);
	harness_submit(&h, 2, REQUEST_READ, 0, 0, 4096);
	CHECK_ERRNO(-EIO, h.errors[2]);
}

static void a_restarted_server_between_the_two_connections_is_noticed(void)
{
	start(1, 1);
	h.replicas[0].bulk_incarnation = 555;
	engine_attach(h.engine);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.attached_count);
	CHECK_STR_HAS("restarted between its two connections", harness_status(&h).legs[0].last_error);
	h.replicas[0].bulk_incarnation = 0;
	harness_raise(&h, 0);
	CHECK_EQ_U64(1, h.attached_count);
}

static void bad_options_are_refused(void)
{
	struct engine_options options[] = {harness_options(), harness_options(), harness_options(),
					   harness_options(), harness_options(), harness_options()};
	struct volume_spec spec = harness_spec(1, 1);
	struct engine_ops ops = {0};
	struct err err;

	options[0].queue_depth = 0;
	options[1].queue_depth = QUEUE_DEPTH_MAX + 1;
	options[2].bulk_min_bytes = BULK_MIN_BYTES_MAX + 1;
	options[3].read_run = 0;
	options[4].nonce = 0;
	options[5].answer_deadline_ns = 0;
	for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
		CHECK_NULL(engine_new(&spec, &options[i], &ops, NULL, &err));
		CHECK_ERRNO(-EINVAL, err.code);
	}
	spec.size_bytes = 1;
	options[0] = harness_options();
	CHECK_NULL(engine_new(&spec, &options[0], &ops, NULL, &err));
	CHECK_STR_HAS("volume vol: size 1", err.text);
}

static const struct check_test tests[] = {
	CHECK_TEST(all_replicas_promise_store_and_open_before_anything_is_served),
	CHECK_TEST(nobody_is_fenced_while_no_majority_can_be_reached),
	CHECK_TEST(a_config_that_only_one_replica_stored_is_adopted_for_all),
	CHECK_TEST(requests_before_attached_wait_and_are_not_lost),
	CHECK_TEST(a_connection_lost_at_any_step_is_made_again),
	CHECK_TEST(an_accept_whose_answer_was_lost_is_not_repeated),
	CHECK_TEST(no_config_is_adopted_before_every_replica_has_promised),
	CHECK_TEST(no_session_is_opened_before_every_counted_replica_has_stored_the_config),
	CHECK_TEST(losing_the_first_connection_gives_up_the_second),
	CHECK_TEST(a_silent_handshake_is_given_up_after_the_deadline),
	CHECK_TEST(final_refusals_of_a_replica_end_the_attach_by_name),
	CHECK_TEST(refusals_that_may_pass_are_tried_again),
	CHECK_TEST(another_protocol_version_is_refused),
	CHECK_TEST(a_server_with_small_payloads_is_refused),
	CHECK_TEST(a_config_that_is_not_the_files_is_refused),
	CHECK_TEST(a_promise_that_went_back_behind_its_config_is_refused),
	CHECK_TEST(a_replica_that_is_out_of_sync_is_not_counted),
	CHECK_TEST(two_values_of_one_gen_are_refused),
	CHECK_TEST(used_up_epochs_and_gens_are_refused),
	CHECK_TEST(a_contender_that_promised_meanwhile_ends_the_attach),
	CHECK_TEST(requests_of_a_refused_attach_fail),
	CHECK_TEST(a_restarted_server_between_the_two_connections_is_noticed),
	CHECK_TEST(bad_options_are_refused),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_attach", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
