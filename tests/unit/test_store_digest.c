/* Digests of a real file, through a ring and inline: the same, whatever way the bytes were read. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/message.h"
#include "replica-server/drivers/digest.h"
#include "replica-server/drivers/store_file.h"
#include "tests/unit/check.h"

#define DIGEST_TIMEOUT_NS 10000000000ull

struct job {
	struct store_op op;
	uint8_t digests[DIGEST_PIECES_MAX][DIGEST_BYTES];
	bool is_done;
};

static struct ring ring;
static struct buffers buffers;
static struct store_queue queue;
static struct store_file file;
static struct job jobs[3 * DIGESTS_AT_ONCE];
static uint8_t content[REGION_BYTES];
static int fd;

static void done(struct store_op *op)
{
	container_of(op, struct job, op)->is_done = true;
}

/* A file of `bytes` random bytes, without a name. */
static void begin(bool is_inline, size_t bytes)
{
	char path[] = "/tmp/lockstep-digest-XXXXXX";
	struct check_random random;
	struct err err = {0};

	check_random_init(&random);
	check_random_fill(&random, content, sizeof(content));
	fd = mkstemp(path);
	CHECK_TRUE(fd >= 0);
	CHECK_OK(unlink(path));
	CHECK_EQ_U64(bytes, (uint64_t)pwrite(fd, content, bytes, 0));
	CHECK_OK(ring_init(&ring, 64, 256, &err));
	CHECK_OK(buffers_init(&buffers, 4 * MIB));
	CHECK_OK(store_queue_init(&queue, &ring, &buffers, 64));
	store_file_init(&file, &queue, fd, -1, -1);
	file.is_inline = is_inline;
	memset(jobs, 0, sizeof(jobs));
}

static void end(void)
{
	CHECK_EQ_U64(DIGESTS_AT_ONCE, queue.scratch_count);
	store_queue_fini(&queue);
	buffers_fini(&buffers);
	ring_fini(&ring);
	close(fd);
}

static void submit(struct job *job, uint64_t offset, uint64_t length)
{
	*job = (struct job){.op = {.kind = STORE_DIGEST, .offset = offset, .length = length, .done = done}};
	job->op.data = job->digests[0];
	file.store.ops->submit(&file.store, &job->op);
	CHECK_FALSE(job->is_done);
}

static void wait_for(struct job *job)
{
	for (unsigned turns = 0; !job->is_done; turns++) {
		struct io_uring_cqe *cqes[16];
		unsigned count = ring_peek(&ring, cqes, 16);

		CHECK_TRUE(turns < 10000);
		for (unsigned i = 0; i < count; i++)
			store_queue_on_cqe(&queue, cqes[i]);
		ring_seen(&ring, count);
		if (!store_queue_run(&queue))
			CHECK_OK(ring_submit_and_wait(&ring, count ? 0 : 1, DIGEST_TIMEOUT_NS));
	}
}

/* What the bytes there must digest to, zeros beyond `bytes`. */
static void check_digests(const struct job *job, size_t bytes)
{
	static uint8_t expected[REGION_BYTES];

	CHECK_OK(job->op.error);
	memset(expected, 0, sizeof(expected));
	memcpy(expected, content, bytes);
	for (uint64_t at = 0; at < job->op.length; at += DIGEST_PIECE_BYTES) {
		uint64_t left = job->op.length - at;
		uint8_t digest[DIGEST_BYTES];

		CHECK_OK(digest_piece(expected + job->op.offset + at,
				      left < DIGEST_PIECE_BYTES ? left : DIGEST_PIECE_BYTES, digest));
		CHECK_MEM(digest, job->digests[at / DIGEST_PIECE_BYTES], DIGEST_BYTES);
	}
}

static void a_digest_is_half_of_sha_256(void)
{
	/* FIPS 180-4: SHA-256 of "abc". */
	static const uint8_t abc[DIGEST_BYTES] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
						  0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23};
	uint8_t digest[DIGEST_BYTES];

	CHECK_OK(digest_piece((const uint8_t *)"abc", 3, digest));
	CHECK_MEM(abc, digest, DIGEST_BYTES);
}

static void a_region_is_digested_piece_by_piece(void)
{
	for (unsigned is_inline = 0; is_inline < 2; is_inline++) {
		begin(is_inline, REGION_BYTES);
		submit(&jobs[0], 0, REGION_BYTES);
		wait_for(&jobs[0]);
		check_digests(&jobs[0], REGION_BYTES);
		end();
	}
}

static void a_last_piece_may_be_short(void)
{
	begin(false, REGION_BYTES);
	submit(&jobs[0], 2 * DIGEST_PIECE_BYTES, DIGEST_PIECE_BYTES + 4096);
	wait_for(&jobs[0]);
	check_digests(&jobs[0], REGION_BYTES);
	end();
}

static void beyond_the_end_of_the_file_are_zeros(void)
{
	static const size_t sizes[] = {0, 4096, DIGEST_PIECE_BYTES, 3 * DIGEST_PIECE_BYTES + 512};

	for (size_t i = 0; i < 2 * ARRAY_COUNT(sizes); i++) {
		begin(i % 2, sizes[i / 2]);
		submit(&jobs[0], 0, REGION_BYTES);
		wait_for(&jobs[0]);
		check_digests(&jobs[0], sizes[i / 2]);
		end();
	}
}

static void more_than_fit_at_once_wait_for_their_turn(void)
{
	begin(false, REGION_BYTES);
	for (unsigned i = 0; i < ARRAY_COUNT(jobs); i++)
		submit(&jobs[i], i % 4 * DIGEST_PIECE_BYTES, (1 + i) * DIGEST_PIECE_BYTES);
	CHECK_EQ_U64(0, queue.scratch_count);
	for (unsigned i = 0; i < ARRAY_COUNT(jobs); i++) {
		wait_for(&jobs[i]);
		check_digests(&jobs[i], REGION_BYTES);
	}
	end();
}

static void a_read_error_is_the_digests_error(void)
{
	begin(false, REGION_BYTES);
	file.data_fd = -1;
	submit(&jobs[0], 0, REGION_BYTES);
	wait_for(&jobs[0]);
	CHECK_ERRNO(-EBADF, jobs[0].op.error);
	end();
}

static const struct check_test tests[] = {
	CHECK_TEST(a_digest_is_half_of_sha_256),
	CHECK_TEST(a_region_is_digested_piece_by_piece),
	CHECK_TEST(a_last_piece_may_be_short),
	CHECK_TEST(beyond_the_end_of_the_file_are_zeros),
	CHECK_TEST(more_than_fit_at_once_wait_for_their_turn),
	CHECK_TEST(a_read_error_is_the_digests_error),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("store_digest", tests, argc, argv);
}
