/* Reads a replica's directory without a server and says what is wrong with it. Opens read-only and takes no lock:
 * `in_use` tells that a server holds the directory, and then what was read may be half a change. Any thread. */
#ifndef REPLICA_SERVER_DRIVERS_STORE_CHECK_H
#define REPLICA_SERVER_DRIVERS_STORE_CHECK_H

#include <stdbool.h>

#include "common/compiler.h"
#include "common/err.h"
#include "replica-server/core/check.h"

struct store_report {
	struct check_report check; /* check.problem_count == 0: nothing wrong was found */
	bool in_use;		   /* a running server holds the directory's lock */
	int in_use_pid;		   /* 0: not known */
};

/* `dir` is one replica's directory (DIR/<volume>.<set>.<uuid8>). 0 when it could be looked at, whatever was found;
 * else -errno with a sentence (no such directory, no permission, not a replica). */
int store_check(const char *dir, struct store_report *ret, struct err *err) must_check;

#endif
