/* Where a block device, or a partition of it, is mounted or swapped on: the reason a detach must wait. */
#ifndef GATEWAY_CLI_MOUNTS_H
#define GATEWAY_CLI_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* True with the first mount point (proc_pid_mountinfo(5) lines of `mountinfo`) of `device` ("/dev/ublkb0") or of a
 * partition of it ("/dev/ublkb0p1"). Pure but for reading the stream. */
bool mounts_find(FILE *mountinfo, const char *device, char *ret, size_t cap);

/* The same for this process's mounts; false also when /proc cannot be read. */
bool mounts_of_device(const char *device, char *ret, size_t cap);

#endif
