/* From the words of `volume create` to a volume: layouts, names, and one test for each refusal. */
#include "gateway/cli/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"

static struct uuid next_uuid(void *ctx)
{
	uint8_t random[16] = {0};
	unsigned *count = ctx;

	random[0] = (uint8_t)++ * count;
	return uuid_from_random(random);
}

static struct plan_request request_of(const char *name)
{
	return (struct plan_request){
		.name = name, .size_bytes = GIB, .block_bytes = 4096, .chunk_bytes = CHUNK_BYTES_DEFAULT};
}

static void add(struct text_list *list, const char *text)
{
	list->items[list->count++] = text;
}

static int plan(const struct plan_request *request, struct volume_spec *ret, struct err *err)
{
	unsigned count = 0;

	memset(err, 0, sizeof(*err));
	return plan_volume(request, next_uuid, &count, ret, err);
}

static void refuses(const struct plan_request *request, const char *part)
{
	struct volume_spec *spec = calloc(1, sizeof(*spec));
	struct err err;

	CHECK_NOT_NULL(spec);
	CHECK_ERRNO(-EINVAL, plan(request, spec, &err));
	CHECK_STR_HAS(part, err.text);
	free(spec);
}

static void three_servers_make_one_set_of_three(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct err err;

	add(&request.replicas, "node1");
	add(&request.replicas, "x=node2:1234");
	add(&request.replicas, "[::1]:7");
	CHECK_OK(plan(&request, &spec, &err));
	CHECK_EQ_U64(1, spec.set_count);
	CHECK_EQ_U64(3, spec.sets[0].replica_count);
	CHECK_STR("a", spec.sets[0].replicas[0].name);
	CHECK_STR("node1:7420", spec.sets[0].replicas[0].address);
	CHECK_STR("x", spec.sets[0].replicas[1].name);
	CHECK_STR("node2:1234", spec.sets[0].replicas[1].address);
	CHECK_STR("c", spec.sets[0].replicas[2].name);
	CHECK_STR("[::1]:7", spec.sets[0].replicas[2].address);
	CHECK_NULL(plan_advice(&spec));
}

static void sets_share_the_servers_when_no_set_is_listed(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct err err;

	request.set_count = 4;
	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	request.no_witness = true;
	CHECK_OK(plan(&request, &spec, &err));
	CHECK_EQ_U64(4, spec.set_count);
	CHECK_STR("node2:7420", spec.sets[3].replicas[1].address);
	CHECK_FALSE(uuid_equal(&spec.sets[0].replicas[0].uuid, &spec.sets[1].replicas[0].uuid));
}

static void listed_sets_take_names_and_addresses(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct err err;

	add(&request.replicas, "a=node1");
	add(&request.replicas, "b=node2");
	add(&request.replica_sets, "a,b");
	add(&request.replica_sets, "c=node3,node4:7421");
	request.no_witness = true;
	CHECK_OK(plan(&request, &spec, &err));
	CHECK_EQ_U64(2, spec.set_count);
	CHECK_STR("node2:7420", spec.sets[0].replicas[1].address);
	CHECK_STR("c", spec.sets[1].replicas[0].name);
	CHECK_STR("node4:7421", spec.sets[1].replicas[1].address);
}

static void two_replicas_want_a_witness_and_are_told_why(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	refuses(&request, "no majority");
	refuses(&request, "--witness HOST:PORT");
	refuses(&request, "--no-witness");
	request.replicas.count = 0;
	add(&request.replica_sets, "a=node1:1,b=node2:1,c=node3:1");
	add(&request.replica_sets, "a,b");
	refuses(&request, "set 1 has two replicas");
}

static void two_replicas_without_a_witness_are_advised(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct err err;

	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	request.no_witness = true;
	CHECK_OK(plan(&request, &spec, &err));
	CHECK_STR_HAS("no majority", plan_advice(&spec));
	add(&request.witnesses, "node3");
	refuses(&request, "--no-witness: contradicts --witness");
}

static void a_witness_votes_behind_the_replicas_of_every_set(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	unsigned replicas, witnesses;
	struct err err;

	request.set_count = 2;
	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	add(&request.witnesses, "node3");
	CHECK_OK(plan(&request, &spec, &err));
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ_U64(3, spec.sets[i].replica_count);
		CHECK_EQ_INT(VOTER_WITNESS, spec.sets[i].replicas[2].kind);
		CHECK_STR("w", spec.sets[i].replicas[2].name);
		CHECK_STR("node3:7420", spec.sets[i].replicas[2].address);
	}
	CHECK_NULL(plan_advice(&spec));
	volume_kind_counts(&spec, &replicas, &witnesses);
	CHECK_EQ_U64(4, replicas);
	CHECK_EQ_U64(2, witnesses);
}

static void a_witness_stays_out_of_sets_that_its_server_has_a_replica_of(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct err err;

	add(&request.replicas, "a=node1");
	add(&request.replicas, "b=node2");
	add(&request.replicas, "c=node3");
	add(&request.replica_sets, "a,b");
	add(&request.replica_sets, "c,a");
	add(&request.witnesses, "b");
	add(&request.witnesses, "c");
	CHECK_OK(plan(&request, &spec, &err));
	CHECK_EQ_U64(3, spec.sets[0].replica_count);
	CHECK_STR("c", spec.sets[0].replicas[2].name);
	CHECK_EQ_U64(3, spec.sets[1].replica_count);
	CHECK_STR("b", spec.sets[1].replicas[2].name);
	CHECK_EQ_INT(VOTER_WITNESS, spec.sets[1].replicas[2].kind);
}

static void a_witness_that_votes_nowhere_or_twice_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	add(&request.witnesses, "node2:7420");
	refuses(&request, "node2:7420 keeps a replica of every set");
	request.witnesses.count = 0;
	add(&request.witnesses, "node3");
	add(&request.witnesses, "x=node3:7420");
	refuses(&request, "node3:7420 is given twice");
	request.witnesses.count = 0;
	add(&request.witnesses, "a=node3");
	refuses(&request, "the name 'a'");
	request.witnesses.count = 0;
	add(&request.witnesses, "node3:x");
	refuses(&request, "--witness");
	request.witnesses.count = 0;
	for (unsigned i = 0; i < 6; i++) {
		static const char *const more[] = {"w1", "w2", "w3", "w4", "w5", "w6"};

		add(&request.witnesses, more[i]);
	}
	refuses(&request, "more than 7 voters");
}

static void a_witness_beside_one_replica_is_called_a_risk(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct err err;

	add(&request.replicas, "node1");
	add(&request.witnesses, "node2");
	CHECK_OK(plan(&request, &spec, &err));
	CHECK_STR_HAS("losing either server stops it", plan_advice(&spec));
}

static void a_witness_is_not_in_sync_in_the_first_config(void)
{
	struct plan_request request = request_of("data");
	uint8_t bytes[CONFIG_BYTES_MAX];
	struct config config, again;
	struct volume_spec spec;
	const char *reason = "";
	struct err err;
	int len;

	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	add(&request.witnesses, "node3");
	CHECK_OK(plan(&request, &spec, &err));
	plan_config(&spec, 0, &config);
	CHECK_EQ_U64(3, config.voter_count);
	CHECK_EQ_INT(VOTER_IN, config.voters[1].state);
	CHECK_EQ_INT(VOTER_WITNESS, config.voters[2].kind);
	CHECK_EQ_INT(VOTER_OUT, config.voters[2].state);
	len = config_encode(&config, bytes, sizeof(bytes));
	CHECK_TRUE(len > 0);
	CHECK_OK(config_decode(bytes, (size_t)len, &again, &reason));
	CHECK_OK(volume_spec_match(&spec, 0, &again, &err));
}

static void one_replica_is_called_what_it_is(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct err err;

	add(&request.replicas, "node1");
	CHECK_OK(plan(&request, &spec, &err));
	CHECK_STR_HAS("nothing is mirrored", plan_advice(&spec));
}

static void the_first_config_says_who_is_in_sync(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct config config;
	struct err err;

	request.set_count = 2;
	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	request.no_witness = true;
	CHECK_OK(plan(&request, &spec, &err));
	plan_config(&spec, 1, &config);
	CHECK_EQ_U64(0, config.ballot.epoch);
	CHECK_EQ_U64(1, config.gen);
	CHECK_EQ_U64(1, config.set_index);
	CHECK_EQ_U64(2, config.set_count);
	CHECK_EQ_U64(GIB / 2, config.set_bytes);
	CHECK_EQ_U64(2, config.voter_count);
	CHECK_EQ_INT(VOTER_IN, config.voters[1].state);
	CHECK_STR("node2:7420", config.voters[1].address);
	CHECK_OK(volume_spec_match(&spec, 1, &config, &err));
}

static void the_first_config_survives_its_encoding(void)
{
	struct plan_request request = request_of("data");
	uint8_t bytes[CONFIG_BYTES_MAX];
	struct config config, again;
	struct volume_spec spec;
	const char *reason = "";
	struct err err;
	int len;

	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	add(&request.replicas, "node3");
	CHECK_OK(plan(&request, &spec, &err));
	plan_config(&spec, 0, &config);
	len = config_encode(&config, bytes, sizeof(bytes));
	CHECK_TRUE(len > 0);
	CHECK_OK(config_decode(bytes, (size_t)len, &again, &reason));
	CHECK_EQ_INT(0, config_compare(&config, &again));
}

static void a_policy_is_taken_by_key_and_value(void)
{
	struct plan_request request = request_of("data");
	struct volume_spec spec;
	struct err err;

	add(&request.replicas, "node1");
	add(&request.replicas, "node2");
	add(&request.replicas, "node3");
	add(&request.policy, "min-in-sync=2");
	add(&request.policy, "on-no-quorum=error");
	CHECK_OK(plan(&request, &spec, &err));
	CHECK_EQ_U64(2, spec.policy.min_in_sync);
	CHECK_EQ_INT(NO_QUORUM_ERROR, spec.policy.on_no_quorum);
	request.policy.count = 0;
	add(&request.policy, "min-in-sync=4");
	refuses(&request, "min-in-sync 4: set 0 has 3 replicas only");
	request.policy.items[0] = "min-in-sync=many";
	refuses(&request, "--policy: min-in-sync: 'many' is not a number");
	request.policy.items[0] = "min-in-syn=2";
	refuses(&request, "--policy: 'min-in-syn=2' is not KEY=VALUE");
	request.policy.items[0] = "min-in-sync";
	refuses(&request, "is not KEY=VALUE");
	request.policy.items[0] = "=2";
	refuses(&request, "is not KEY=VALUE");
}

static void a_bad_volume_name_is_refused(void)
{
	static const char *const bad[] = {
		"",   "a/b", "../a", ".a",
		"-a", "a b", "a\n",  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		struct plan_request request = request_of(bad[i]);

		add(&request.replicas, "node1");
		refuses(&request, "name");
	}
}

static void a_size_that_is_no_multiple_of_the_block_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "node1");
	request.size_bytes = GIB + 512;
	refuses(&request, "multiple of the block size");
	request.size_bytes = VOLUME_BYTES_MAX + 4096;
	refuses(&request, "size");
	request.size_bytes = GIB;
	request.block_bytes = 1024;
	refuses(&request, "512 or 4096");
	request.block_bytes = 4096;
	request.chunk_bytes = 100000;
	refuses(&request, "chunk");
}

static void a_volume_too_small_for_its_sets_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "node1");
	request.set_count = 4;
	request.size_bytes = MIB;
	refuses(&request, "too small");
}

static void no_replica_at_all_is_refused(void)
{
	struct plan_request request = request_of("data");

	refuses(&request, "--replica: is missing");
}

static void the_same_server_twice_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "a=node1");
	add(&request.replicas, "b=node1:7420");
	refuses(&request, "node1:7420 is given twice");
}

static void the_same_name_twice_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "a=node1");
	add(&request.replicas, "a=node2");
	refuses(&request, "the name 'a'");
}

static void a_server_twice_in_a_listed_set_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "a=node1");
	add(&request.replica_sets, "a,a");
	refuses(&request, "given twice");
}

static void an_unknown_name_in_a_set_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "a=node1");
	add(&request.replica_sets, "a,b");
	refuses(&request, "'b' is no name given with --replica");
}

static void an_empty_word_in_a_set_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "a=node1");
	add(&request.replica_sets, "a,,");
	refuses(&request, "empty word");
}

static void a_replica_in_no_set_is_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "a=node1");
	add(&request.replicas, "b=node2");
	add(&request.replica_sets, "a");
	refuses(&request, "b (node2:7420) stands in no --replicas-set");
}

static void a_set_count_that_disagrees_is_refused(void)
{
	struct plan_request request = request_of("data");

	request.set_count = 3;
	add(&request.replica_sets, "node1:1,node2:1");
	refuses(&request, "--sets 3: does not agree");
}

static void too_many_replicas_in_a_set_are_refused(void)
{
	struct plan_request request = request_of("data");
	static const char *const nodes[] = {"n1", "n2", "n3", "n4", "n5", "n6"};

	for (unsigned i = 0; i < ARRAY_COUNT(nodes); i++)
		add(&request.replicas, nodes[i]);
	refuses(&request, "more than 5 replicas");
}

static void too_many_sets_are_refused(void)
{
	struct plan_request request = request_of("data");

	add(&request.replicas, "node1");
	request.set_count = SET_COUNT_MAX + 1;
	refuses(&request, "--sets: at most 16");
}

static void bad_addresses_are_refused(void)
{
	static const char *const bad[] = {"=node1", "a=", "node1:0", "node1:99999", "node1:x", "::1", "[::1", "a b"};

	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		struct plan_request request = request_of("data");

		add(&request.replicas, bad[i]);
		refuses(&request, "--replica");
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(three_servers_make_one_set_of_three),
	CHECK_TEST(sets_share_the_servers_when_no_set_is_listed),
	CHECK_TEST(listed_sets_take_names_and_addresses),
	CHECK_TEST(two_replicas_want_a_witness_and_are_told_why),
	CHECK_TEST(two_replicas_without_a_witness_are_advised),
	CHECK_TEST(a_witness_votes_behind_the_replicas_of_every_set),
	CHECK_TEST(a_witness_stays_out_of_sets_that_its_server_has_a_replica_of),
	CHECK_TEST(a_witness_that_votes_nowhere_or_twice_is_refused),
	CHECK_TEST(a_witness_beside_one_replica_is_called_a_risk),
	CHECK_TEST(a_witness_is_not_in_sync_in_the_first_config),
	CHECK_TEST(one_replica_is_called_what_it_is),
	CHECK_TEST(the_first_config_says_who_is_in_sync),
	CHECK_TEST(the_first_config_survives_its_encoding),
	CHECK_TEST(a_policy_is_taken_by_key_and_value),
	CHECK_TEST(a_bad_volume_name_is_refused),
	CHECK_TEST(a_size_that_is_no_multiple_of_the_block_is_refused),
	CHECK_TEST(a_volume_too_small_for_its_sets_is_refused),
	CHECK_TEST(no_replica_at_all_is_refused),
	CHECK_TEST(the_same_server_twice_is_refused),
	CHECK_TEST(the_same_name_twice_is_refused),
	CHECK_TEST(a_server_twice_in_a_listed_set_is_refused),
	CHECK_TEST(an_unknown_name_in_a_set_is_refused),
	CHECK_TEST(an_empty_word_in_a_set_is_refused),
	CHECK_TEST(a_replica_in_no_set_is_refused),
	CHECK_TEST(a_set_count_that_disagrees_is_refused),
	CHECK_TEST(too_many_replicas_in_a_set_are_refused),
	CHECK_TEST(too_many_sets_are_refused),
	CHECK_TEST(bad_addresses_are_refused),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("cli_plan", tests, argc, argv);
}
