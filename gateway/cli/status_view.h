/* A gateway's status for people and for programs: the one place that turns struct admin_status into text or JSON. */
#ifndef GATEWAY_CLI_STATUS_VIEW_H
#define GATEWAY_CLI_STATUS_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "proto/admin.h"

/* Control characters out of every text that came from a peer. */
void status_sanitize(struct admin_status *status);

/* NULL when memory ran out. docs/man/lockstep.8 has the shape. */
json_t *status_json(const struct admin_status *status);

/* Several lines: the volume, its sets, their replicas and witnesses. */
void status_print(FILE *out, const struct admin_status *status);

/* Bytes a second compared for the leg's rejoin so far; 0: not known yet. */
uint64_t status_resync_rate(const struct admin_leg *leg);
/* False: not known yet. */
bool status_resync_eta_ms(const struct admin_leg *leg, uint64_t *ret_ms);

/* Any one node of any set, and go on serving. False: `ret_why` (STATUS_WHY_CHARS) says what stands against it. */
#define STATUS_WHY_CHARS 128u
bool status_can_lose_node(const struct admin_status *status, char *ret_why, size_t cap);

/* "1 h 02 min", "12 s", "340 ms". */
#define DURATION_CHARS 32u
void duration_format(uint64_t ms, char out[DURATION_CHARS]);

#endif
