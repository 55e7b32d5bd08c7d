/* A simulated process: up or not, stopped or not; events of an earlier incarnation are void. */
#ifndef TESTS_SIM_PROCESS_H
#define TESTS_SIM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/event.h"

struct process {
	bool is_up, is_paused;
	uint64_t incarnation;
	struct event *waiting; /* while paused, in order */
	size_t waiting_count, waiting_capacity;
};

#endif
