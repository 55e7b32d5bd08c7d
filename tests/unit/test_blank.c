/* A directory made to replace a lost one: it says nothing until it is seeded, once, and then it is a voter with a past.
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/replica_rig.h"

#define EPOCH 5u
#define NONCE 55u
#define GEN 9u

static struct rig rig;

static const enum message_kind kinds[] = {MESSAGE_HEARTBEAT, MESSAGE_LIST_REGIONS, MESSAGE_STAMPED_REGIONS,
					  MESSAGE_STAMP,     MESSAGE_DIGEST,	   MESSAGE_FORGET};

static void begin(bool is_witness)
{
	if (is_witness)
		rig_init_witness(&rig);
	else
		rig_init(&rig);
	rig.replica.sb.incompat |= SUPERBLOCK_INCOMPAT_BLANK;
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_ask(&rig, 0, MESSAGE_CLAIM, EPOCH, NONCE);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[0].answer.kind);
	rig.lanes[0].answer_count = 0;
}

/* By which the replica of the rig has its vote; another one has the data. */
static struct message seed(void)
{
	struct message message = {.kind = MESSAGE_SEED, .accept = {.ballot = {EPOCH, NONCE}}};
	struct config *config = &message.accept.config;

	*config = rig.sb.config;
	config->ballot = message.accept.ballot;
	config->gen = GEN;
	if (config->voter_count == 1) {
		config->voters[1] = config->voters[0];
		config->voters[1].uuid.bytes[15] = 4;
		config->voter_count = 2;
		config->voters[0].state = VOTER_OUT;
		config->voters[0].compare = COMPARE_EVERYTHING;
		config->voters[0].in_sync_gen = 0;
	}
	config->voters[0].life = config_life(EPOCH, GEN);
	return message;
}

static void check_refused(unsigned idx, enum refusal refusal, const char *part)
{
	const struct rig_lane *lane = &rig.lanes[idx];

	CHECK_EQ_INT(MESSAGE_REFUSED, lane->answer.kind);
	CHECK_STR(refusal_name(refusal), refusal_name(lane->answer.refused.refusal));
	CHECK_STR_HAS(part, lane->answer.refused.text);
	CHECK_TRUE(lane->closing);
}

static void check_seed_refused(const struct message *message, enum refusal refusal, const char *part)
{
	rig_message(&rig, 0, message);
	check_refused(0, refusal, part);
	CHECK_EQ_U64(0, rig.mem.pending_count);
	CHECK_EQ_U64(1, rig.replica.sb.config.gen);
	rig_fini(&rig);
}

static const struct message_state *probe(unsigned idx)
{
	rig_ask(&rig, idx, MESSAGE_PROBE, 0, 0);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[idx].answer.kind);
	return &rig.lanes[idx].answer.state;
}

static void everything_but_probe_and_claim_is_refused(bool is_witness)
{
	begin(is_witness);
	CHECK_TRUE(probe(0)->is_blank);
	CHECK_EQ_U64(EPOCH, probe(0)->promised.epoch); /* which is no vote */
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		if (is_witness && kinds[i] != MESSAGE_HEARTBEAT)
			continue; /* refused as it ever was */
		rig_lane(&rig, 1, REPLICA_LANE_MAIN);
		rig_ask(&rig, 1, kinds[i], EPOCH, NONCE);
		check_refused(1, REFUSAL_BLANK, "no vote yet");
		rig_lane_gone(&rig, 1);
	}
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 1, EPOCH, NONCE);
	check_refused(1, REFUSAL_BLANK, "no vote yet");
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	rig_accept(&rig, 2, EPOCH, NONCE, &rig.sb.config);
	check_refused(2, REFUSAL_BLANK, "no vote yet");
	rig_lane(&rig, 3, REPLICA_LANE_MAIN);
	rig_open(&rig, 3, EPOCH, NONCE, 1);
	check_refused(3, is_witness ? REFUSAL_ORDER : REFUSAL_BLANK, is_witness ? "witness" : "no vote yet");
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_fini(&rig);
}

/* It was sent before the gateway lost that connection, and the life that the next one gets is another. */
static void a_seed_of_an_older_connection_comes_too_late(void)
{
	struct message late, message;

	begin(false);
	late = message = seed();
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	CHECK_TRUE(probe(1)->is_blank);
	late.accept.config.voters[0].life = config_life(EPOCH, GEN - 1);
	rig_message(&rig, 0, &late);
	check_refused(0, REFUSAL_ORDER, "another connection");
	rig_message(&rig, 1, &message);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_SEEDED, rig.lanes[1].answer.kind);
	CHECK_EQ_U64(config_life(EPOCH, GEN), probe(1)->life);
	rig_fini(&rig);
}

static void a_blank_replica_promises_accepts_leases_and_serves_nothing(void)
{
	everything_but_probe_and_claim_is_refused(false);
}

static void a_blank_witness_promises_accepts_and_leases_nothing(void)
{
	everything_but_probe_and_claim_is_refused(true);
}

static void it_has_its_vote_once_the_seed_is_durable(bool is_witness)
{
	struct message message;
	struct superblock_slots slots;
	struct superblock sb = {0};

	begin(is_witness);
	message = seed();
	rig_message(&rig, 0, &message);
	CHECK_EQ_U64(0, rig.lanes[0].answer_count);
	CHECK_EQ_U64(1, rig.mem.pending_count); /* one write */
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_SEEDED, rig.lanes[0].answer.kind);
	CHECK_OK(superblock_choose(rig.mem.superblock, &sb, &slots));
	CHECK_FALSE(superblock_is_blank(&sb));
	CHECK_EQ_U64(EPOCH, sb.promised.epoch);
	CHECK_EQ_U64(NONCE, sb.promised.nonce);
	CHECK_EQ_U64(GEN, sb.config.gen);
	CHECK_EQ_U64(config_life(EPOCH, GEN), sb.life);
	CHECK_FALSE(probe(0)->is_blank);
	CHECK_EQ_U64(config_life(EPOCH, GEN), probe(0)->life);
	rig_promise(&rig, 0, EPOCH - 1, NONCE);
	check_refused(0, REFUSAL_STALE_EPOCH, "higher");
	rig_fini(&rig);
}

static void a_seeded_replica_is_a_voter_that_promised_and_accepted(void)
{
	it_has_its_vote_once_the_seed_is_durable(false);
}

static void a_seeded_witness_is_a_voter_that_promised_and_accepted(void)
{
	it_has_its_vote_once_the_seed_is_durable(true);
}

static void what_is_seeded_may_have_granted_a_lease_until_now(void)
{
	struct message message;

	begin(false);
	message = seed();
	CHECK_EQ_U64(0, probe(0)->lease_left_ms);
	rig_message(&rig, 0, &message);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(VOTER_LEASE_NS / 1000000, probe(0)->lease_left_ms);
	rig_fini(&rig);
}

static void a_seed_that_cannot_be_stored_gives_no_vote(void)
{
	struct message message;
	struct store_op *op;

	begin(false);
	message = seed();
	rig_message(&rig, 0, &message);
	op = mem_store_find(&rig.mem, STORE_WRITE_SUPERBLOCK);
	CHECK_NOT_NULL(op);
	mem_store_complete(&rig.mem, op, -EIO);
	check_refused(0, REFUSAL_STORE, "superblock");
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_ask(&rig, 1, MESSAGE_HEARTBEAT, EPOCH, NONCE);
	check_refused(1, REFUSAL_STORE, "superblock");
	rig_fini(&rig);
}

static void a_replica_with_its_vote_is_not_seeded(void)
{
	struct message message;

	rig_init(&rig);
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_promise(&rig, 0, EPOCH, NONCE);
	mem_store_run(&rig.mem);
	message = seed();
	check_seed_refused(&message, REFUSAL_ORDER, "not blank");
}

static void nothing_is_seeded_twice(void)
{
	struct message message;

	begin(false);
	message = seed();
	rig_message(&rig, 0, &message);
	mem_store_run(&rig.mem);
	message.accept.config.gen = GEN + 1;
	message.accept.config.voters[0].life = config_life(EPOCH, GEN + 1);
	rig_message(&rig, 0, &message);
	check_refused(0, REFUSAL_ORDER, "not blank");
	CHECK_EQ_U64(config_life(EPOCH, GEN), rig.replica.sb.life);
	rig_fini(&rig);
}

static void a_seed_of_an_older_attachment_is_refused(void)
{
	struct message message;

	begin(false);
	message = seed();
	message.accept.ballot.epoch = message.accept.config.ballot.epoch = EPOCH - 1;
	message.accept.config.voters[0].life = config_life(EPOCH - 1, GEN);
	rig_message(&rig, 0, &message);
	check_refused(0, REFUSAL_STALE_EPOCH, "this attachment is over");
	CHECK_TRUE(superblock_is_blank(&rig.replica.sb));
	rig_fini(&rig);
}

static void a_seed_of_an_attachment_without_a_promise_is_refused(void)
{
	struct message message;

	begin(false);
	message = seed();
	message.accept.ballot.epoch = message.accept.config.ballot.epoch = EPOCH + 1;
	rig_message(&rig, 0, &message);
	check_refused(0, REFUSAL_NOT_PROMISED, "ask for a promise");
	CHECK_TRUE(superblock_is_blank(&rig.replica.sb));
	rig_fini(&rig);
}

static void a_config_without_a_new_life_seeds_nothing(void)
{
	struct message message;

	begin(false);
	message = seed();
	message.accept.config.voters[0].life = 0;
	check_seed_refused(&message, REFUSAL_BAD_CONFIG, "new directory");
}

static void a_config_that_has_it_in_sync_seeds_nothing(void)
{
	struct message message;

	begin(false);
	message = seed();
	message.accept.config.voters[0].state = VOTER_IN;
	check_seed_refused(&message, REFUSAL_BAD_CONFIG, "everything");
}

static void a_config_that_compares_less_than_everything_seeds_nothing(void)
{
	struct message message;

	begin(false);
	message = seed();
	message.accept.config.voters[0].compare = COMPARE_ITS_LIST;
	check_seed_refused(&message, REFUSAL_BAD_CONFIG, "everything");
}

static void a_config_of_another_attachment_seeds_nothing(void)
{
	struct message message;

	begin(false);
	message = seed();
	message.accept.config.ballot.nonce++;
	check_seed_refused(&message, REFUSAL_BAD_CONFIG, "another attachment");
}

static void the_old_directory_stores_no_config_that_names_the_new_one(void)
{
	struct message message;

	rig_init(&rig);
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_promise(&rig, 0, EPOCH, NONCE);
	mem_store_run(&rig.mem);
	message = seed();
	rig_accept(&rig, 0, EPOCH, NONCE, &message.accept.config);
	check_refused(0, REFUSAL_BAD_CONFIG, "another directory");
	CHECK_EQ_U64(1, rig.replica.sb.config.gen);
	rig_fini(&rig);
}

static void a_blank_replica_stays_blank_over_an_orderly_stop(void)
{
	struct superblock_slots slots;
	struct superblock sb = {0};
	struct replica_info info;

	begin(false);
	rig_lane_gone(&rig, 0);
	replica_info(&rig.replica, &info);
	CHECK_TRUE(info.is_blank);
	replica_stop(&rig.replica);
	mem_store_run(&rig.mem);
	CHECK_TRUE(rig.stopped);
	CHECK_OK(superblock_choose(rig.mem.superblock, &sb, &slots));
	CHECK_TRUE(superblock_is_blank(&sb));
	rig_fini(&rig);
}

/* -- The superblock and the config -- */

static void check_undecodable(const struct superblock *sb)
{
	uint8_t slot[SUPERBLOCK_SLOT_BYTES];
	const char *reason = NULL;
	struct superblock ret;

	CHECK_OK(superblock_encode(sb, slot));
	CHECK_ERRNO(-EINVAL, superblock_decode(slot, &ret, &reason));
	CHECK_STR_HAS("different lives", reason);
}

static void a_superblock_of_two_lives_is_refused(void)
{
	struct superblock sb;

	rig_superblock(&sb);
	sb.life = config_life(1, 2);
	check_undecodable(&sb);
	rig_superblock(&sb);
	sb.config.ballot.epoch = 3;
	sb.config.gen = 3;
	sb.config.voters[0].life = config_life(1, 2);
	check_undecodable(&sb);
}

static void a_blank_superblock_with_a_past_is_refused(void)
{
	struct superblock sb;

	rig_superblock(&sb);
	sb.incompat = SUPERBLOCK_INCOMPAT_BLANK;
	sb.config.ballot.epoch = 1;
	check_undecodable(&sb);
}

static void lives_survive_the_config_record_and_cost_nothing_before(void)
{
	struct message message;
	uint8_t with[CONFIG_BYTES_MAX], without[CONFIG_BYTES_MAX];
	const char *reason = NULL;
	struct config got;
	int bytes;

	begin(false);
	message = seed();
	bytes = config_encode(&message.accept.config, with, sizeof(with));
	CHECK_TRUE(bytes > 0);
	CHECK_OK(config_decode(with, (size_t)bytes, &got, &reason));
	CHECK_EQ_U64(config_life(EPOCH, GEN), got.voters[0].life);
	CHECK_EQ_U64(0, got.voters[1].life);
	message.accept.config.voters[0].life = 0;
	CHECK_EQ_INT(bytes - 16, config_encode(&message.accept.config, without, sizeof(without)));
	CHECK_EQ_U64(0, without[8]); /* no feature bit: any version reads it */
	rig_fini(&rig);
}

static void a_life_from_the_future_is_refused(void)
{
	static const uint64_t lives[] = {(uint64_t)EPOCH << 32 | (GEN + 1), (uint64_t)(EPOCH + 1) << 32 | GEN, GEN,
					 (uint64_t)EPOCH << 32};
	uint8_t bytes[CONFIG_BYTES_MAX];
	const char *reason = NULL;
	struct message message;
	struct config got;
	int len;

	begin(false);
	message = seed();
	for (unsigned i = 0; i < ARRAY_COUNT(lives); i++) {
		message.accept.config.voters[0].life = lives[i];
		len = config_encode(&message.accept.config, bytes, sizeof(bytes));
		CHECK_TRUE(len > 0);
		CHECK_ERRNO(-EINVAL, config_decode(bytes, (size_t)len, &got, &reason));
		CHECK_STR_HAS("life", reason);
	}
	rig_fini(&rig);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_seed_of_an_older_connection_comes_too_late),
	CHECK_TEST(a_blank_replica_promises_accepts_leases_and_serves_nothing),
	CHECK_TEST(a_blank_witness_promises_accepts_and_leases_nothing),
	CHECK_TEST(a_seeded_replica_is_a_voter_that_promised_and_accepted),
	CHECK_TEST(a_seeded_witness_is_a_voter_that_promised_and_accepted),
	CHECK_TEST(what_is_seeded_may_have_granted_a_lease_until_now),
	CHECK_TEST(a_seed_that_cannot_be_stored_gives_no_vote),
	CHECK_TEST(a_replica_with_its_vote_is_not_seeded),
	CHECK_TEST(nothing_is_seeded_twice),
	CHECK_TEST(a_seed_of_an_older_attachment_is_refused),
	CHECK_TEST(a_seed_of_an_attachment_without_a_promise_is_refused),
	CHECK_TEST(a_config_without_a_new_life_seeds_nothing),
	CHECK_TEST(a_config_that_has_it_in_sync_seeds_nothing),
	CHECK_TEST(a_config_that_compares_less_than_everything_seeds_nothing),
	CHECK_TEST(a_config_of_another_attachment_seeds_nothing),
	CHECK_TEST(the_old_directory_stores_no_config_that_names_the_new_one),
	CHECK_TEST(a_blank_replica_stays_blank_over_an_orderly_stop),
	CHECK_TEST(a_superblock_of_two_lives_is_refused),
	CHECK_TEST(a_blank_superblock_with_a_past_is_refused),
	CHECK_TEST(lives_survive_the_config_record_and_cost_nothing_before),
	CHECK_TEST(a_life_from_the_future_is_refused),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("blank", tests, argc, argv);
}
