/* Log lines for changes of the volume's and the legs' states, from successive snapshots (about one a second). */
#ifndef GATEWAY_DRIVERS_STATUS_LOG_H
#define GATEWAY_DRIVERS_STATUS_LOG_H

#include "proto/admin.h"

/* Zeroed at first. What was logged last. */
struct status_log {
	char state[ADMIN_WORD_MAX + 1];
	struct {
		char state[ADMIN_WORD_MAX + 1];
		char last_error[LEG_REASON_CHARS];
		uint64_t reconnects;
	} legs[LEG_COUNT_MAX];
};

void status_log_changes(struct status_log *log, const struct admin_status *status);

#endif
