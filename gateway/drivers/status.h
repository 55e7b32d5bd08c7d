/* The data thread's snapshot and what the control thread knows, put together for the admin socket. */
#ifndef GATEWAY_DRIVERS_STATUS_H
#define GATEWAY_DRIVERS_STATUS_H

#include <stdint.h>

#include "gateway/core/volume.h"
#include "proto/admin.h"

struct frontend;
struct loop_status;

struct status_sources {
	const struct volume_spec *spec;
	const struct frontend *frontend;
	uint64_t bulk_min_bytes;
	uint64_t started_ns; /* of the process */
};

void status_compose(const struct status_sources *sources, const struct loop_status *snapshot, struct admin_status *ret);

/* VmRSS of this process; 0 when /proc does not tell. */
uint64_t status_resident_bytes(void);

#endif
