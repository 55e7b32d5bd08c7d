/* Options of lockstep-replica, from the command line and the configuration file. Main thread, before anything else. */
#ifndef REPLICA_SERVER_DRIVERS_OPTS_H
#define REPLICA_SERVER_DRIVERS_OPTS_H

#include <stdbool.h>

#include "common/busy_poll.h"
#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"
#include "replica-server/drivers/replica_dir.h"

#define DATA_ROOTS_MAX 16u
#define LISTENERS_MAX 16u
#define DATA_THREADS_MAX 64u
#define DEFAULT_PORT "7420"

/* Exit codes; --help and the man page repeat them. */
enum exit_code {
	EXIT_FINE = 0,
	EXIT_TROUBLE = 1, /* it could not start: address, directory, memory */
	EXIT_USAGE = 2,	  /* wrong options or configuration */
};

struct opts {
	unsigned listen_count, root_count;
	char listen[LISTENERS_MAX][ADDRESS_CHARS_MAX + 1];
	char *roots[DATA_ROOTS_MAX]; /* owned */
	unsigned threads;	     /* 0: one a CPU, at most 8 */
	unsigned buffer_mib;	     /* payload buffers of a data thread */
	uint32_t busy_poll_us;	     /* or BUSY_POLL_AUTO; 0: off */
	enum log_level log_level;
	enum direct_mode direct;
	bool help, version;
};

/* 0, or -EINVAL and a sentence. `*ret` must be given to opts_fini() in both cases. */
int opts_parse(int argc, char **argv, struct opts *ret, struct err *err) must_check;
void opts_fini(struct opts *opts);
void opts_usage(void);

/* One setting by its long name, as both sources use it. 0, -EINVAL, or -ENOENT for an unknown name. */
int opts_set(struct opts *opts, const char *name, const char *value, struct err *err) must_check;
/* Reads a YAML file with the same names. */
int opts_read_file(struct opts *opts, const char *path, struct err *err) must_check;

#endif
