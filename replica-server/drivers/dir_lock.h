/* flock(2) on a directory, and who holds it. A lock outlives a killed server as long as its writes are under way: what
 * they change must not change after another server has promised something. Start only. */
#ifndef REPLICA_SERVER_DRIVERS_DIR_LOCK_H
#define REPLICA_SERVER_DRIVERS_DIR_LOCK_H

#include "common/compiler.h"
#include "common/err.h"

/* Locks the open directory `fd` until nobody has it open any more, a ring included. Waits some seconds for one that was
 * killed. 0, or -EBUSY and who has it. */
int dir_lock(int fd, const char *path, struct err *err) must_check;
/* The process that holds a lock on the open directory, 0: none or not known (/proc/locks, proc(5)). */
int dir_lock_holder(int fd);

#endif
