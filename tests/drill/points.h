/* The fail points that drills use (common/failpoint.h), each a step of a promise, an accept, an attach, an eviction, a
 * rejoin, a request or a write to a disk. */
#ifndef TESTS_DRILL_POINTS_H
#define TESTS_DRILL_POINTS_H

struct point {
	const char *name;
	unsigned passages; /* the one that kills is picked from the first so many */
};

extern const struct point gateway_points[], server_points[];
extern const unsigned gateway_point_count, server_point_count;

#endif
