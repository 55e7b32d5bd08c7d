/* What a drill does to a cluster: kills, stops, partitions and cuts, by seed. Each returns when what it broke is
 * running again; whether it works again is another matter (watch.h). */
#ifndef TESTS_DRILL_FAULT_H
#define TESTS_DRILL_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/drill/cluster.h"

enum fault_kind {
	FAULT_GATEWAY_KILLED,
	FAULT_GATEWAY_KILLED_ATTACHING,
	FAULT_GATEWAY_STOPPED,
	FAULT_GATEWAY_POINT,
	FAULT_SERVER_KILLED,
	FAULT_SERVER_STOPPED,
	FAULT_SERVER_POINT,
	FAULT_TWO_SERVERS_KILLED,
	FAULT_MAJORITY_KILLED,
	FAULT_ALL_KILLED,
	FAULT_PARTITION,
	FAULT_ZERO_WINDOW,
	FAULT_CUT,
	FAULT_TAKEOVER,
	FAULT_KIND_COUNT
};

const char *fault_name(enum fault_kind kind);

struct fault {
	enum fault_kind kind;
	uint64_t begin_ns;
	uint64_t gateway_killed_ns; /* the last time in it; 0: it was not */
	unsigned kills;
	bool is_armed, has_reached; /* a fail point, and it was come to */
	char detail[48];
};

/* Picks one by the cluster's seed and does it. */
void fault_do(struct cluster *cluster, struct fault *ret);

#endif
