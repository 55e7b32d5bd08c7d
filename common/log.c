/* Log lines: one buffer, one write(2) a line, so that lines of several threads never mix.
 * Knows no module. Never on a request's path: the data path counts, it does not log. */
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_CHARS_MAX 2048u

static const struct {
	const char *name;
	int journal; /* syslog(3) priority */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", 3},
	[LOG_LEVEL_WARN] = {"warn", 4},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_DEBUG] = {"debug", 7},
};

/* Written once by log_init() before threads start, then only read. */
static struct {
	const char *program;
	enum log_level max_level;
	bool to_journal;
} state = {"lockstep", LOG_LEVEL_INFO, false};

static unsigned lost_lines; /* atomic: found no room, and were not told of yet */

/* $JOURNAL_STREAM is "device:inode" of the stream that the journal gave us (systemd.exec(5)); stderr may be another. */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	if (!text || sscanf(text, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && (uintmax_t)st.st_dev == device && (uintmax_t)st.st_ino == inode;
}

void log_init(const char *program, enum log_level max_level)
{
	state.program = program;
	state.max_level = max_level;
	state.to_journal = stderr_is_journal();
}

int log_level_parse(const char *text, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool log_enabled(enum log_level level)
{
	return level <= state.max_level;
}

/* "<6>program: " for the journal, which adds time and pid itself; otherwise all of it in text. */
static size_t format_head(enum log_level level, char *out, size_t cap)
{
	struct timespec now;
	struct tm utc;
	int used;

	if (state.to_journal)
		return (size_t)snprintf(out, cap, "<%d>%s: ", levels[level].journal, state.program);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	used = (int)strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &utc);
	used += snprintf(out + used, cap - (size_t)used, ".%03ldZ %s[%d] %s ", now.tv_nsec / 1000000, state.program,
			 (int)getpid(), levels[level].name);
	return (size_t)used;
}

/* A peer's text must not forge a second line or drive the terminal. */
static void make_printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	}
}

/* Whoever reads the log may have stopped, or wait for a disk that is a volume of ours: nobody here waits for him. What
 * polls as writable takes a line or two at once; a closed stderr and one whose reader is gone fail at once. */
static bool has_room(void)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) > 0;
}

static void printf_like(2, 0) put(enum log_level level, const char *format, va_list args)
{
	char line[LINE_CHARS_MAX];
	size_t used = format_head(level, line, sizeof(line) / 2), cap;
	int body;

	if (used > sizeof(line) / 2)
		used = sizeof(line) / 2; /* a program name of a thousand characters: cut */
	cap = sizeof(line) - used;
	body = vsnprintf(line + used, cap, format, args);
	if (body < 0)
		body = 0;
	if ((size_t)body >= cap)
		body = (int)cap - 1; /* the NUL's place becomes the newline's */
	make_printable(line + used, (size_t)body);
	used += (size_t)body;
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0) {
		/* Nowhere left to say it. */
	}
}

static void printf_like(2, 3) say(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(level, format, args);
	va_end(args);
}

static void tell_lost(void)
{
	unsigned count = __atomic_exchange_n(&lost_lines, 0, __ATOMIC_RELAXED);

	if (count)
		say(LOG_LEVEL_WARN, "event=lines_lost count=%u", count);
}

void log_line(enum log_level level, const char *format, ...)
{
	int saved_errno = errno;
	va_list args;

	if (!log_enabled(level))
		return;
	if (has_room()) {
		tell_lost();
		va_start(args, format);
		put(level, format, args);
		va_end(args);
	} else {
		__atomic_fetch_add(&lost_lines, 1, __ATOMIC_RELAXED);
	}
	errno = saved_errno;
}
