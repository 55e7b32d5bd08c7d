/* scribbler: an application that changes its buffers while they are written, all the time, as a database that updates
 * a page under writeback does. What such a write stores is not defined; that all replicas store the same is (P10).
 * scribbler SHM_PATH SECONDS MIN_BYTES MAX_BYTES SEED
 * One thread writes and waits, another one scribbles. Prints how many of both; replicas are compared by who calls it.
 * Knows the shared memory's client and nothing of replicas. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "gateway/drivers/shm_ring.h"
#include "tests/native/lib/tool.h"

#define DEPTH 8u
#define STALL_MS 120000
#define COMPLETIONS_MAX DEPTH

struct scribbler {
	struct shm_client *client;
	uint64_t min_bytes, max_bytes, seed, scribble_seed;
	uint64_t volume_bytes, block_bytes;
	uint64_t writes, scribbles;
	uint32_t gateways;
	bool is_busy[DEPTH];
	int stop; /* atomic */
};

/* One word of every page of one buffer after the other, so that no send finds them as they were. */
static void *scribble(void *arg)
{
	struct scribbler *it = arg;
	uint64_t state = it->scribble_seed;

	while (!__atomic_load_n(&it->stop, __ATOMIC_RELAXED)) {
		uint64_t *words = shm_client_payload(it->client, (unsigned)(it->scribbles % DEPTH));
		uint64_t value = tool_random(&state), within = value % (SHM_PAGE_BYTES / sizeof(*words));

		for (uint64_t at = within; at < it->max_bytes / sizeof(*words); at += SHM_PAGE_BYTES / sizeof(*words))
			__atomic_store_n(&words[at], value, __ATOMIC_RELAXED);
		it->scribbles++;
	}
	return NULL;
}

static uint64_t random_blocks(struct scribbler *it, uint64_t below_bytes)
{
	return tool_random_below(&it->seed, below_bytes / it->block_bytes) * it->block_bytes;
}

static void submit(struct scribbler *it, unsigned slot, enum shm_op op, uint64_t offset, uint64_t length)
{
	int error = shm_client_submit(it->client, slot, op, 0, offset, length);

	if (error)
		tool_die(EXIT_CANNOT, "submit: %s", strerror(-error));
	it->is_busy[slot] = true;
}

static void submit_write(struct scribbler *it, unsigned slot)
{
	uint64_t length = it->min_bytes + random_blocks(it, it->max_bytes - it->min_bytes + it->block_bytes);

	submit(it, slot, SHM_WRITE, random_blocks(it, it->volume_bytes - length), length);
	it->writes++;
}

static void collect(struct scribbler *it)
{
	struct shm_completion done[COMPLETIONS_MAX];
	unsigned count;

	if (shm_client_wait(it->client, STALL_MS) != 0)
		tool_die(EXIT_WRONG, "WRONG: nothing completed for %d ms", STALL_MS);
	count = shm_client_poll(it->client, done, COMPLETIONS_MAX);
	for (unsigned i = 0; i < count; i++) {
		if (done[i].error)
			tool_die(EXIT_WRONG, "WRONG: a request failed: %s", strerror(-done[i].error));
		it->is_busy[done[i].slot] = false;
	}
}

static void run(struct scribbler *it, uint64_t seconds)
{
	uint64_t end_ns = clock_now_ns() + seconds * NS_PER_S;

	while (clock_now_ns() < end_ns) {
		for (unsigned slot = 0; slot < DEPTH; slot++) {
			if (!it->is_busy[slot])
				submit_write(it, slot);
		}
		collect(it);
	}
	while (shm_client_outstanding(it->client) > 0)
		collect(it);
	submit(it, 0, SHM_FLUSH, 0, 0);
	while (shm_client_outstanding(it->client) > 0)
		collect(it);
}

int main(int argc, char **argv)
{
	struct scribbler it = {0};
	struct err err = {0};
	pthread_t thread;

	if (argc != 6)
		tool_die(EXIT_CANNOT, "scribbler SHM_PATH SECONDS MIN_BYTES MAX_BYTES SEED");
	it.min_bytes = tool_number(argv[3], "MIN_BYTES");
	it.max_bytes = tool_number(argv[4], "MAX_BYTES");
	it.seed = tool_number(argv[5], "SEED");
	it.scribble_seed = it.seed + 1;
	if (shm_client_create(argv[1], DEPTH, (uint32_t)it.max_bytes, &it.client, &err) != 0)
		tool_die(EXIT_CANNOT, "%s", err.text);
	if (shm_client_wait_gateway(it.client, &it.gateways, STALL_MS) != 0)
		tool_die(EXIT_WRONG, "no gateway serves %s", argv[1]);
	it.volume_bytes = shm_client_volume_bytes(it.client);
	it.block_bytes = shm_client_block_bytes(it.client);
	puts("serving");
	fflush(stdout);
	if (pthread_create(&thread, NULL, scribble, &it) != 0)
		tool_die(EXIT_CANNOT, "no thread");
	run(&it, tool_number(argv[2], "SECONDS"));
	__atomic_store_n(&it.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	printf("ok writes=%llu scribbles=%llu\n", (unsigned long long)it.writes, (unsigned long long)it.scribbles);
	shm_client_free(it.client);
	return 0;
}
