/* A gateway's status for people and for programs: the one place that turns struct admin_status into text or JSON. */
#ifndef GATEWAY_CLI_STATUS_VIEW_H
#define GATEWAY_CLI_STATUS_VIEW_H

#include <jansson.h>
#include <stdio.h>

#include "proto/admin.h"

/* Control characters out of every text that came from a peer. */
void status_sanitize(struct admin_status *status);

/* NULL when memory ran out. docs/man/lockstep.8 has the shape. */
json_t *status_json(const struct admin_status *status);

/* Several lines: the volume, then a line per replica. */
void status_print(FILE *out, const struct admin_status *status);

/* "1 h 02 min", "12 s", "340 ms". */
#define DURATION_CHARS 32u
void duration_format(uint64_t ms, char out[DURATION_CHARS]);

#endif
