/* In which order a store tells what became of operations that were to make cached data durable. The kernel's answers
 * are made up here: nothing is submitted. */
#include <errno.h>
#include <string.h>

#include "common/limits.h"
#include "replica-server/drivers/store_file.h"
#include "tests/unit/check.h"

struct job {
	struct store_op op;
	unsigned told; /* as the how manieth; 0: not yet */
};

static struct ring ring;
static struct buffers buffers;
static struct store_queue queue;
static struct store_file file;
static struct job jobs[4];
static unsigned told_count;
static uint8_t bytes[4096];

static void done(struct store_op *op)
{
	container_of(op, struct job, op)->told = ++told_count;
}

static void begin(void)
{
	struct err err = {0};

	CHECK_OK(ring_init(&ring, 64, 256, &err));
	CHECK_OK(buffers_init(&buffers, 4 * MIB));
	CHECK_OK(store_queue_init(&queue, &ring, &buffers, 64));
	store_file_init(&file, &queue, 0, 0, 0);
	memset(jobs, 0, sizeof(jobs));
	told_count = 0;
}

static void end(void)
{
	CHECK_TRUE(list_is_empty(&file.durables) && list_is_empty(&file.successes));
	store_queue_fini(&queue);
	buffers_fini(&buffers);
	ring_fini(&ring);
}

static struct job *submit(unsigned idx, enum store_kind kind, bool durable)
{
	struct job *job = &jobs[idx];

	job->op = (struct store_op){
		.kind = kind, .durable = durable, .length = sizeof(bytes), .data = bytes, .done = done};
	file.store.ops->submit(&file.store, &job->op);
	return job;
}

/* The kernel's answer to what the operation asked last. */
static void answer(const struct job *job, int result)
{
	for (uint32_t i = 0; i < queue.cap; i++) {
		const struct io_uring_cqe cqe = {.user_data = ud_pack(UD_STORE, i), .res = result};

		if (queue.inflight[i] != &job->op)
			continue;
		store_queue_on_cqe(&queue, &cqe);
		(void)store_queue_run(&queue);
		return;
	}
	CHECK_FAIL("it has asked nothing");
}

static void a_success_is_told_after_the_failure_of_what_ran_beside_it(void)
{
	struct job *write, *sync;

	begin();
	write = submit(0, STORE_WRITE, true);
	sync = submit(1, STORE_SYNC, false);
	answer(sync, 0);
	CHECK_EQ_U64(0, sync->told);
	answer(write, -EIO);
	CHECK_EQ_U64(1, write->told);
	CHECK_EQ_U64(2, sync->told);
	CHECK_ERRNO(-EIO, write->op.error);
	CHECK_OK(sync->op.error);
	end();
}

static void a_success_waits_for_nothing_that_began_after_it(void)
{
	struct job *write, *sync, *later;

	begin();
	write = submit(0, STORE_WRITE, true);
	sync = submit(1, STORE_SYNC, false);
	answer(sync, 0);
	later = submit(2, STORE_SYNC, false);
	answer(write, sizeof(bytes));
	CHECK_EQ_U64(1, sync->told);
	CHECK_EQ_U64(0, write->told); /* the later one ran beside it */
	answer(later, 0);
	CHECK_EQ_U64(2, write->told);
	CHECK_EQ_U64(3, later->told);
	end();
}

static void a_discard_shares_the_failure_of_its_sync(void)
{
	struct job *discard, *sync;

	begin();
	discard = submit(0, STORE_PUNCH, true);
	sync = submit(1, STORE_SYNC, false);
	answer(discard, 0); /* punched, and now synced */
	answer(sync, 0);
	CHECK_EQ_U64(0, told_count);
	answer(discard, -ENOSPC);
	CHECK_EQ_U64(1, discard->told);
	CHECK_ERRNO(-EIO, discard->op.error);
	CHECK_EQ_U64(2, sync->told);
	end();
}

static void what_makes_nothing_durable_holds_nobody_up(void)
{
	struct job *write, *sync, *stamps;

	begin();
	write = submit(0, STORE_WRITE, false);
	stamps = submit(1, STORE_WRITE_STAMPS, true); /* another file */
	sync = submit(2, STORE_SYNC, false);
	answer(sync, 0);
	CHECK_EQ_U64(1, sync->told);
	answer(write, sizeof(bytes));
	answer(stamps, sizeof(bytes));
	CHECK_EQ_U64(3, told_count);
	end();
}

static void direct_data_have_no_failure_to_share(void)
{
	struct job *write, *sync;

	begin();
	file.direct_bytes = 512;
	write = submit(0, STORE_WRITE, true);
	sync = submit(1, STORE_SYNC, false);
	answer(sync, 0);
	CHECK_EQ_U64(1, sync->told);
	answer(write, -EIO);
	CHECK_EQ_U64(2, write->told);
	end();
}

static const struct check_test tests[] = {
	CHECK_TEST(a_success_is_told_after_the_failure_of_what_ran_beside_it),
	CHECK_TEST(a_success_waits_for_nothing_that_began_after_it),
	CHECK_TEST(a_discard_shares_the_failure_of_its_sync),
	CHECK_TEST(what_makes_nothing_durable_holds_nobody_up),
	CHECK_TEST(direct_data_have_no_failure_to_share),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("store_sync", tests, argc, argv);
}
