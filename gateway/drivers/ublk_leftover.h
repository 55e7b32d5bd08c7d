/* Devices whose gateway was killed: their requests wait in the kernel, until a gateway of the same volume takes the
 * device over (ublk_device_take_over()), or somebody deletes it. Blocking; never the data thread. */
#ifndef GATEWAY_DRIVERS_UBLK_LEFTOVER_H
#define GATEWAY_DRIVERS_UBLK_LEFTOVER_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/drivers/ublk_device.h"

/* Device `id`, if it is this volume's. 0; -ENOENT: there is none, or it is another's, or a process serves it; -EINVAL:
 * it was made with another queue depth or size than `spec` says, and cannot be taken over so. */
int ublk_leftover_find(struct ublk_ctl *ctl, uint32_t id, const struct ublk_device_spec *spec,
		       struct ublksrv_ctrl_dev_info *ret, struct err *err) must_check;
/* Fails what waits in it, and removes it. -ENODEV: there is none; -EBUSY: its server lives. Errors name the device. */
int ublk_leftover_delete(struct ublk_ctl *ctl, uint32_t id, struct err *err) must_check;
/* The same, but does not wait for those who have it open: it goes when they close it. */
int ublk_leftover_fail(struct ublk_ctl *ctl, uint32_t id) must_check;

#endif
