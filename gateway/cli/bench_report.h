/* What `lockstep bench` has measured, and how it is told: as text, as JSON. Pure but for printing. */
#ifndef GATEWAY_CLI_BENCH_REPORT_H
#define GATEWAY_CLI_BENCH_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/limits.h"
#include "gateway/cli/bench_io.h"

/* One replica's machine, as its raw end showed it. */
struct bench_node {
	char name[ADDRESS_CHARS_MAX + 1];
	char address[ADDRESS_CHARS_MAX + 1]; /* of the raw end */
	bool is_measured;
	char reason[512]; /* why not, for people */
	double send_mb_s, receive_mb_s, round_trip_us;
	struct bench_result disk[BENCH_JOB_COUNT];
};

struct bench_mode {
	const char *name;
	bool is_measured;
	char reason[512]; /* why not, for people */
	struct bench_result results[BENCH_JOB_COUNT];
	double cpu_s[BENCH_JOB_COUNT]; /* of the gateway */
};

#define BENCH_MODE_COUNT 2u

struct bench_report {
	struct bench_node nodes[SET_REPLICAS_MAX];
	unsigned node_count;
	double send_all_mb_s; /* to each, while all are sent to at once */
	struct bench_mode modes[BENCH_MODE_COUNT];
};

/* Operations per second that the raw parts allow: a write waits for the slowest replica's disk and a round trip, and
 * goes to all over one link; a read is served by the best. 0: not all of them were measured. */
double bench_limit_iops(const struct bench_report *report, unsigned job);

void bench_print_raw(const struct bench_report *report);
void bench_print_volume(const struct bench_report *report);
json_t *bench_json(const struct bench_report *report);

#endif
