/* `lockstep bench`: a load on a file or device by threads that wait, one per request in flight. What is measured raw
 * and what is measured through a volume goes through this same code. */
#ifndef GATEWAY_CLI_BENCH_IO_H
#define GATEWAY_CLI_BENCH_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"

#define BENCH_DEPTH_MAX 64u
#define BENCH_SECONDS_MAX 60u
#define BENCH_JOB_COUNT 5u

struct bench_job {
	const char *name;
	bool is_write, is_random;
	uint32_t bytes;
	unsigned depth;
};

/* What every store and every volume is asked to do, in this order. */
extern const struct bench_job bench_jobs[BENCH_JOB_COUNT];

struct bench_result {
	uint64_t ops, bytes, ns;
};

/* Operations and MB per second; 0 for an empty result. */
double bench_iops(const struct bench_result *result);
double bench_mb_s(const struct bench_result *result);

/* The job for so long, on the first `span` bytes. 0, -EINVAL (a job out of bounds), or the first error of an operation
 * with `err`. */
int bench_io(int fd, uint64_t span, const struct bench_job *job, unsigned seconds, struct bench_result *ret,
	     struct err *err) must_check;
/* Every byte once: what was never written costs the first write more. */
int bench_fill(int fd, uint64_t span, struct err *err) must_check;

#endif
