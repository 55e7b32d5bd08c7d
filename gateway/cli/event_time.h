/* --since: a time, or how long ago, as the text that event lines are compared with. Pure. */
#ifndef GATEWAY_CLI_EVENT_TIME_H
#define GATEWAY_CLI_EVENT_TIME_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/event_line.h"

/* "30s", "10m", "2h", "3d" before `now_ms`, or "2026-11-28", "2026-11-28T17:00", ... (UTC) as it is. 0 or -EINVAL. */
int event_since_parse(const char *text, uint64_t now_ms, char ret[EVENT_TIME_CHARS], struct err *err) must_check;

#endif
