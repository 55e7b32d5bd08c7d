/* A verify as people and programs see it: progress, findings, JSON. Knows no socket. */
#ifndef GATEWAY_CLI_VERIFY_VIEW_H
#define GATEWAY_CLI_VERIFY_VIEW_H

#include <jansson.h>
#include <stdio.h>

#include "proto/admin.h"

#define VERIFY_PROGRESS_CHARS 512u

/* "vol: [#####     ]  50 %, 5.0G of 10G, 512M/s, 10 s left, 2 differences"; without the bar unless `has_bar`. */
void verify_progress_format(const char *volume, const struct admin_verify *verify, bool has_bar,
			    char ret[VERIFY_PROGRESS_CHARS]);

/* Names from the same volume's `status`. */
void verify_print(FILE *out, const struct admin_status *status, const struct admin_verify *verify);
/* NULL when memory ran out. */
json_t *verify_json(const struct admin_status *status, const struct admin_verify *verify);

#endif
