/* Appends, and turns the file over when it is full. Knows no event. Not on a request's path: control thread. */
#include "gateway/drivers/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/event_line.h"
#include "common/log.h"

void event_file_init(struct event_file *file, const char *path, uint32_t bytes_max)
{
	*file = (struct event_file){.bytes_max = bytes_max, .fd = -1};
	snprintf(file->path, sizeof(file->path), "%s", path);
}

static int open_file(struct event_file *file)
{
	struct stat st;

	file->fd = open(file->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (file->fd < 0)
		return -errno;
	file->bytes = fstat(file->fd, &st) ? 0 : (uint64_t)st.st_size;
	return 0;
}

/* The older file goes; this one takes its name. */
static int turn_over(struct event_file *file)
{
	char older[PATH_MAX + 2];

	snprintf(older, sizeof(older), "%s.1", file->path);
	event_file_close(file);
	if (rename(file->path, older) && errno != ENOENT)
		return -errno;
	return open_file(file);
}

/* All of it or nothing: half a line is taken back. */
static int append(struct event_file *file, const char *text, size_t len)
{
	int error = file->fd < 0 ? open_file(file) : 0;
	ssize_t put;

	if (!error && file->bytes + len > file->bytes_max)
		error = turn_over(file);
	if (error)
		return error;
	put = write(file->fd, text, len);
	if (put == (ssize_t)len) {
		file->bytes += len;
		return 0;
	}
	error = put < 0 ? -errno : -ENOSPC;
	if (put > 0 && ftruncate(file->fd, (off_t)file->bytes))
		file->bytes += (uint64_t)put; /* a reader skips what is no line */
	return error;
}

static int append_line(struct event_file *file, uint64_t realtime_ms, const char *line)
{
	char text[EVENT_LINE_CHARS_MAX + EVENT_TIME_CHARS + 16], time[EVENT_TIME_CHARS];
	int len;

	event_time_format(realtime_ms, time);
	len = snprintf(text, sizeof(text), "time=%s %.*s\n", time, (int)EVENT_LINE_CHARS_MAX, line);
	return append(file, text, (size_t)len);
}

static int tell_missed(struct event_file *file, uint64_t realtime_ms)
{
	char text[64];

	if (!file->missed)
		return 0;
	snprintf(text, sizeof(text), "event=events-missed count=%" PRIu64, file->missed);
	return append_line(file, realtime_ms, text);
}

void event_file_add(struct event_file *file, uint64_t realtime_ms, const char *line)
{
	int error = tell_missed(file, realtime_ms);

	if (!error) {
		file->missed = 0;
		error = append_line(file, realtime_ms, line);
	}
	if (!error) {
		file->written++;
		return;
	}
	if (!file->missed)
		log_warn("event=event_file_failed file=%s error=%s hint=\"free some space; the journal or the log has "
			 "the events\"",
			 file->path, err_name(error));
	file->missed++;
	event_file_close(file); /* made anew with the next line, whatever was wrong with it */
}

void event_file_close(struct event_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
