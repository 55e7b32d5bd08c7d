/* Follows a file that is turned over under the reader: the open one is read to its end before the next is opened.
 * Knows lines, and of an event only that it begins with its time. Reads only. */
#include "gateway/cli/event_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES 8192u

struct event_source {
	char path[PATH_MAX], older[PATH_MAX + 2];
	int fd; /* -1: none */
	bool has_begun;
	ino_t inode;
	size_t used; /* of `line`: what has no newline yet */
	bool is_too_long;
	char line[EVENT_LINE_CHARS_MAX + EVENT_TIME_CHARS + 16];
};

struct event_source *event_source_new(const char *run_dir, const char *name)
{
	struct event_source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	source->fd = -1;
	snprintf(source->path, sizeof(source->path), "%s/%s.events", run_dir, name);
	snprintf(source->older, sizeof(source->older), "%s.1", source->path);
	return source;
}

static void close_file(struct event_source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
	source->used = 0;
	source->is_too_long = false;
}

void event_source_free(struct event_source *source)
{
	if (!source)
		return;
	close_file(source);
	free(source);
}

bool event_source_exists(const struct event_source *source)
{
	return !access(source->path, F_OK) || !access(source->older, F_OK);
}

static void end_line(struct event_source *source, event_line_fn on_line, void *ctx)
{
	source->line[source->used] = '\0';
	if (!source->is_too_long && !strncmp(source->line, "time=", 5))
		on_line(ctx, source->line);
	source->used = 0;
	source->is_too_long = false;
}

static void take_bytes(struct event_source *source, const char *bytes, size_t count, event_line_fn on_line, void *ctx)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n')
			end_line(source, on_line, ctx);
		else if (source->used + 1 < sizeof(source->line))
			source->line[source->used++] = bytes[i] ? bytes[i] : '?';
		else
			source->is_too_long = true;
	}
}

static int read_rest(struct event_source *source, event_line_fn on_line, void *ctx, struct err *err)
{
	char chunk[CHUNK_BYTES];
	ssize_t got;

	while ((got = read(source->fd, chunk, sizeof(chunk))) > 0)
		take_bytes(source, chunk, (size_t)got, on_line, ctx);
	return got < 0 ? err_set(err, -errno, "%s: %s", source->path, strerror(errno)) : 0;
}

/* 0, -ENOENT, or another error with `err`. */
static int open_file(struct event_source *source, const char *path, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, -EINVAL, "%s: is no file", path);
	}
	close_file(source);
	source->fd = fd;
	source->inode = st.st_ino;
	return 0;
}

static int read_older(struct event_source *source, event_line_fn on_line, void *ctx, struct err *err)
{
	int error = open_file(source, source->older, err);

	source->has_begun = true;
	if (!error)
		error = read_rest(source, on_line, ctx, err);
	return error == -ENOENT ? 0 : error;
}

int event_source_read(struct event_source *source, event_line_fn on_line, void *ctx, struct err *err)
{
	struct stat st;
	int error = source->has_begun ? 0 : read_older(source, on_line, ctx, err);

	if (!error && source->fd >= 0)
		error = read_rest(source, on_line, ctx, err);
	if (error)
		return error;
	if (stat(source->path, &st))
		return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", source->path, strerror(errno));
	if (source->fd >= 0 && st.st_ino == source->inode)
		return 0;
	/* It was turned over after the read: the rest of the old one first. */
	if (source->fd >= 0)
		error = read_rest(source, on_line, ctx, err);
	if (!error)
		error = open_file(source, source->path, err);
	if (!error)
		error = read_rest(source, on_line, ctx, err);
	return error == -ENOENT ? 0 : error;
}
