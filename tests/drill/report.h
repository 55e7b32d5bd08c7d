/* Sums over drills: a short table for people, JSON for programs. */
#ifndef TESTS_DRILL_REPORT_H
#define TESTS_DRILL_REPORT_H

#include "tests/drill/run.h"

struct report {
	unsigned drills, failed, kills;
	double seconds;
	struct drill_result sum; /* pauses: the longest of all */
};

void report_add(struct report *report, const struct drill_result *result);
void report_print(const struct report *report);
/* `path` NULL: nowhere. */
void report_write_json(const struct report *report, const char *path);

#endif
