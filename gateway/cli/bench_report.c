/* Arithmetic and words of `lockstep bench`. Knows no file and no socket. */
#include "gateway/cli/bench_report.h"

#include <stdio.h>

/* A disk alone does a job's operations at `depth`; a round trip comes to each of them. */
static double node_iops(const struct bench_node *node, unsigned job)
{
	double disk = bench_iops(&node->disk[job]), depth = bench_jobs[job].depth;

	return disk > 0 ? depth / (depth / disk + node->round_trip_us / 1e6) : 0;
}

static double at_most(double a, double b)
{
	return a < b ? a : b;
}

/* Of one node, its link included. */
static double node_limit(const struct bench_report *report, const struct bench_node *node, unsigned job)
{
	double link = bench_jobs[job].is_write ? report->send_all_mb_s : node->receive_mb_s;

	return at_most(node_iops(node, job), link * 1e6 / bench_jobs[job].bytes);
}

double bench_limit_iops(const struct bench_report *report, unsigned job)
{
	double limit = 0;

	for (unsigned i = 0; i < report->node_count; i++) {
		double one = node_limit(report, &report->nodes[i], job);

		if (!report->nodes[i].is_measured)
			return 0;
		if (i == 0 || (bench_jobs[job].is_write ? one < limit : one > limit))
			limit = one;
	}
	return limit;
}

static void print_rate(const struct bench_result *result, const struct bench_job *job)
{
	if (job->is_random)
		printf("%10.0f IOPS", bench_iops(result));
	else
		printf("%10.0f MB/s", bench_mb_s(result));
}

void bench_print_raw(const struct bench_report *report)
{
	for (unsigned i = 0; i < report->node_count; i++) {
		const struct bench_node *node = &report->nodes[i];

		if (!node->is_measured)
			continue;
		printf("raw, %s (%s)\n", node->name, node->address);
		printf("  %-28s%10.0f MB/s\n", "network, to it", node->send_mb_s);
		printf("  %-28s%10.0f MB/s\n", "network, from it", node->receive_mb_s);
		printf("  %-28s%10.1f us\n", "network, there and back", node->round_trip_us);
		for (unsigned job = 0; job < BENCH_JOB_COUNT; job++) {
			printf("  disk, %-22s", bench_jobs[job].name);
			print_rate(&node->disk[job], &bench_jobs[job]);
			printf("\n");
		}
	}
	if (report->send_all_mb_s > 0)
		printf("raw, network to all at once   %10.0f MB/s to each\n", report->send_all_mb_s);
	fflush(stdout);
}

static double cpu_per_gib(const struct bench_mode *mode, unsigned job)
{
	uint64_t bytes = mode->results[job].bytes;

	return bytes ? mode->cpu_s[job] / ((double)bytes / (double)GIB) : 0;
}

static void print_job(const struct bench_report *report, const struct bench_mode *mode, unsigned job)
{
	double limit = bench_limit_iops(report, job), reached = bench_iops(&mode->results[job]);

	printf("  %-28s", bench_jobs[job].name);
	print_rate(&mode->results[job], &bench_jobs[job]);
	if (limit > 0 && reached > 0)
		printf("  overhead x %.2f", limit / reached);
	printf("  gateway's CPU %.2f s/GiB\n", cpu_per_gib(mode, job));
}

void bench_print_volume(const struct bench_report *report)
{
	for (unsigned i = 0; i < BENCH_MODE_COUNT; i++) {
		const struct bench_mode *mode = &report->modes[i];

		if (!mode->is_measured)
			continue;
		printf("volume, %s\n", mode->name);
		for (unsigned job = 0; job < BENCH_JOB_COUNT; job++)
			print_job(report, mode, job);
	}
	printf("overhead: what the raw disks and the network allow, by what the volume does; x 1.00 is none. CPU of "
	       "this "
	       "host only.\n");
}

static json_t *rate_json(const struct bench_result *result)
{
	return json_pack("{s:f, s:f}", "iops", bench_iops(result), "mb_s", bench_mb_s(result));
}

/* What was not measured has a reason instead of figures. */
static json_t *told(json_t *what, bool is_measured, const char *reason, json_t *figures)
{
	json_object_set_new(what, "measured", json_boolean(is_measured));
	if (is_measured)
		json_object_update(what, figures);
	else
		json_object_set_new(what, "reason", json_string(reason));
	json_decref(figures);
	return what;
}

static json_t *node_json(const struct bench_node *node)
{
	json_t *disk = json_object();

	for (unsigned job = 0; job < BENCH_JOB_COUNT; job++)
		json_object_set_new(disk, bench_jobs[job].name, rate_json(&node->disk[job]));
	return told(json_pack("{s:s, s:s}", "name", node->name, "address", node->address), node->is_measured,
		    node->reason,
		    json_pack("{s:f, s:f, s:f, s:o}", "send_mb_s", node->send_mb_s, "receive_mb_s", node->receive_mb_s,
			      "round_trip_us", node->round_trip_us, "disk", disk));
}

static json_t *job_json(const struct bench_report *report, const struct bench_mode *mode, unsigned job)
{
	double limit = bench_limit_iops(report, job), reached = bench_iops(&mode->results[job]);
	json_t *rate = rate_json(&mode->results[job]);

	json_object_set_new(rate, "cpu_s_per_gib", json_real(cpu_per_gib(mode, job)));
	json_object_set_new(rate, "overhead", limit > 0 && reached > 0 ? json_real(limit / reached) : json_null());
	return rate;
}

static json_t *mode_json(const struct bench_report *report, const struct bench_mode *mode)
{
	json_t *jobs = json_object();

	for (unsigned job = 0; job < BENCH_JOB_COUNT; job++)
		json_object_set_new(jobs, bench_jobs[job].name, job_json(report, mode, job));
	return told(json_pack("{s:s}", "mode", mode->name), mode->is_measured, mode->reason,
		    json_pack("{s:o}", "jobs", jobs));
}

json_t *bench_json(const struct bench_report *report)
{
	json_t *raw = json_array(), *modes = json_array();

	for (unsigned i = 0; i < report->node_count; i++)
		json_array_append_new(raw, node_json(&report->nodes[i]));
	for (unsigned i = 0; i < BENCH_MODE_COUNT; i++)
		json_array_append_new(modes, mode_json(report, &report->modes[i]));
	return json_pack("{s:o, s:f, s:o}", "raw", raw, "send_all_mb_s", report->send_all_mb_s, "volume", modes);
}
