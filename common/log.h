/* Levelled key=value lines to stderr, with the journal's "<N>" prefix when stderr is the journal (sd-daemon(3)).
 * Used by drivers and mains only: core code returns, it does not log. Any thread; one write(2) a line.
 * Never waits: a line that finds no room is lost, and counted in "event=lines_lost count=N" before the next one.
 * ERROR: someone must act. WARN: degraded, still serving. INFO: a state changed. DEBUG: free. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

#include "common/compiler.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Call once, before threads start. `program` is kept, not copied. */
void log_init(const char *program, enum log_level max_level);
/* 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret) must_check;
bool log_enabled(enum log_level level);

/* The format is the whole line after the program's name, e.g. log_info("event=leg_up leg=%u replica=%s", ...). */
void log_line(enum log_level level, const char *format, ...) printf_like(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                 \
	do {                                                                                                           \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                                      \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                        \
	} while (0)

#endif
