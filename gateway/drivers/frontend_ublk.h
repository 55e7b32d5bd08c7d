/* The frontend that is a block device: /dev/ublkbN, one queue, served by the data thread. */
#ifndef GATEWAY_DRIVERS_FRONTEND_UBLK_H
#define GATEWAY_DRIVERS_FRONTEND_UBLK_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/drivers/frontend.h"
#include "gateway/drivers/run_dir.h"
#include "gateway/drivers/ublk_device.h"
#include "gateway/drivers/ublk_probe.h"

struct frontend_ublk_options {
	struct ublk_device_spec device;
	enum ublk_mode mode;
	unsigned buffer_table;	       /* entries; fewer than the queue depth: the rest goes by way of bounce buffers */
	const char *volume_name;       /* borrowed until destroy() */
	const struct run_dir *run_dir; /* where the device is recorded; borrowed until destroy() */
};

/* Probes the kernel and takes all memory; the device itself comes with ops->start(). `ctl` is taken, on error too.
 * A device that a killed gateway left is to be taken over by start(). 0; -EOPNOTSUPP: the mode is impossible; -EINVAL:
 * the device that was left does not fit; -EBUSY: nothing is known of its requests; -ENOMEM. */
int frontend_ublk_new(const struct frontend_ublk_options *options, struct ublk_ctl *ctl, struct frontend **ret,
		      struct err *err) must_check;

#endif
