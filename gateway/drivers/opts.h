/* The gateway's command line and exit codes. lockstep-gateway(8) documents both. */
#ifndef GATEWAY_DRIVERS_OPTS_H
#define GATEWAY_DRIVERS_OPTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/busy_poll.h"
#include "common/compiler.h"
#include "common/err.h"
#include "common/log.h"
#include "gateway/core/policy.h"
#include "gateway/drivers/peer.h"
#include "gateway/drivers/ublk_probe.h"

/* Numbers never change. */
enum gateway_exit {
	GATEWAY_EXIT_OK = 0,	   /* detached in good order, or the asked-for work is done */
	GATEWAY_EXIT_INTERNAL = 1, /* no memory, no thread, no ring */
	GATEWAY_EXIT_USAGE = 2,	   /* the command line */
	GATEWAY_EXIT_CONFIG = 3,   /* the volume's file */
	GATEWAY_EXIT_REFUSED = 4,  /* the replicas refused the attachment */
	GATEWAY_EXIT_NO_UBLK = 5,  /* no ublk in the kernel, not loaded, or not permitted */
	GATEWAY_EXIT_MODE = 6,	   /* the mode asked for is impossible here */
	GATEWAY_EXIT_BUSY = 7,	 /* another gateway serves the volume, or a killed one left a device without a record */
	GATEWAY_EXIT_DEVICE = 8, /* the device could not be made or set up */
	GATEWAY_EXIT_LOST = 9,	 /* detached by force: what was not durable everywhere may be lost */
	GATEWAY_EXIT_ABSENT = 10, /* no majority, or none of the replicas in sync, answered in time */
};

enum frontend_kind { FRONTEND_UBLK, FRONTEND_SHM };
enum gateway_action { GATEWAY_SERVE, GATEWAY_DELETE_DEVICE, GATEWAY_HELP, GATEWAY_VERSION };

#define RUN_DIR_DEFAULT "/run/lockstep" /* or $LOCKSTEP_RUN_DIR */
#define DEVICE_ID_ANY UINT32_MAX

struct opts {
	enum gateway_action action;
	const char *volume_file;
	const char *run_dir;
	enum frontend_kind frontend;
	const char *shm_path; /* FRONTEND_SHM */
	enum ublk_mode mode;
	uint32_t queue_depth;  /* shm: the file's own counts */
	uint32_t buffer_table; /* entries for registered request buffers; 0: queue_depth */
	uint32_t device_id;    /* or DEVICE_ID_ANY */
	uint64_t bulk_min_bytes;
	uint32_t read_run;
	uint32_t reconnect_ms;
	uint32_t sync_interval_ms;
	uint32_t attach_wait_ms;
	uint32_t attach_limit_ms;  /* 0: never */
	const char *loss_accepted; /* "VOLUME@EPOCH" or NULL */
	size_t loss_volume_chars;  /* of it, before the '@' */
	uint32_t loss_epoch;
	struct volume_policy policy; /* over what the volume's file says */
	enum peers_recv recv;
	enum zc_force zero_copy_send;
	uint32_t busy_poll_us; /* or BUSY_POLL_AUTO; 0: off */
	enum log_level log_level;
};

/* Borrows strings of argv and the environment. 0, or -EINVAL naming the option. */
int opts_parse(int argc, char **argv, struct opts *ret, struct err *err) must_check;
void opts_help(FILE *out);

#endif
