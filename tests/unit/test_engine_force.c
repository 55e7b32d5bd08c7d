/* The forced attach: without in-sync replicas that are needed and missing, by the operator's word and no other way. */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static struct harness h;

#define SEEN_EPOCH 7u

/* Three replicas after an attachment of epoch 7 that ended with `in` (bits) in sync; r2 fell out after r1. */
static void make(uint8_t in, const struct engine_options *options)
{
	struct volume_spec spec = harness_spec(1, 3);

	harness_fini(&h);
	harness_init(&h, &spec, options);
	for (unsigned i = 0; i < 3; i++) {
		struct config *config = &h.replicas[i].config;

		config->gen = 9;
		config->loss_count = 2;
		config->ballot = h.replicas[i].promised = (struct ballot){SEEN_EPOCH, 33};
		for (unsigned j = 0; j < 3; j++) {
			config->voters[j].state = in & 1u << j ? VOTER_IN : VOTER_OUT;
			config->voters[j].in_sync_gen = in & 1u << j ? 9 : 3 + j;
			config->voters[j].incarnation = h.replicas[j].incarnation;
			config->voters[j].boot_id = h.replicas[j].boot_id;
		}
	}
}

static struct engine_options forced(uint32_t epoch)
{
	struct engine_options options = harness_options();

	options.accepts_loss = true;
	options.accepted_epoch = epoch;
	return options;
}

static void attach(void)
{
	engine_attach(h.engine);
	for (unsigned i = 0; i < 40 && !h.attached_count; i++) {
		harness_pump(&h);
		harness_tick(&h, 1000000000);
	}
	harness_pump(&h);
}

static const struct voter *voter(unsigned leg)
{
	return &h.replicas[1].config.voters[leg];
}

static void the_refusal_names_what_is_missing_and_the_words_that_give_it_up(void)
{
	struct engine_options options = harness_options();

	options.attach_limit_ns = 20000000000ull;
	make(1, &options);
	h.replicas[0].is_reachable = false;
	attach();
	CHECK_ERRNO(-EHOSTUNREACH, h.attached_error);
	CHECK_STR_HAS("missing: r0 (10.0.0.1:7420)", h.attached_text);
	CHECK_STR_HAS("--force --accept-data-loss=vol@7", h.attached_text);
	CHECK_EQ_U64(SEEN_EPOCH, h.replicas[1].promised.epoch); /* nobody was fenced */
}

static void without_any_in_sync_replica_the_latest_of_the_others_is_taken(void)
{
	struct engine_options options = forced(SEEN_EPOCH);

	make(1, &options);
	h.replicas[0].is_reachable = false;
	attach();
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_OK(h.attached_error);
	CHECK_EQ_U64(3, h.replicas[1].config.loss_count);
	CHECK_EQ_U64(1, h.event_count[EVENT_LOSS_RECORDED]);
	CHECK_STR_HAS("given up by the operator", h.last_event_text[EVENT_LOSS_RECORDED]);
	CHECK_EQ_INT(VOTER_OUT, voter(0)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, voter(0)->compare);
	CHECK_EQ_INT(VOTER_IN, voter(2)->state);
	CHECK_EQ_U64(h.replicas[2].incarnation, voter(2)->incarnation);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
}

static void what_was_given_up_is_compared_in_full_when_it_is_back(void)
{
	struct engine_options options = forced(SEEN_EPOCH);
	unsigned asked;

	make(1, &options);
	h.replicas[0].is_reachable = false;
	attach();
	for (unsigned i = 0; i < 20; i++) {
		harness_answer_all(&h);
		harness_tick(&h, 1000000000);
		harness_pump(&h);
	}
	CHECK_EQ_INT(VOTER_IN, voter(1)->state);
	asked = h.event_count[EVENT_REJOINED];
	h.replicas[0].is_reachable = true;
	for (unsigned i = 0; i < 40; i++) {
		harness_answer_all(&h);
		harness_tick(&h, 1000000000);
		harness_pump(&h);
	}
	CHECK_EQ_U64(asked + 1, h.event_count[EVENT_REJOINED]);
	CHECK_EQ_INT(VOTER_IN, voter(0)->state);
	CHECK_EQ_U64(3, h.replicas[1].config.loss_count); /* once */
}

static void in_sync_replicas_that_are_there_go_before_those_out(void)
{
	struct engine_options options = forced(SEEN_EPOCH);

	make(3, &options);
	h.replicas[0].is_reachable = false;
	h.replicas[1].boot_id = sample_uuid(222); /* it lost power: both are needed */
	attach();
	CHECK_OK(h.attached_error);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_INT(VOTER_IN, voter(1)->state);
	CHECK_EQ_INT(VOTER_OUT, voter(0)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, voter(0)->compare);
	CHECK_EQ_INT(COMPARE_EVERYTHING, voter(2)->compare);
	CHECK_EQ_U64(3, h.replicas[1].config.loss_count);
}

static void another_epoch_than_the_one_shown_is_refused(void)
{
	struct engine_options options = forced(SEEN_EPOCH - 1);

	make(1, &options);
	h.replicas[0].is_reachable = false;
	attach();
	CHECK_ERRNO(-EINVAL, h.attached_error);
	CHECK_STR_HAS("accepted for epoch 6, but its replicas are at epoch 7", h.attached_text);
	CHECK_EQ_U64(SEEN_EPOCH, h.replicas[1].promised.epoch);
}

static void nothing_is_given_up_when_nothing_is_missing(void)
{
	struct engine_options options = forced(SEEN_EPOCH);

	make(1, &options);
	attach();
	CHECK_OK(h.attached_error);
	CHECK_EQ_U64(2, h.replicas[1].config.loss_count);
	CHECK_EQ_INT(VOTER_IN, voter(0)->state);
	CHECK_EQ_U64(0, h.event_count[EVENT_LOSS_RECORDED]);
}

static void a_majority_is_needed_even_then(void)
{
	struct engine_options options = forced(SEEN_EPOCH);

	options.attach_limit_ns = 20000000000ull;
	make(1, &options);
	h.replicas[0].is_reachable = h.replicas[1].is_reachable = false;
	attach();
	CHECK_ERRNO(-EHOSTUNREACH, h.attached_error);
	CHECK_STR_HAS("1 of 3 voters answer, a majority is needed", h.attached_text);
}

static void a_recovered_device_gives_nothing_up(void)
{
	struct engine_options options = forced(SEEN_EPOCH);

	options.is_recovery = true;
	options.device_nonces[0] = 33;
	make(1, &options);
	h.replicas[0].is_reachable = false;
	attach();
	CHECK_EQ_U64(0, h.attached_count);
	CHECK_EQ_U64(SEEN_EPOCH, h.replicas[1].promised.epoch);
}

static void once_served_nothing_is_given_up_any_more(void)
{
	struct engine_options options = forced(SEEN_EPOCH);

	make(7, &options);
	attach();
	CHECK_OK(h.attached_error);
	harness_kill(&h, 1);
	harness_kill(&h, 2);
	for (unsigned i = 0; i < 10; i++) {
		harness_tick(&h, 1000000000);
		harness_pump(&h);
	}
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	CHECK_EQ_U64(0, h.event_count[EVENT_LOSS_RECORDED]);
}

static const struct check_test tests[] = {
	CHECK_TEST(the_refusal_names_what_is_missing_and_the_words_that_give_it_up),
	CHECK_TEST(without_any_in_sync_replica_the_latest_of_the_others_is_taken),
	CHECK_TEST(what_was_given_up_is_compared_in_full_when_it_is_back),
	CHECK_TEST(in_sync_replicas_that_are_there_go_before_those_out),
	CHECK_TEST(another_epoch_than_the_one_shown_is_refused),
	CHECK_TEST(nothing_is_given_up_when_nothing_is_missing),
	CHECK_TEST(a_majority_is_needed_even_then),
	CHECK_TEST(a_recovered_device_gives_nothing_up),
	CHECK_TEST(once_served_nothing_is_given_up_any_more),
};

int main(int argc, char **argv)
{
	int code = CHECK_MAIN("engine_force", tests, argc, argv);

	harness_fini(&h);
	return code;
}
