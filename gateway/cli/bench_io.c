/* The load of `lockstep bench`. Knows files, not volumes. */
#include "gateway/cli/bench_io.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/random.h"

#define BUFFER_ALIGN 4096u

const struct bench_job bench_jobs[BENCH_JOB_COUNT] = {
	{"1M write, depth 8", true, false, 1 * MIB, 8},		{"1M read, depth 8", false, false, 1 * MIB, 8},
	{"4k random write, depth 32", true, true, 4 * KIB, 32}, {"4k random read, depth 32", false, true, 4 * KIB, 32},
	{"4k random write, depth 1", true, true, 4 * KIB, 1},
};

struct load {
	const struct bench_job *job;
	int fd;
	uint64_t blocks, limit; /* limit: of operations; 0: time says */
	uint64_t end_ns;
	_Atomic uint64_t next, done;
	_Atomic int error;
};

double bench_iops(const struct bench_result *result)
{
	return result->ns ? (double)result->ops * 1e9 / (double)result->ns : 0;
}

double bench_mb_s(const struct bench_result *result)
{
	return result->ns ? (double)result->bytes * 1e3 / (double)result->ns : 0;
}

/* One block, whole. 0 or -errno. */
static int transfer(const struct load *load, uint8_t *buffer, uint64_t block)
{
	uint64_t at = block * load->job->bytes;
	uint32_t done = 0;

	while (done < load->job->bytes) {
		size_t left = load->job->bytes - done;
		off_t offset = (off_t)(at + done);
		ssize_t n = load->job->is_write ? pwrite(load->fd, buffer + done, left, offset)
						: pread(load->fd, buffer + done, left, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (uint32_t)n;
	}
	return 0;
}

static bool goes_on(struct load *load, uint64_t number)
{
	if (atomic_load_explicit(&load->error, memory_order_relaxed))
		return false;
	return load->limit ? number < load->limit : clock_now_ns() < load->end_ns;
}

/* xorshift64*: where next is all that is asked of it. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static void work_off(struct load *load, uint8_t *buffer, uint64_t state)
{
	for (;;) {
		uint64_t number = atomic_fetch_add_explicit(&load->next, 1, memory_order_relaxed);
		int error;

		if (!goes_on(load, number))
			return;
		error = transfer(load, buffer, (load->job->is_random ? next_random(&state) : number) % load->blocks);
		if (error)
			atomic_store(&load->error, error);
		else
			atomic_fetch_add_explicit(&load->done, 1, memory_order_relaxed);
	}
}

static void *worker(void *arg)
{
	struct load *load = arg;
	uint8_t *buffer = aligned_alloc(BUFFER_ALIGN, load->job->bytes);
	uint64_t seed;

	if (!buffer) {
		atomic_store(&load->error, -ENOMEM);
		return NULL;
	}
	random_bytes(buffer, load->job->bytes); /* not zeros: nothing on the way may profit from them */
	random_bytes(&seed, sizeof(seed));
	work_off(load, buffer, seed | 1);
	free(buffer);
	return NULL;
}

static int run_threads(struct load *load, struct err *err)
{
	pthread_t threads[BENCH_DEPTH_MAX];
	unsigned count = 0;

	while (count < load->job->depth && !pthread_create(&threads[count], NULL, worker, load))
		count++;
	if (count < load->job->depth)
		atomic_store(&load->error, -EAGAIN);
	while (count > 0)
		(void)pthread_join(threads[--count], NULL);
	if (load->error)
		return err_set(err, load->error, "%s: %s", load->job->name, strerror(-load->error));
	return 0;
}

static int run(struct load *load, struct bench_result *ret, struct err *err)
{
	uint64_t start_ns = clock_now_ns();
	int error = run_threads(load, err);

	if (!error)
		*ret = (struct bench_result){load->done, load->done * load->job->bytes, clock_now_ns() - start_ns};
	return error;
}

int bench_io(int fd, uint64_t span, const struct bench_job *job, unsigned seconds, struct bench_result *ret,
	     struct err *err)
{
	struct load load = {.job = job, .fd = fd};

	if (job->bytes < BLOCK_BYTES_MIN || job->bytes > IO_BYTES_MAX || job->depth == 0 ||
	    job->depth > BENCH_DEPTH_MAX || seconds == 0 || seconds > BENCH_SECONDS_MAX || span < job->bytes)
		return err_set(err, -EINVAL, "%s: sizes, depth or time are out of bounds", job->name);
	load.blocks = span / job->bytes;
	load.end_ns = clock_now_ns() + seconds * NS_PER_S;
	return run(&load, ret, err);
}

int bench_fill(int fd, uint64_t span, struct err *err)
{
	const struct bench_job job = {"filling", true, false, 1 * MIB, 8};
	struct load load = {.job = &job, .fd = fd, .blocks = span / job.bytes, .limit = span / job.bytes};
	struct bench_result result;

	return span < job.bytes ? err_set(err, -EINVAL, "filling: less than 1 MiB") : run(&load, &result, err);
}
