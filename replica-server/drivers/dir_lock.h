/* flock(2) on a directory, and who holds it. Blocking only in name: never waits. */
#ifndef REPLICA_SERVER_DRIVERS_DIR_LOCK_H
#define REPLICA_SERVER_DRIVERS_DIR_LOCK_H

#include "common/compiler.h"
#include "common/err.h"

/* Locks the open directory `fd` for this process until it is closed. 0, or -EBUSY and who has it. */
int dir_lock(int fd, const char *path, struct err *err) must_check;
/* The process that holds a lock on the open directory, 0: none or not known (/proc/locks, proc(5)). */
int dir_lock_holder(int fd);

#endif
