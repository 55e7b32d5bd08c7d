/* Replicas whose disks were set back to an older copy while nobody was attached, or while they were out. */
#include "tests/unit/engine_scene.h"

#include <errno.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];

#define ROLLED_BACK "its state is older than what it had stored; its disk was rolled back"

/* Everybody's machine was off since, so that all that are in sync would be counted. */
static void all_lose_power(void)
{
	for (unsigned i = 0; i < 3; i++) {
		h.replicas[i].incarnation += 1000;
		h.replicas[i].boot_id = sample_uuid(222);
	}
}

/* What it had before the attachment of epoch 3. */
static void set_back(unsigned leg)
{
	struct config *config = &h.replicas[leg].config;

	h.replicas[leg].promised = (struct ballot){2, 22};
	config->ballot = (struct ballot){2, 22};
	config->gen = 4;
	for (unsigned i = 0; i < config->voter_count; i++) {
		config->voters[i].state = VOTER_IN;
		config->voters[i].in_sync_gen = 4;
	}
}

static void go_on(unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		scene_wait(&h, 1000000000);
		harness_answer_all(&h);
	}
}

/* ---- in sync by the adopted config ---- */

static void a_member_that_was_rolled_back_is_not_counted_and_the_attach_names_it(void)
{
	struct engine_options options = harness_options();

	options.attach_limit_ns = 20000000000ull;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 3);
	all_lose_power();
	set_back(1);
	scene_attach(&h);
	go_on(2);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_ERRNO(-EINVAL, h.attached_error);
	CHECK_STR_HAS("replica r1 (10.0.0.2:7420): " ROLLED_BACK ": put the newer one back", h.attached_text);
	CHECK_STR_HAS("all of them are needed, missing: r1 (10.0.0.2:7420)", h.attached_text);
	/* Nobody was fenced, and it learnt nothing that would hide its age. */
	CHECK_EQ_U64(2, h.replicas[1].promised.epoch);
	CHECK_EQ_U64(3, h.replicas[0].promised.epoch);
}

/* Somebody asked it for a promise meanwhile, and came to nothing. */
static void one_whose_promise_hides_its_age_does_not_do_for_the_others(void)
{
	struct engine_options options = harness_options();

	options.attach_limit_ns = 20000000000ull;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 3);
	h.replicas[0].is_reachable = false;
	h.replicas[1].incarnation++;
	set_back(1);
	h.replicas[1].promised = (struct ballot){4, 44};
	scene_attach(&h);
	go_on(30);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_STR_HAS("all of them are needed, missing: r0", h.attached_text);
}

static void with_its_newer_disk_it_is_counted_again(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	all_lose_power();
	set_back(1);
	scene_attach(&h);
	go_on(1);
	CHECK_ERRNO(-EINVAL, h.attached_error);
	h.replicas[1].promised = h.replicas[0].promised;
	h.replicas[1].config = h.replicas[0].config;
	h.replicas[1].incarnation++;
	harness_restart(&h, &h.options);
	scene_attach(&h);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_OK(h.attached_error);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 1)->state);
}

static void beside_a_member_that_remembers_it_goes_out_and_stays_refused(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].incarnation++;
	set_back(1);
	scene_attach(&h);
	go_on(5);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(0, h.replicas[1].accepts);
	CHECK_EQ_U64(2, h.replicas[1].promised.epoch);
	CHECK_STR_HAS(ROLLED_BACK, harness_status(&h).legs[1].last_error);
}

static void the_same_epoch_promised_to_another_is_no_promise_either(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].incarnation++;
	set_back(1);
	h.replicas[1].promised = (struct ballot){3, 44};
	scene_attach(&h);
	go_on(1);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_STR_HAS(ROLLED_BACK, harness_status(&h).legs[1].last_error);
}

/* It was asked before another gateway attached with it, and the others afterwards. */
static void what_it_said_before_the_config_was_there_is_asked_again(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	for (unsigned i = 0; i < 3; i++)
		set_back(i);
	h.replicas[0].is_reachable = h.replicas[2].is_reachable = false;
	scene_attach(&h);
	CHECK_EQ_U64(0, h.attached_count);
	scene_was_attached(&h, 3);
	h.replicas[0].is_reachable = h.replicas[2].is_reachable = true;
	go_on(4);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(6, h.replicas[1].config.gen);
}

static void one_that_comes_late_is_looked_at_as_well(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].is_reachable = false;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(1, h.attached_count);
	h.replicas[1].incarnation++;
	set_back(1);
	h.replicas[1].is_reachable = true;
	go_on(5);
	CHECK_EQ_U64(0, h.replicas[1].accepts);
	CHECK_STR_HAS(ROLLED_BACK, harness_status(&h).legs[1].last_error);
}

/* ---- out, to be compared by stamps ---- */

/* Replica 1 was evicted in gen 5, last in sync in gen 4 of epoch 3; its disk is from before it came back in. */
static void was_out(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 1);
	for (unsigned i = 0; i < 3; i++) {
		h.replicas[i].config.voters[1].in_sync_gen = 4;
		h.replicas[i].config.voters[1].compare = COMPARE_STAMPS;
	}
	h.replicas[1].incarnation++;
	h.replicas[1].config.ballot = h.replicas[1].promised = (struct ballot){2, 22};
	h.replicas[1].config.gen = 3;
	h.replicas[1].config.voters[1].in_sync_gen = 2;
}

static void one_that_does_not_know_how_long_it_was_in_sync_is_compared_in_full(void)
{
	was_out();
	scene_attach(&h);
	CHECK_EQ_INT(COMPARE_EVERYTHING, scene_voter(&h, 0, 1)->compare);
	CHECK_STR_HAS("compared in full", h.last_event_text[EVENT_REJOINING]);
	go_on(20);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
	CHECK_STR_HAS("8388608 bytes compared", h.last_event_text[EVENT_REJOINED]);
}

static void one_that_knows_is_compared_by_stamps(void)
{
	was_out();
	h.replicas[1].config.voters[1].in_sync_gen = 4;
	scene_attach(&h);
	CHECK_EQ_INT(COMPARE_STAMPS, scene_voter(&h, 0, 1)->compare);
	go_on(20);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
	CHECK_STR_HAS("0 bytes compared", h.last_event_text[EVENT_REJOINED]);
}

static void one_that_never_ended_is_compared_by_stamps_whatever_it_stored(void)
{
	was_out();
	h.replicas[1].incarnation--;
	scene_attach(&h);
	CHECK_EQ_INT(COMPARE_STAMPS, scene_voter(&h, 0, 1)->compare);
}

static unsigned told_with_its_mark, told_without;

static void look(struct harness *harness, const struct harness_message *asked)
{
	const struct voter *voter = &asked->config.voters[1];

	(void)harness;
	if (asked->kind != MESSAGE_ACCEPT || asked->leg != 1 || voter->state != VOTER_OUT)
		return;
	told_with_its_mark += voter->compare == COMPARE_EVERYTHING;
	told_without += voter->compare == COMPARE_STAMPS;
}

static void look_what_it_is_told(void)
{
	told_with_its_mark = told_without = 0;
	h.on_asked = look;
}

/* Else a successor would find a config there that says nothing of it, and no sign of its age. */
static void when_it_comes_late_it_stores_no_config_before_one_that_says_so(void)
{
	was_out();
	look_what_it_is_told();
	h.replicas[1].is_reachable = false;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_INT(COMPARE_STAMPS, scene_voter(&h, 0, 1)->compare);
	h.replicas[1].is_reachable = true;
	go_on(20);
	CHECK_EQ_U64(1, told_with_its_mark);
	CHECK_EQ_U64(0, told_without);
	CHECK_STR_HAS("compared in full", h.last_event_text[EVENT_REJOINING]);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

/* The witness is gone, and its vote is needed for what it must be told. */
static void its_vote_counts_for_the_config_that_says_so(void)
{
	was_out();
	look_what_it_is_told();
	h.replicas[1].is_reachable = false;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	harness_kill(&h, 2);
	h.replicas[1].is_reachable = true;
	go_on(30);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 1, 1)->state);
	CHECK_EQ_U64(0, told_without);
}

/* Nobody in sync is there, so no config can say so yet; the chosen one would hide how old it is. */
static void while_nobody_in_sync_is_there_it_is_told_nothing(void)
{
	was_out();
	look_what_it_is_told();
	h.replicas[1].is_reachable = false;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(1, h.attached_count);
	harness_kill(&h, 0);
	h.replicas[1].is_reachable = true;
	go_on(10);
	CHECK_EQ_INT(LEG_VOTING, harness_status(&h).legs[1].state);
	CHECK_EQ_U64(0, told_without);
	CHECK_EQ_U64(3, h.replicas[1].config.gen);
	h.replicas[0].is_reachable = true;
	go_on(20);
	CHECK_EQ_U64(0, told_without);
	CHECK_TRUE(told_with_its_mark > 0);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

/* Its own config says that it must be compared in full; a later attach, which did not see that, says stamps. */
static void what_it_was_told_once_is_not_forgotten(void)
{
	was_out();
	h.replicas[1].config.voters[1].in_sync_gen = 4;
	h.replicas[1].config.voters[1].state = VOTER_OUT;
	h.replicas[1].config.voters[1].compare = COMPARE_EVERYTHING;
	scene_attach(&h);
	CHECK_EQ_INT(COMPARE_EVERYTHING, scene_voter(&h, 0, 1)->compare);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_member_that_was_rolled_back_is_not_counted_and_the_attach_names_it),
	CHECK_TEST(one_whose_promise_hides_its_age_does_not_do_for_the_others),
	CHECK_TEST(with_its_newer_disk_it_is_counted_again),
	CHECK_TEST(beside_a_member_that_remembers_it_goes_out_and_stays_refused),
	CHECK_TEST(the_same_epoch_promised_to_another_is_no_promise_either),
	CHECK_TEST(what_it_said_before_the_config_was_there_is_asked_again),
	CHECK_TEST(one_that_comes_late_is_looked_at_as_well),
	CHECK_TEST(one_that_does_not_know_how_long_it_was_in_sync_is_compared_in_full),
	CHECK_TEST(one_that_knows_is_compared_by_stamps),
	CHECK_TEST(one_that_never_ended_is_compared_by_stamps_whatever_it_stored),
	CHECK_TEST(when_it_comes_late_it_stores_no_config_before_one_that_says_so),
	CHECK_TEST(its_vote_counts_for_the_config_that_says_so),
	CHECK_TEST(while_nobody_in_sync_is_there_it_is_told_nothing),
	CHECK_TEST(what_it_was_told_once_is_not_forgotten),
};

int main(int argc, char **argv)
{
	int code = CHECK_MAIN("engine_rolled_back", tests, argc, argv);

	harness_fini(&h);
	return code;
}
