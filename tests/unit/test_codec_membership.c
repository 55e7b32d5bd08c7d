/* The messages of the membership conversation: what they keep, and one test for each thing that is refused. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/raw.h"
#include "tests/unit/sample_message.h"

static void check_refused(const struct message *message, const char *words)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];
	const char *reason = NULL;
	struct message got;
	int len = sample_pack(message, bytes);

	CHECK_TRUE(len >= 0);
	CHECK_ERRNO(-EPROTO, codec_unpack(bytes, (size_t)len, &got, &reason));
	CHECK_STR_HAS(words, reason);
}

#define BEND(name, of, statement, words)                                                                               \
	static void name(void)                                                                                         \
	{                                                                                                              \
		struct message m = sample_message(of);                                                                 \
		statement;                                                                                             \
		check_refused(&m, words);                                                                              \
	}
#define NO_BALLOT ((struct ballot){0})
#define REGIONS_MAX (VOLUME_BYTES_MAX / REGION_BYTES)

BEND(a_heartbeat_of_epoch_0_is_refused, MESSAGE_HEARTBEAT, m.promise.ballot = NO_BALLOT, "epoch 0")
BEND(a_forget_of_epoch_0_is_refused, MESSAGE_FORGET, m.promise.ballot = NO_BALLOT, "epoch 0")
BEND(a_list_of_regions_of_epoch_0_is_refused, MESSAGE_LIST_REGIONS, m.regions_ask.ballot = NO_BALLOT, "epoch 0")
BEND(stamped_regions_of_epoch_0_are_refused, MESSAGE_STAMPED_REGIONS, m.regions_ask.ballot = NO_BALLOT, "epoch 0")
BEND(a_stamp_of_epoch_0_is_refused, MESSAGE_STAMP, m.stamp.ballot = NO_BALLOT, "epoch 0")
BEND(a_digest_of_epoch_0_is_refused, MESSAGE_DIGEST, m.digest.ballot = NO_BALLOT, "epoch 0")
BEND(a_run_of_no_region_is_refused, MESSAGE_REGIONS, m.regions.runs[1].count = 0, "no region")
BEND(a_run_that_begins_beyond_the_largest_volume_is_refused, MESSAGE_REGIONS, m.regions.runs[1].first = REGIONS_MAX + 1,
     "largest volume")
BEND(a_run_that_ends_beyond_the_largest_volume_is_refused, MESSAGE_REGIONS, m.regions.runs[1].first = REGIONS_MAX,
     "largest volume")
BEND(a_run_that_wraps_is_refused, MESSAGE_REGIONS, m.regions.runs[1].first = UINT64_MAX, "largest volume")
BEND(runs_that_overlap_are_refused, MESSAGE_REGIONS, m.regions.runs[1].first = 6, "overlap")
BEND(runs_that_descend_are_refused, MESSAGE_REGIONS, m.regions.runs[1].first = 0, "ascend")
BEND(regions_beside_everything_are_refused, MESSAGE_REGIONS, m.regions.everything = true, "beside everything")
BEND(everything_that_promises_more_is_refused, MESSAGE_REGIONS, m.regions.everything = true;
     m.regions.count = 0, "beside everything")
BEND(an_empty_page_that_promises_more_is_refused, MESSAGE_REGIONS, m.regions.count = 0, "promises more")
BEND(a_next_page_that_goes_back_is_refused, MESSAGE_REGIONS, m.regions.next = 7, "next page")
BEND(a_stamp_with_gen_0_is_refused, MESSAGE_STAMP, m.stamp.runs[1].gen = 0, "gen 0")
BEND(a_stamp_of_no_region_is_refused, MESSAGE_STAMP, m.stamp.runs[0].count = 0, "no region")
BEND(stamps_that_overlap_are_refused, MESSAGE_STAMP, m.stamp.runs[1].first = 2, "overlap")
BEND(a_stamp_of_nothing_without_sync_is_refused, MESSAGE_STAMP, m.stamp.count = 0; m.stamp.sync = false, "nothing")
BEND(a_digest_off_the_pieces_is_refused, MESSAGE_DIGEST, m.digest.offset++, "at a piece")
BEND(a_digest_of_nothing_is_refused, MESSAGE_DIGEST, m.digest.length = 0, "of nothing")
BEND(a_digest_of_more_than_a_region_is_refused, MESSAGE_DIGEST, m.digest.length = REGION_BYTES + 1,
     "more than a region")
BEND(a_digest_beyond_the_largest_volume_is_refused, MESSAGE_DIGEST, m.digest.offset = VOLUME_BYTES_MAX,
     "largest volume")
BEND(digests_off_the_pieces_are_refused, MESSAGE_DIGESTED, m.digested.offset = 512, "at a piece")
BEND(no_digest_at_all_is_refused, MESSAGE_DIGESTED, m.digested.count = 0, "1 to 16")

static void raw_digested(struct raw *raw, size_t bytes)
{
	static const uint8_t digests[DIGEST_PIECES_MAX * DIGEST_BYTES + DIGEST_BYTES];
	struct raw body;

	raw_init(&body);
	raw_bytes(&body, 2, digests, bytes);
	raw_init(raw);
	raw_bytes(raw, MESSAGE_DIGESTED, body.bytes, body.len);
}

static void digests_of_another_length_are_refused(void)
{
	static const size_t lengths[] = {1, 15, 17, DIGEST_PIECES_MAX * DIGEST_BYTES + DIGEST_BYTES};
	const char *reason;
	struct message got;
	struct raw raw;

	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		raw_digested(&raw, lengths[i]);
		CHECK_ERRNO(-EPROTO, codec_unpack(raw.bytes, raw.len, &got, &reason));
		CHECK_STR_HAS("1 to 16", reason);
	}
	raw_digested(&raw, DIGEST_PIECES_MAX * DIGEST_BYTES);
	check_unpacks(raw.bytes, (int)raw.len, &got);
	CHECK_EQ_U64(DIGEST_PIECES_MAX, got.digested.count);
}

static void raw_runs(struct raw *raw, unsigned count)
{
	static struct raw body;

	raw_init(&body);
	for (unsigned i = 0; i < count; i++) {
		struct raw run;

		raw_init(&run);
		raw_number(&run, 1, 2 * i);
		raw_number(&run, 2, 1);
		raw_bytes(&body, 4, run.bytes, run.len);
	}
	raw_init(raw);
	raw_bytes(raw, MESSAGE_REGIONS, body.bytes, body.len);
}

static void more_runs_than_allowed_are_refused(void)
{
	static struct raw raw;
	static struct message got;
	const char *reason;

	raw_runs(&raw, REGION_RUNS_MAX + 1);
	CHECK_ERRNO(-EPROTO, codec_unpack(raw.bytes, raw.len, &got, &reason));
	CHECK_STR_HAS("too many runs", reason);
	raw_runs(&raw, REGION_RUNS_MAX);
	check_unpacks(raw.bytes, (int)raw.len, &got);
	CHECK_EQ_U64(REGION_RUNS_MAX, got.regions.count);
}

static void packing_refuses_more_than_the_limits(void)
{
	struct message message = sample_message(MESSAGE_REGIONS);
	uint8_t bytes[MESSAGE_BYTES_MAX];

	message.regions.count = REGION_RUNS_MAX + 1;
	CHECK_ERRNO(-EINVAL, sample_pack(&message, bytes));
	message = sample_message(MESSAGE_STAMP);
	message.stamp.count = REGION_RUNS_MAX + 1;
	CHECK_ERRNO(-EINVAL, sample_pack(&message, bytes));
	message = sample_message(MESSAGE_DIGESTED);
	message.digested.count = DIGEST_PIECES_MAX + 1;
	CHECK_ERRNO(-EINVAL, sample_pack(&message, bytes));
}

static void regions_keep_every_field(void)
{
	struct message message = sample_message(MESSAGE_REGIONS), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_FALSE(got.regions.everything);
	CHECK_TRUE(got.regions.more);
	CHECK_EQ_U64(12, got.regions.next);
	CHECK_EQ_U64(2, got.regions.count);
	CHECK_EQ_U64(3, got.regions.runs[0].first);
	CHECK_EQ_U64(4, got.regions.runs[0].count);
	CHECK_EQ_U64(5, got.regions.runs[0].gen);
	CHECK_EQ_U64(7, got.regions.runs[1].first);
	CHECK_EQ_U64(UINT32_MAX, got.regions.runs[1].gen);
}

static void everything_is_kept(void)
{
	struct message message = {.kind = MESSAGE_REGIONS, .regions.everything = true}, got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_TRUE(got.regions.everything);
	CHECK_EQ_U64(0, got.regions.count);
}

static void an_ask_for_regions_keeps_every_field(void)
{
	struct message message = sample_message(MESSAGE_STAMPED_REGIONS), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_EQ_U64(9, got.regions_ask.ballot.epoch);
	CHECK_EQ_U64(77, got.regions_ask.from);
	CHECK_EQ_U64(6, got.regions_ask.above_gen);
}

static void a_stamp_keeps_every_field(void)
{
	struct message message = sample_message(MESSAGE_STAMP), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_EQ_U64(9, got.stamp.ballot.epoch);
	CHECK_TRUE(got.stamp.sync);
	CHECK_EQ_U64(2, got.stamp.count);
	CHECK_EQ_U64(1, got.stamp.runs[0].first);
	CHECK_EQ_U64(2, got.stamp.runs[0].count);
	CHECK_EQ_U64(6, got.stamp.runs[1].gen);
}

static void a_sync_alone_is_a_stamp(void)
{
	struct message message = sample_message(MESSAGE_STAMP), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	message.stamp.count = 0;
	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_TRUE(got.stamp.sync);
	CHECK_EQ_U64(0, got.stamp.count);
}

static void digests_keep_every_field(void)
{
	struct message ask = sample_message(MESSAGE_DIGEST), answer = sample_message(MESSAGE_DIGESTED), got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	check_unpacks(bytes, sample_pack(&ask, bytes), &got);
	CHECK_EQ_U64(3 * DIGEST_PIECE_BYTES, got.digest.offset);
	CHECK_EQ_U64(70000, got.digest.length);
	check_unpacks(bytes, sample_pack(&answer, bytes), &got);
	CHECK_EQ_U64(3 * DIGEST_PIECE_BYTES, got.digested.offset);
	CHECK_EQ_U64(2, got.digested.count);
	CHECK_MEM(answer.digested.digests, got.digested.digests, 2 * (size_t)DIGEST_BYTES);
}

static void the_fullest_page_of_regions_fits_the_limits(void)
{
	static struct message message = {.kind = MESSAGE_REGIONS}, got;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	message.regions.count = REGION_RUNS_MAX;
	for (unsigned i = 0; i < REGION_RUNS_MAX; i++)
		message.regions.runs[i] = (struct region_run){
			.first = REGIONS_MAX - 2 * (REGION_RUNS_MAX - i), .count = 2, .gen = UINT32_MAX};
	message.regions.more = true;
	message.regions.next = REGIONS_MAX;
	check_unpacks(bytes, sample_pack(&message, bytes), &got);
	CHECK_EQ_U64(REGION_RUNS_MAX, got.regions.count);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_heartbeat_of_epoch_0_is_refused),
	CHECK_TEST(a_forget_of_epoch_0_is_refused),
	CHECK_TEST(a_list_of_regions_of_epoch_0_is_refused),
	CHECK_TEST(stamped_regions_of_epoch_0_are_refused),
	CHECK_TEST(a_stamp_of_epoch_0_is_refused),
	CHECK_TEST(a_digest_of_epoch_0_is_refused),
	CHECK_TEST(a_run_of_no_region_is_refused),
	CHECK_TEST(a_run_that_begins_beyond_the_largest_volume_is_refused),
	CHECK_TEST(a_run_that_ends_beyond_the_largest_volume_is_refused),
	CHECK_TEST(a_run_that_wraps_is_refused),
	CHECK_TEST(runs_that_overlap_are_refused),
	CHECK_TEST(runs_that_descend_are_refused),
	CHECK_TEST(regions_beside_everything_are_refused),
	CHECK_TEST(everything_that_promises_more_is_refused),
	CHECK_TEST(an_empty_page_that_promises_more_is_refused),
	CHECK_TEST(a_next_page_that_goes_back_is_refused),
	CHECK_TEST(a_stamp_with_gen_0_is_refused),
	CHECK_TEST(a_stamp_of_no_region_is_refused),
	CHECK_TEST(stamps_that_overlap_are_refused),
	CHECK_TEST(a_stamp_of_nothing_without_sync_is_refused),
	CHECK_TEST(a_digest_off_the_pieces_is_refused),
	CHECK_TEST(a_digest_of_nothing_is_refused),
	CHECK_TEST(a_digest_of_more_than_a_region_is_refused),
	CHECK_TEST(a_digest_beyond_the_largest_volume_is_refused),
	CHECK_TEST(digests_off_the_pieces_are_refused),
	CHECK_TEST(no_digest_at_all_is_refused),
	CHECK_TEST(digests_of_another_length_are_refused),
	CHECK_TEST(more_runs_than_allowed_are_refused),
	CHECK_TEST(packing_refuses_more_than_the_limits),
	CHECK_TEST(regions_keep_every_field),
	CHECK_TEST(everything_is_kept),
	CHECK_TEST(an_ask_for_regions_keeps_every_field),
	CHECK_TEST(a_stamp_keeps_every_field),
	CHECK_TEST(a_sync_alone_is_a_stamp),
	CHECK_TEST(digests_keep_every_field),
	CHECK_TEST(the_fullest_page_of_regions_fits_the_limits),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("codec_membership", tests, argc, argv);
}
