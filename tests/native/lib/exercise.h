/* Drives a volume through a gateway's shared-memory frontend and checks every answer against the register model.
 * A finding is printed with the sector, what was found, what would have been legal and how to run it again; then the
 * program ends with EXIT_WRONG. One thread. */
#ifndef TESTS_NATIVE_EXERCISE_H
#define TESTS_NATIVE_EXERCISE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/native/lib/workload.h"

struct exercise_options {
	const char *shm_path;
	unsigned depth;
	uint32_t io_bytes; /* payload of a slot */
	uint64_t ops_max;  /* 0: until `seconds` */
	unsigned seconds;
	unsigned rate;					      /* operations a second, at most; 0: as fast as it goes */
	unsigned busy_percent;				      /* of the time operations are issued; 0: 100 */
	unsigned stall_seconds;				      /* without any completion: a finding (P8) */
	unsigned gateway_seconds;			      /* how long a gateway may take to appear */
	const char *history_path, *image_path, *initial_path; /* NULL: none */
	const char *replay;				      /* command line to print with a finding */
	bool errors_allowed; /* requests may fail: counted, a failed write may take effect at any time */
	bool record_only;    /* others wrote this volume: a checker of all their histories judges what was read */
	struct workload_options workload;
};

struct exercise_totals {
	uint64_t ops, reads, writes, errors, bytes, sectors_checked;
	uint32_t gateways; /* that served, one after another */
	double seconds;
};

struct exercise;

/* Makes the shared memory and waits for a gateway. Never NULL. `options` is borrowed until exercise_free(). */
struct exercise *exercise_new(const struct exercise_options *options);
/* Writes every block once, in order. */
void exercise_fill(struct exercise *exercise, const volatile int *stop);
/* `*stop`: stop issuing; or stop waiting as well, for a device whose gateway will not come back: what is in flight is
 * logged as never completed. */
enum exercise_stop { EXERCISE_END = 1, EXERCISE_ABANDON };

/* Operations until the bound of `options` or until `*stop` is not 0; then waits for all of them. */
void exercise_run(struct exercise *exercise, const volatile int *stop);
/* Reads the whole volume, checks it, and writes the image file if wanted. */
void exercise_verify_all(struct exercise *exercise);
struct exercise_totals exercise_totals(const struct exercise *exercise);
void exercise_free(struct exercise *exercise);

#endif
