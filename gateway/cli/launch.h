/* Starts a gateway for `volume attach`: systemd's template unit, or a detached process with a log file. Main thread. */
#ifndef GATEWAY_CLI_LAUNCH_H
#define GATEWAY_CLI_LAUNCH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"
#include "gateway/cli/cli.h"

#define LAUNCH_ARGS_MAX 96u

struct launch {
	const char *name; /* of the volume; borrowed */
	bool by_systemd;
	pid_t pid;	     /* our child while it runs: the detached process, or `systemctl start` */
	char log[PATH_MAX];  /* the detached process's; the unit's name with systemd */
	long long log_start; /* bytes that stood in the log before */
};

/* Does systemd run this machine? (sd_booted(3)) */
bool launch_has_systemd(void);

/* Where lockstep-gateway is: $LOCKSTEP_GATEWAY, beside this program, ../sbin, /usr/local/sbin, /usr/sbin. */
int launch_find_gateway(char ret[PATH_MAX], struct err *err) must_check;

/* `args`: NULL-terminated, [0] is the program. Detached: own session, stdio to `log_path`. */
int launch_detached(struct launch *launch, const char *name, const char *log_path, char *const *args, struct err *err)
	must_check;
int launch_by_systemd(struct launch *launch, const char *name, struct err *err) must_check;

/* True when the gateway is no longer running: `ret_code` says as what, `err` holds its last words. Does not block. */
bool launch_has_ended(struct launch *launch, enum exit_code *ret_code, struct err *err);

/* Asks it to stop (SIGTERM, systemctl stop) and waits up to `timeout_ms`. False: still running. */
bool launch_stop(struct launch *launch, int timeout_ms);

#endif
