/* One server a directory. Knows file locks only. Never on a request's path. */
#include "replica-server/drivers/dir_lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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

int dir_lock(int fd, const char *path, struct err *err)
{
	int pid;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_set(err, -errno, "directory %s: cannot be locked: %s", path, strerror(errno));
	pid = dir_lock_holder(fd);
	if (pid == getpid())
		return err_set(err, -EBUSY, "directory %s: is given twice; leave one out", path);
	if (pid)
		return err_set(err, -EBUSY,
			       "directory %s: in use by another server, process %d; stop it or use another directory",
			       path, pid);
	return err_set(err, -EBUSY, "directory %s: in use by another server; stop it or use another directory", path);
}
