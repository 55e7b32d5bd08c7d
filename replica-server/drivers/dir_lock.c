/* One server a directory. Knows file locks only. Never on a request's path. */
#include "replica-server/drivers/dir_lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/process.h"

#define PATIENCE_NS (10 * NS_PER_S)

int dir_lock_holder(int fd)
{
	char line[256], wanted[64];
	struct stat st;
	FILE *locks;
	int pid = 0;

	if (fstat(fd, &st))
		return 0;
	(void)snprintf(wanted, sizeof(wanted), "%02x:%02x:%lu", major(st.st_dev), minor(st.st_dev),
		       (unsigned long)st.st_ino);
	locks = fopen("/proc/locks", "re");
	if (!locks)
		return 0;
	while (!pid && fgets(line, sizeof(line), locks)) {
		char kind[16], place[64];
		int holder;

		if (sscanf(line, "%*s %15s %*s %*s %d %63s", kind, &holder, place) == 3 && !strcmp(kind, "FLOCK") &&
		    !strcmp(place, wanted))
			pid = holder;
	}
	(void)fclose(locks); /* read only */
	return pid > 0 ? pid : 0;
}

static int refuse(const char *path, int pid, struct err *err)
{
	if (pid == getpid())
		return err_set(err, -EBUSY, "directory %s: is given twice; leave one out", path);
	if (pid && !process_has_ended(pid))
		return err_set(err, -EBUSY,
			       "directory %s: in use by another server, process %d; stop it or use another directory",
			       path, pid);
	if (pid)
		return err_set(err, -EBUSY,
			       "directory %s: process %d was killed, but the disk is still at work for it; look at the "
			       "disk, then start again",
			       path, pid);
	return err_set(err, -EBUSY, "directory %s: in use by another server; stop it or use another directory", path);
}

static int try_lock(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
}

/* The ring of a server that was killed holds the lock until the last of its writes is over, which is a matter of
 * milliseconds. */
static int wait_for_killed(int fd)
{
	const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
	uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
	int error;

	while ((error = try_lock(fd)) == -EWOULDBLOCK && clock_now_ns() < end_ns)
		(void)nanosleep(&pause, NULL);
	return error;
}

int dir_lock(int fd, const char *path, struct err *err)
{
	int error = try_lock(fd), pid;

	if (error == -EWOULDBLOCK) {
		pid = dir_lock_holder(fd);
		if (pid && !process_has_ended(pid))
			return refuse(path, pid, err);
		error = wait_for_killed(fd);
	}
	if (error == -EWOULDBLOCK)
		return refuse(path, dir_lock_holder(fd), err);
	if (error)
		return err_set(err, error, "directory %s: cannot be locked: %s", path, strerror(-error));
	return 0;
}
