/* The control thread: from the first attempt to attach to the last letter. Owns signals, timers, the admin socket, the
 * connector; tells the data thread by letters and the device by jobs. libev's default loop, main thread. */
#ifndef GATEWAY_DRIVERS_CONTROL_H
#define GATEWAY_DRIVERS_CONTROL_H

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/core/volume.h"
#include "gateway/drivers/frontend.h"
#include "gateway/drivers/loop.h"
#include "gateway/drivers/opts.h"

struct mailbox;
struct run_dir;

struct control_options {
	const struct opts *opts; /* all pointers: borrowed for the call */
	const struct volume_spec *spec;
	const struct run_dir *run_dir;
	struct frontend *frontend;
	struct loop_options loop; /* with both mailboxes */
};

/* Attaches, serves, detaches. Returns when the data thread is gone: an exit code, `err` set unless it is
 * GATEWAY_EXIT_OK.
 *
 * SIGTERM, SIGINT: detach; refused while the device is in use, and tried again every second until it is not.
 * An admin DETACH is refused at once in that case, or forces. */
enum gateway_exit control_run(const struct control_options *options, struct err *err) must_check;

#endif
