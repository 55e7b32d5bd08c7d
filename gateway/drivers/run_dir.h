/* The gateway's files in the run directory: NAME.lock (held while it lives), NAME.sock (admin), NAME.device (which ublk
 * device is its own, so that a killed gateway's can be found and deleted), NAME.nonce (of the last attachment from here
 * that had nobody's lease to wait for any more), NAME.flight (what it has in hand, flight.h), NAME.events and
 * NAME.events.1 (event_file.h). Blocking; control thread. */
#ifndef GATEWAY_DRIVERS_RUN_DIR_H
#define GATEWAY_DRIVERS_RUN_DIR_H

#include <limits.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"

struct run_dir {
	int lock_fd;
	char socket_path[PATH_MAX];
	char device_path[PATH_MAX];
	char nonce_path[PATH_MAX];
	char flight_path[PATH_MAX];
	char events_path[PATH_MAX];
};

/* Makes the directory if needed and takes the volume's lock. -EBUSY with the pid of the gateway that has it. */
int run_dir_open(const char *dir, const char *volume, struct run_dir *ret, struct err *err) must_check;
/* Gives the lock back. The lock's file stays: removing it would let two gateways hold two files of one name. */
void run_dir_close(struct run_dir *run_dir);

/* The recorded device of this volume. 0, -ENOENT (none), or -EINVAL (the file is not ours; `err`). */
int run_dir_device(const struct run_dir *run_dir, uint32_t *ret_id, struct err *err) must_check;
int run_dir_record_device(const struct run_dir *run_dir, uint32_t id, struct err *err) must_check;
void run_dir_forget_device(const struct run_dir *run_dir);

/* Nonce of the last attachment from this host. With the lock, its process is dead. 0: not known. */
uint64_t run_dir_nonce(const struct run_dir *run_dir);
int run_dir_record_nonce(const struct run_dir *run_dir, uint64_t nonce, struct err *err) must_check;

/* Removes whatever record names device `id`, in any volume's name. */
void run_dir_forget_device_id(const char *dir, uint32_t id);

#endif
