/* The out queue of a lane and the pool of batch buffers: order, merging, wrap-around, fullness. */
#include <string.h>

#include "gateway/drivers/batch.h"
#include "gateway/drivers/lane_queue.h"
#include "tests/unit/check.h"

static void put(struct lane_queue *queue, uint8_t value, uint32_t len)
{
	uint8_t *bytes = lane_queue_bytes(queue, len);

	CHECK_NOT_NULL(bytes);
	memset(bytes, value, len);
}

static void bytes_queued_one_after_the_other_are_one_entry(void)
{
	struct lane_queue queue;

	CHECK_OK(lane_queue_init(&queue, 4, 1000));
	put(&queue, 1, 64);
	put(&queue, 2, 64);
	CHECK_EQ_U64(1, queue.count);
	CHECK_EQ_U64(128, lane_queue_at(&queue, 0)->bytes);
	CHECK_EQ_U64(1, queue.bytes[0]);
	CHECK_EQ_U64(2, queue.bytes[64]);
	lane_queue_fini(&queue);
}

static void bytes_are_not_added_to_what_is_being_sent(void)
{
	struct lane_queue queue;

	CHECK_OK(lane_queue_init(&queue, 4, 1000));
	put(&queue, 1, 64);
	lane_queue_seal(&queue, 1);
	put(&queue, 2, 64);
	put(&queue, 3, 64);
	CHECK_EQ_U64(2, queue.count);
	CHECK_EQ_U64(64, lane_queue_pop(&queue).bytes);
	CHECK_EQ_U64(128, lane_queue_pop(&queue).bytes);
	lane_queue_fini(&queue);
}

static void other_entries_keep_their_place_between_bytes(void)
{
	struct lane_queue queue;

	CHECK_OK(lane_queue_init(&queue, 8, 1000));
	put(&queue, 1, 64);
	CHECK_TRUE(lane_queue_add(&queue, OUT_PAYLOAD, 77));
	put(&queue, 2, 64);
	CHECK_EQ_INT(OUT_BYTES, lane_queue_pop(&queue).kind);
	CHECK_EQ_U64(77, lane_queue_pop(&queue).ref);
	CHECK_EQ_INT(OUT_BYTES, lane_queue_pop(&queue).kind);
	CHECK_EQ_U64(0, queue.count);
	lane_queue_fini(&queue);
}

static void a_full_queue_refuses(void)
{
	struct lane_queue queue;

	CHECK_OK(lane_queue_init(&queue, 2, 1000));
	CHECK_TRUE(lane_queue_add(&queue, OUT_BATCH, 1));
	CHECK_TRUE(lane_queue_add(&queue, OUT_BATCH, 2));
	CHECK_FALSE(lane_queue_add(&queue, OUT_BATCH, 3));
	CHECK_NULL(lane_queue_bytes(&queue, 64));
	lane_queue_fini(&queue);
	CHECK_OK(lane_queue_init(&queue, 8, 100));
	put(&queue, 1, 64);
	CHECK_NULL(lane_queue_bytes(&queue, 37));
	put(&queue, 1, 36);
	lane_queue_fini(&queue);
}

/* A model: what was put in comes out in order, whatever wraps around. */
static void random_traffic_comes_out_as_it_went_in(void)
{
	struct check_random random;
	struct lane_queue queue;
	uint8_t in = 0, out = 0;

	check_random_init(&random);
	CHECK_OK(lane_queue_init(&queue, 5, 700));
	for (unsigned round = 0; round < 200000; round++) {
		if (check_random_below(&random, 2)) {
			uint32_t len = (uint32_t)check_random_below(&random, 300) + 1;
			uint8_t *bytes = lane_queue_bytes(&queue, len);

			for (uint32_t i = 0; bytes && i < len; i++)
				bytes[i] = in++;
		} else if (queue.count) {
			const struct out_entry *entry = lane_queue_at(&queue, 0);

			for (uint32_t i = 0; i < entry->bytes; i++)
				CHECK_EQ_U64(out++, queue.bytes[entry->start + i]);
			lane_queue_pop(&queue);
		}
		if (check_random_below(&random, 3) == 0)
			lane_queue_seal(&queue, queue.count);
	}
	lane_queue_fini(&queue);
}

static void a_batch_comes_back_when_every_leg_has_put_it(void)
{
	struct batch_pool pool = {0};
	struct batch *batch;

	CHECK_OK(batch_pool_init(&pool));
	batch = batch_take(&pool, 0, 0xb);
	CHECK_EQ_U64(3, batch->refs);
	batch_put(&pool, batch);
	batch_put(&pool, batch);
	CHECK_EQ_U64(BATCH_COUNT - 1, pool.free_count);
	batch_put(&pool, batch);
	CHECK_EQ_U64(BATCH_COUNT, pool.free_count);
	CHECK_TRUE(batch == batch_take(&pool, 0, 1));
	batch_pool_fini(&pool);
}

static void an_open_batch_is_found_by_set_and_legs_while_it_has_room(void)
{
	struct batch_pool pool = {0};
	struct batch *batch;

	CHECK_OK(batch_pool_init(&pool));
	batch = batch_take(&pool, 2, 0x30);
	CHECK_NULL(batch_find_open(&pool, 2, 0x30, 64));
	batch_open(&pool, batch);
	CHECK_TRUE(batch == batch_find_open(&pool, 2, 0x30, BATCH_BYTES_MAX));
	CHECK_NULL(batch_find_open(&pool, 2, 0x10, 64));
	CHECK_NULL(batch_find_open(&pool, 1, 0x30, 64));
	batch->used_bytes = BATCH_BYTES_MAX - 64;
	CHECK_TRUE(batch == batch_find_open(&pool, 2, 0x30, 64));
	CHECK_NULL(batch_find_open(&pool, 2, 0x30, 65));
	CHECK_FALSE(batch->is_open);
	batch_pool_fini(&pool);
}

static void a_pool_without_free_batches_gives_none(void)
{
	struct batch_pool pool = {0};

	CHECK_OK(batch_pool_init(&pool));
	for (unsigned i = 0; i < BATCH_COUNT; i++)
		CHECK_NOT_NULL(batch_take(&pool, 0, 1));
	CHECK_NULL(batch_take(&pool, 0, 1));
	batch_pool_fini(&pool);
}

static const struct check_test tests[] = {
	CHECK_TEST(bytes_queued_one_after_the_other_are_one_entry),
	CHECK_TEST(bytes_are_not_added_to_what_is_being_sent),
	CHECK_TEST(other_entries_keep_their_place_between_bytes),
	CHECK_TEST(a_full_queue_refuses),
	CHECK_TEST(random_traffic_comes_out_as_it_went_in),
	CHECK_TEST(a_batch_comes_back_when_every_leg_has_put_it),
	CHECK_TEST(an_open_batch_is_found_by_set_and_legs_while_it_has_room),
	CHECK_TEST(a_pool_without_free_batches_gives_none),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("lane_queue", tests, argc, argv);
}
