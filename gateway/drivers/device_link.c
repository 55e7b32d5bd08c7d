/* Makes and removes the links in /dev/lockstep where no udev does. Knows no volume beyond its name.
 * Not on a request's path: start and end of the device. */
#include "gateway/drivers/device_link.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define LINK_DIR "/dev/lockstep"

/* Its control socket is there as long as it runs. */
static bool udev_runs(void)
{
	return access("/run/udev/control", F_OK) == 0;
}

void device_link_make(const char *volume, const char *device)
{
	char path[PATH_MAX];

	if (udev_runs())
		return;
	snprintf(path, sizeof(path), LINK_DIR "/%s", volume);
	if (mkdir(LINK_DIR, 0755) && errno != EEXIST)
		goto failed;
	if (unlink(path) && errno != ENOENT)
		goto failed;
	if (!symlink(device, path))
		return;
failed:
	log_warn("event=no_link path=%s device=%s error=\"%s\"", path, device, strerror(errno));
}

static bool leads_to(int dir_fd, const char *name, const char *device)
{
	char target[64];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (len < 0)
		return false;
	target[len] = '\0';
	return strcmp(target, device) == 0;
}

void device_link_remove(const char *device)
{
	struct dirent *entry;
	DIR *dir;

	if (udev_runs())
		return;
	dir = opendir(LINK_DIR);
	if (!dir)
		return; /* none was ever made */
	while ((entry = readdir(dir))) {
		if (leads_to(dirfd(dir), entry->d_name, device) && unlinkat(dirfd(dir), entry->d_name, 0))
			log_warn("event=link_stays path=" LINK_DIR "/%s error=\"%s\"", entry->d_name, strerror(errno));
	}
	closedir(dir);
}
