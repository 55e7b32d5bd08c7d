/* Is a history of one register linearizable? By zones (Gibbons and Korach, "Testing shared memories", 1997), for
 * histories in which every write has a value of its own. O(n log n). Checked against brute force in test_zones.c. */
#ifndef TESTS_SIM_ZONES_H
#define TESTS_SIM_ZONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONE_NEVER UINT64_MAX

/* One read or write. Times are all different, except that the initial write may start and finish at 0. */
struct zone_op {
	uint64_t value; /* of a write its name, of a read the name of the write it saw */
	uint64_t start;
	uint64_t finish; /* of an unknown write: when it could no longer take effect, or ZONE_NEVER */
	bool is_write;
	bool is_unknown; /* a write that perhaps never took effect */
};

struct zone {
	uint64_t finish, start; /* first finish and last start of a write and its reads */
};

/* Sorts `ops` in place. `scratch` has room for `count` zones. NULL: linearizable; else why not, static. */
const char *zones_check(struct zone_op *ops, size_t count, struct zone *scratch);

#endif
