/* Small files read and written whole, durably. Knows nothing of their content.
 * For configuration and state at start-up and in the CLI; blocks, so never on a request's path. */
#include "common/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_fully(int fd, char *data, size_t len, size_t *ret_got)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, data + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_got = got;
	return 0;
}

/* O_NONBLOCK: opening a FIFO by mistake must not hang. */
static int open_regular(const char *path, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return err_set(err, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, "%s: not a regular file", path);
}

int file_read_all(const char *path, size_t max_bytes, char **ret_data, size_t *ret_len, struct err *err)
{
	size_t got = 0;
	char *data;
	int error, fd;

	fd = open_regular(path, err);
	if (fd < 0)
		return fd;
	data = malloc(max_bytes + 2);
	if (!data) {
		error = err_set(err, -ENOMEM, "%s: out of memory", path);
		goto err_close;
	}
	error = read_fully(fd, data, max_bytes + 1, &got);
	if (error) {
		err_set(err, error, "%s: cannot be read: %s", path, strerror(-error));
		goto err_free;
	}
	if (got > max_bytes) {
		error = err_set(err, -EFBIG, "%s: longer than %zu bytes", path, max_bytes);
		goto err_free;
	}
	close(fd);
	data[got] = '\0';
	*ret_data = data;
	*ret_len = got;
	return 0;

err_free:
	free(data);
err_close:
	close(fd);
	return error;
}

static int write_fully(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* fsync of the directory that holds `path`: makes a rename or an unlink in it durable. */
static int directory_sync(const char *path, struct err *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int error = 0, fd;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	fd = open(dir[0] ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "%s: cannot open: %s", dir, strerror(errno));
	if (fsync(fd) < 0)
		error = err_set(err, -errno, "%s: fsync: %s", dir, strerror(errno));
	close(fd);
	return error;
}

static int write_temporary(const char *path, mode_t mode, const void *data, size_t len, char *temporary,
			   struct err *err)
{
	int error, fd;

	if (snprintf(temporary, PATH_MAX, "%s.XXXXXX", path) >= PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "%s: cannot create a file beside it: %s", path, strerror(errno));
	error = write_fully(fd, data, len);
	if (!error && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		error = -errno;
	if (close(fd) < 0 && !error)
		error = -errno;
	if (!error)
		return 0;
	unlink(temporary);
	return err_set(err, error, "%s: cannot be written: %s", path, strerror(-error));
}

int file_write_atomic(const char *path, mode_t mode, const void *data, size_t len, struct err *err)
{
	char temporary[PATH_MAX];
	int error = write_temporary(path, mode, data, len, temporary, err);

	if (error)
		return error;
	if (rename(temporary, path) < 0) {
		error = err_set(err, -errno, "%s: cannot be replaced: %s", path, strerror(errno));
		unlink(temporary);
		return error;
	}
	return directory_sync(path, err);
}

int file_remove(const char *path, struct err *err)
{
	if (unlink(path) < 0)
		return err_set(err, -errno, "%s: cannot be removed: %s", path, strerror(errno));
	return directory_sync(path, err);
}

int directory_make(const char *path, mode_t mode, struct err *err)
{
	char part[PATH_MAX];
	struct stat st;

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return err_set(err, -errno, "%s: cannot create the directory: %s", part, strerror(errno));
		*slash = '/';
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: cannot create the directory: %s", part, strerror(errno));
	if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s: not a directory", part);
	return 0;
}
