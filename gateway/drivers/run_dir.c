/* Lock, socket name and device record of a gateway in the run directory.
 * Knows no device and no protocol. Not on a request's path: start and end of the process. */
#include "gateway/drivers/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/file_io.h"

#define NONCE_CHARS 16

static int make_path(char *ret, const char *dir, const char *volume, const char *suffix, struct err *err)
{
	int n = snprintf(ret, PATH_MAX, "%s/%s.%s", dir, volume, suffix);

	return n < 0 || n >= PATH_MAX ? err_set(err, -ENAMETOOLONG, "run directory %s: its name is too long", dir) : 0;
}

/* What the file at `fd` begins with, as a number; -1 when it does not. */
static long read_number(int fd)
{
	char text[24] = "";
	char *end;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long value;

	if (n <= 0)
		return -1;
	errno = 0;
	value = strtol(text, &end, 10);
	return end == text || (*end && *end != '\n') || errno || value < 0 ? -1 : value;
}

static int take_lock(const char *path, const char *volume, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	int rc;

	if (fd < 0)
		return err_set(err, -errno, "lock %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		rc = -errno;
		if (rc == -EWOULDBLOCK)
			rc = err_set(err, -EBUSY,
				     "volume %s: already served by the gateway with pid %ld; detach it first", volume,
				     read_number(fd));
		else
			err_set(err, rc, "lock %s: %s", path, strerror(-rc));
		close(fd);
		return rc;
	}
	/* For people only: the lock itself is what counts. */
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		rc = err_set(err, -errno, "lock %s: cannot be written: %s", path, strerror(errno));
		close(fd);
		return rc;
	}
	return fd;
}

int run_dir_open(const char *dir, const char *volume, struct run_dir *ret, struct err *err)
{
	char lock_path[PATH_MAX];
	int rc = directory_make(dir, 0755, err);

	if (!rc)
		rc = make_path(ret->socket_path, dir, volume, "sock", err);
	if (!rc)
		rc = make_path(ret->device_path, dir, volume, "device", err);
	if (!rc)
		rc = make_path(ret->nonce_path, dir, volume, "nonce", err);
	if (!rc)
		rc = make_path(ret->flight_path, dir, volume, "flight", err);
	if (!rc)
		rc = make_path(ret->events_path, dir, volume, "events", err);
	if (!rc)
		rc = make_path(lock_path, dir, volume, "lock", err);
	if (rc)
		return rc;
	ret->lock_fd = take_lock(lock_path, volume, err);
	return ret->lock_fd < 0 ? ret->lock_fd : 0;
}

void run_dir_close(struct run_dir *run_dir)
{
	if (ftruncate(run_dir->lock_fd, 0))
		(void)0; /* a stale pid in an unlocked file is believed by nobody */
	close(run_dir->lock_fd);
	run_dir->lock_fd = -1;
}

static int read_device(const char *path, uint32_t *ret_id, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	long id;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_set(err, -errno, "device record %s: %s", path, strerror(errno));
	id = read_number(fd);
	close(fd);
	if (id < 0 || id >= UINT32_MAX)
		return err_set(err, -EINVAL, "device record %s: holds no device number; remove it", path);
	*ret_id = (uint32_t)id;
	return 0;
}

int run_dir_device(const struct run_dir *run_dir, uint32_t *ret_id, struct err *err)
{
	return read_device(run_dir->device_path, ret_id, err);
}

int run_dir_record_device(const struct run_dir *run_dir, uint32_t id, struct err *err)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%u\n", id);

	return file_write_atomic(run_dir->device_path, 0644, text, (size_t)n, err);
}

void run_dir_forget_device(const struct run_dir *run_dir)
{
	unlink(run_dir->device_path);
}

uint64_t run_dir_nonce(const struct run_dir *run_dir)
{
	int fd = open(run_dir->nonce_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[NONCE_CHARS + 2] = "";
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n != NONCE_CHARS + 1 || strspn(text, "0123456789abcdef") != NONCE_CHARS || text[NONCE_CHARS] != '\n')
		return 0;
	return strtoull(text, NULL, 16);
}

int run_dir_record_nonce(const struct run_dir *run_dir, uint64_t nonce, struct err *err)
{
	char text[NONCE_CHARS + 2];
	int n = snprintf(text, sizeof(text), "%016" PRIx64 "\n", nonce);

	return file_write_atomic(run_dir->nonce_path, 0644, text, (size_t)n, err);
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len > suffix_len && !strcmp(text + len - suffix_len, suffix);
}

void run_dir_forget_device_id(const char *dir, uint32_t id)
{
	char path[PATH_MAX];
	struct dirent *entry;
	uint32_t recorded = 0;
	DIR *d = opendir(dir);

	if (!d)
		return;
	while ((entry = readdir(d))) {
		int n = snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);

		if (n > 0 && n < (int)sizeof(path) && ends_with(entry->d_name, ".device") &&
		    !read_device(path, &recorded, NULL) && recorded == id)
			unlink(path);
	}
	closedir(d);
}
