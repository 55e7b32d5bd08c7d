/* One ublk device from ADD_DEV to DEL_DEV, seen from the thread that makes and removes it: control commands, device
 * nodes, sysfs. Blocking; never the data thread, which must serve while these wait. */
#ifndef GATEWAY_DRIVERS_UBLK_DEVICE_H
#define GATEWAY_DRIVERS_UBLK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/uuid.h"
#include "gateway/drivers/ublk_probe.h"
#include "gateway/drivers/ublk_uapi.h"

struct ublk_device_spec {
	uint32_t wanted_id; /* UINT32_MAX: any */
	unsigned queue_depth;
	uint64_t volume_bytes;
	uint32_t block_bytes;
	struct uuid volume_uuid; /* its first bytes mark the device as this volume's */
};

struct ublk_device {
	struct ublk_ctl *ctl; /* borrowed */
	uint32_t id;
	uint64_t flags; /* granted */
	char block_path[32], char_path[32];
	int char_fd;
	const struct ublksrv_io_desc *descs; /* written by the kernel, one per tag */
	size_t descs_bytes;
};

/* ADD_DEV, parameters, opens /dev/ublkcN and maps the descriptors. On error nothing is left. */
int ublk_device_add(struct ublk_ctl *ctl, const struct ublk_device_spec *spec, const struct ublk_choice *choice,
		    struct ublk_device *ret, struct err *err) must_check;
/* START_DEV, then waits for /dev/ublkbN, sets its stable_writes and takes its scheduler away. All tags must be about to
 * be fetched. On error the device is stopped; ublk_device_remove() is still due. */
int ublk_device_start(struct ublk_device *device, struct err *err) must_check;
/* Until nothing is in flight. -EBUSY: it is open somewhere, and not forced. */
int ublk_device_stop(struct ublk_device *device, bool force, struct err *err) must_check;
/* Drops the mapping and the descriptor: data thread, after the last completion. */
void ublk_device_close(struct ublk_device *device);
/* DEL_DEV, after ublk_device_close(). */
int ublk_device_remove(struct ublk_device *device, struct err *err) must_check;

/* A device that its server left (ublk_leftover.h), with the requests that wait in it: the kernel lets it be served
 * again; opens and maps as ublk_device_add() does. On error it is as it was, for another try. */
int ublk_device_take_over(struct ublk_ctl *ctl, const struct ublk_device_spec *spec,
			  const struct ublksrv_ctrl_dev_info *info, struct ublk_device *ret, struct err *err)
	must_check;
/* All tags must be about to be fetched. The requests come again, each as often as it has not been completed. */
int ublk_device_resume(struct ublk_device *device, struct err *err) must_check;

/* What marks a device as a volume's; the kernel keeps it with the device. */
uint64_t ublk_device_mark(const struct uuid *volume);

#endif
