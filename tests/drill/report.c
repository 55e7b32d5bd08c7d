/* Adding up and printing. Knows no cluster. */
#include "tests/drill/report.h"

#include <jansson.h>
#include <stdio.h>

#include "tests/native/lib/tool.h"

void report_add(struct report *report, const struct drill_result *result)
{
	struct drill_result *sum = &report->sum;

	report->drills++;
	report->failed += !result->is_good;
	report->kills += result->kills;
	for (unsigned i = 0; i < FAULT_KIND_COUNT; i++) {
		sum->faults[i].count += result->faults[i].count;
		if (result->faults[i].longest_pause_ns > sum->faults[i].longest_pause_ns)
			sum->faults[i].longest_pause_ns = result->faults[i].longest_pause_ns;
		if (result->faults[i].longest_alone_ns > sum->faults[i].longest_alone_ns)
			sum->faults[i].longest_alone_ns = result->faults[i].longest_alone_ns;
	}
	sum->judged.ops += result->judged.ops;
	sum->judged.checked_reads += result->judged.checked_reads;
	sum->judged.skipped_zero_reads += result->judged.skipped_zero_reads;
	sum->judged.failed += result->judged.failed;
	sum->judged.unanswered += result->judged.unanswered;
	sum->points_armed += result->points_armed;
	sum->points_reached += result->points_reached;
	sum->gateway_kills += result->gateway_kills;
	sum->in_flight_bytes += result->in_flight_bytes;
	sum->reconciled_bytes += result->reconciled_bytes;
	sum->compared_regions += result->compared_regions;
	sum->rejoined_bytes += result->rejoined_bytes;
}

void report_print(const struct report *report)
{
	const struct drill_result *sum = &report->sum;

	printf("\n%-34s %7s %18s %26s\n", "fault", "count", "longest pause, ms", "with the next fault in it");
	for (unsigned i = 0; i < FAULT_KIND_COUNT; i++)
		printf("%-34s %7u %18llu %26llu\n", fault_name((enum fault_kind)i), sum->faults[i].count,
		       (unsigned long long)sum->faults[i].longest_alone_ns / 1000000,
		       (unsigned long long)sum->faults[i].longest_pause_ns / 1000000);
	printf("\n%u of %u armed fail points were come to\n", sum->points_reached, sum->points_armed);
	printf("gateway kills %u: %llu KiB of writes in flight at them, %llu regions compared, %llu KiB copied to "
	       "make "
	       "replicas equal; %llu KiB copied to replicas that came back\n",
	       sum->gateway_kills, (unsigned long long)sum->in_flight_bytes >> 10,
	       (unsigned long long)sum->compared_regions, (unsigned long long)sum->reconciled_bytes >> 10,
	       (unsigned long long)sum->rejoined_bytes >> 10);
	printf("histories: %llu requests, %llu block reads judged, %llu reads of zeros that several writes explain, "
	       "%llu "
	       "requests failed or unanswered, where they may\n",
	       (unsigned long long)sum->judged.ops, (unsigned long long)sum->judged.checked_reads,
	       (unsigned long long)sum->judged.skipped_zero_reads,
	       (unsigned long long)(sum->judged.failed + sum->judged.unanswered));
	printf("%u drills, %u kills, %u failed, %.0f s\n", report->drills, report->kills, report->failed,
	       report->seconds);
}

static json_t *faults_json(const struct report *report)
{
	json_t *faults = json_array();

	for (unsigned i = 0; i < FAULT_KIND_COUNT; i++)
		json_array_append_new(faults, json_pack("{s:s, s:i, s:I, s:I}", "fault", fault_name((enum fault_kind)i),
							"count", (int)report->sum.faults[i].count, "longest_pause_ms",
							(json_int_t)report->sum.faults[i].longest_alone_ns / 1000000,
							"longest_pause_with_next_ms",
							(json_int_t)report->sum.faults[i].longest_pause_ns / 1000000));
	return faults;
}

void report_write_json(const struct report *report, const char *path)
{
	const struct drill_result *sum = &report->sum;
	json_t *root;

	if (!path)
		return;
	root = json_pack("{s:i, s:i, s:i, s:f, s:o, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "drills",
			 (int)report->drills, "kills", (int)report->kills, "failed", (int)report->failed, "seconds",
			 report->seconds, "faults", faults_json(report), "points_armed", (int)sum->points_armed,
			 "points_reached", (int)sum->points_reached, "gateway_kills", (int)sum->gateway_kills,
			 "in_flight_bytes", (json_int_t)sum->in_flight_bytes, "reconciled_bytes",
			 (json_int_t)sum->reconciled_bytes, "compared_regions", (json_int_t)sum->compared_regions,
			 "rejoined_bytes", (json_int_t)sum->rejoined_bytes, "requests", (json_int_t)sum->judged.ops,
			 "block_reads_judged", (json_int_t)sum->judged.checked_reads);
	if (!root || json_dump_file(root, path, JSON_INDENT(1)) != 0)
		tool_die(EXIT_CANNOT, "%s: cannot be written", path);
	json_decref(root);
}
