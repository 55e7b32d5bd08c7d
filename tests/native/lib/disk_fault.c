/* LD_PRELOAD library: a disk that fails when it is told to. DISK_FAULT names a file; while it holds lines "OPERATION
 * ERROR FILE" (write, sync or read; EIO, ENOSPC, ...), that operation fails for files of that name; "dsync" fails after
 * a write was done, when it is to become durable. Only calls of libc can fail this way: a replica-server uses them
 * where its directory is on tmpfs. Knows nothing of Lockstep. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct {
	const char *name;
	int error;
} errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}};

static ssize_t (*real_pwritev2)(int, const struct iovec *, int, off_t, int);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void find_the_real_ones(void)
{
	*(void **)&real_pwritev2 = dlsym(RTLD_NEXT, "pwritev2");
	*(void **)&real_pread = dlsym(RTLD_NEXT, "pread");
	*(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

static bool has_name(int fd, const char *name)
{
	char link[64], path[4096];
	const char *last;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return false;
	path[len] = '\0';
	last = strrchr(path, '/');
	return last && strcmp(last + 1, name) == 0;
}

static int error_named(const char *name)
{
	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(name, errors[i].name) == 0)
			return errors[i].error;
	}
	return 0;
}

/* 0: it works. */
static int fault_of(const char *operation, int fd)
{
	const char *path = getenv("DISK_FAULT");
	char wanted[16], error[16], name[32];
	FILE *file = path ? fopen(path, "re") : NULL;
	int ret = 0;

	if (!file)
		return 0;
	while (!ret && fscanf(file, "%15s %15s %31s", wanted, error, name) == 3) {
		if (strcmp(wanted, operation) == 0 && has_name(fd, name))
			ret = error_named(error);
	}
	fclose(file);
	return ret;
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	int error = fault_of("write", fd);

	if (!error && flags & RWF_DSYNC) {
		error = fault_of("dsync", fd);
		if (error)
			(void)real_pwritev2(fd, iov, count, offset, 0);
	}
	errno = error;
	return error ? -1 : real_pwritev2(fd, iov, count, offset, flags);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset)
{
	int error = fault_of("read", fd);

	errno = error;
	return error ? -1 : real_pread(fd, bytes, count, offset);
}

int fdatasync(int fd)
{
	int error = fault_of("sync", fd);

	errno = error;
	return error ? -1 : real_fdatasync(fd);
}
