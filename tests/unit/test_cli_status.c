/* What `lockstep status` says about a volume: the plain answer, progress with rate and time left, both views alike. */
#include "gateway/cli/status_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "tests/unit/check.h"

static struct admin_status status; /* large */

/* Two sets of a, b and a witness, all well. */
static void make(void)
{
	static const char *const names[] = {"a", "b", "w"};

	memset(&status, 0, sizeof(status));
	strcpy(status.volume_name, "vol");
	strcpy(status.state, "serving");
	status.set_count = 2;
	status.leg_count = 6;
	for (unsigned i = 0; i < 2; i++) {
		strcpy(status.sets[i].state, "serving");
		status.sets[i].voters = status.sets[i].voting = 3;
		status.sets[i].witnesses = 1;
		status.sets[i].in_sync = 2;
		status.sets[i].can_lose_node = true;
	}
	for (unsigned i = 0; i < 6; i++) {
		struct admin_leg *leg = &status.legs[i];

		leg->set_index = i / 3;
		snprintf(leg->name, sizeof(leg->name), "%s", names[i % 3]);
		snprintf(leg->kind, sizeof(leg->kind), "%s", i % 3 == 2 ? "witness" : "replica");
		snprintf(leg->member, sizeof(leg->member), "%s", i % 3 == 2 ? "votes" : "in-sync");
		snprintf(leg->state, sizeof(leg->state), "%s", i % 3 == 2 ? "voting" : "up");
	}
}

static void rejoins(struct admin_leg *leg)
{
	strcpy(leg->member, "syncing");
	leg->resync_total_bytes = 100 * MIB;
	leg->resync_left_bytes = 75 * MIB;
	leg->resync_copied_bytes = 5 * MIB;
	leg->resync_ms = 5000;
}

/* The caller frees. */
static char *printed(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CHECK_NOT_NULL(out);
	status_print(out, &status);
	fclose(out);
	return text;
}

static void says(const char *part)
{
	char *text = printed();

	CHECK_STR_HAS(part, text);
	free(text);
}

static void says_not(const char *part)
{
	char *text = printed();

	if (strstr(text, part))
		CHECK_FAIL("'%s' stands in:\n%s", part, text);
	free(text);
}

static void a_node_may_be_lost_only_if_every_set_can_lose_one(void)
{
	char why[STATUS_WHY_CHARS];

	make();
	CHECK_TRUE(status_can_lose_node(&status, why, sizeof(why)));
	CHECK_STR("", why);
	says("can a node be lost now? yes");
	status.sets[1].can_lose_node = false;
	strcpy(status.sets[1].why_not, "one replica in sync");
	CHECK_FALSE(status_can_lose_node(&status, why, sizeof(why)));
	CHECK_STR("set 1: one replica in sync", why);
	says("can a node be lost now? no: set 1: one replica in sync");
	status.sets[1].why_not[0] = '\0'; /* of a gateway that reports no sets */
	says("no: set 1: nothing is known of it");
}

static void rate_and_time_left_come_from_what_was_compared(void)
{
	struct admin_leg leg = {.resync_total_bytes = 0};
	uint64_t eta_ms = 1;

	CHECK_EQ_U64(0, status_resync_rate(&leg));
	CHECK_FALSE(status_resync_eta_ms(&leg, &eta_ms));
	CHECK_EQ_U64(0, eta_ms);
	rejoins(&leg);
	CHECK_EQ_U64(5 * MIB, status_resync_rate(&leg));
	CHECK_TRUE(status_resync_eta_ms(&leg, &eta_ms));
	CHECK_EQ_U64(15000, eta_ms);
	leg.resync_left_bytes = leg.resync_total_bytes; /* nothing yet */
	CHECK_FALSE(status_resync_eta_ms(&leg, &eta_ms));
	leg.resync_left_bytes = UINT64_MAX; /* nonsense of a peer */
	CHECK_EQ_U64(0, status_resync_rate(&leg));
	leg.resync_total_bytes = UINT64_MAX;
	leg.resync_left_bytes = UINT64_MAX - 1;
	leg.resync_ms = UINT64_MAX;
	CHECK_EQ_U64(0, status_resync_rate(&leg));
}

static void the_text_shows_each_voter_by_kind_and_membership(void)
{
	make();
	strcpy(status.legs[4].member, "out");
	strcpy(status.legs[4].state, "down");
	strcpy(status.legs[4].last_error, "ECONNREFUSED");
	says("vol: serving since 0 ms\n");
	says("  set 0  serving since 0 ms: 2 of 2 in sync, 3 of 3 vote, epoch 0, gen 0\n    replica a ");
	says("in-sync, up since");
	says("out, down since");
	says("last error: ECONNREFUSED");
	says("    witness w");
	says_not("resync:");
	says_not("may differ");
	says_not("were lost");
}

static void the_text_shows_what_goes_on(void)
{
	make();
	strcpy(status.state, "suspended");
	strcpy(status.reason, "set 1: no majority of the voters answers");
	strcpy(status.waits_for, "b (10.0.0.2:7420)");
	status.sets[1].uncertain_bytes = 3 * MIB;
	status.sets[1].loss_count = 2;
	strcpy(status.sets[1].reason, "no majority of the voters answers");
	rejoins(&status.legs[1]);
	status.differing_bytes = 4 * 65536; /* one range, found by four verifies; the last one repaired it */
	status.repaired_bytes = 65536;
	says("verifies found 262144 bytes that differed, counted each time, and repaired 65536; the last one: lockstep "
	     "volume verify vol --follow");
	says("vol: suspended since 0 ms: set 1: no majority of the voters answers, waiting for b (10.0.0.2:7420)\n");
	says("serving since 0 ms (no majority of the voters answers): ");
	says("resync: 75.0 MiB of 100 MiB left to compare, 5.00 MiB copied, 5.00 MiB/s, ready in 15 s");
	says("3.00 MiB may differ, and are being made equal");
	says("completed writes were lost 2 times");
}

static void json_has_sets_and_progress(void)
{
	json_t *json, *set, *leg;

	make();
	rejoins(&status.legs[1]);
	status.sets[1].can_lose_node = false;
	strcpy(status.sets[1].why_not, "one replica in sync");
	status.sets[1].loss_count = 2;
	json = status_json(&status);
	CHECK_NOT_NULL(json);
	CHECK_FALSE(json_is_true(json_object_get(json, "can_lose_node")));
	CHECK_STR("set 1: one replica in sync", json_string_value(json_object_get(json, "why_not")));
	CHECK_EQ_U64(2, json_array_size(json_object_get(json, "sets")));
	set = json_array_get(json_object_get(json, "sets"), 1);
	CHECK_EQ_INT(1, json_integer_value(json_object_get(set, "index")));
	CHECK_EQ_INT(2, json_integer_value(json_object_get(set, "loss_count")));
	CHECK_STR("serving", json_string_value(json_object_get(set, "state")));
	leg = json_array_get(json_object_get(json, "legs"), 1);
	CHECK_STR("syncing", json_string_value(json_object_get(leg, "member")));
	CHECK_EQ_INT(15000, json_integer_value(json_object_get(leg, "resync_eta_ms")));
	CHECK_EQ_INT(5 * MIB, json_integer_value(json_object_get(leg, "resync_rate_bytes")));
	leg = json_array_get(json_object_get(json, "legs"), 2);
	CHECK_STR("witness", json_string_value(json_object_get(leg, "kind")));
	CHECK_TRUE(json_is_null(json_object_get(leg, "resync_eta_ms")));
	json_decref(json);
}

static void control_characters_reach_no_terminal(void)
{
	make();
	strcpy(status.sets[0].reason, "a\033[2Jb");
	strcpy(status.legs[0].member, "x\n");
	strcpy(status.reason, "\r");
	status_sanitize(&status);
	says_not("\033");
	says_not("\r");
	says_not("x\n");
}

static const struct check_test tests[] = {
	CHECK_TEST(a_node_may_be_lost_only_if_every_set_can_lose_one),
	CHECK_TEST(rate_and_time_left_come_from_what_was_compared),
	CHECK_TEST(the_text_shows_each_voter_by_kind_and_membership),
	CHECK_TEST(the_text_shows_what_goes_on),
	CHECK_TEST(json_has_sets_and_progress),
	CHECK_TEST(control_characters_reach_no_terminal),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("cli_status", tests, argc, argv);
}
