/* Finds and removes what killed gateways left. Knows no request and no replica. Not on a request's path. */
#include "gateway/drivers/ublk_leftover.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/process.h"
#include "gateway/drivers/ublk_ctl.h"

#define BUSY_RETRIES 10
#define BUSY_PAUSE_MS 100
#define OPEN_ELSEWHERE_MS 2000

/* A process that was killed a moment ago may still be going; its ring holds the device until the last request ended,
 * also when the process is gone. */
static bool server_lives(struct ublk_ctl *ctl, uint32_t id, struct ublksrv_ctrl_dev_info *info)
{
	for (unsigned i = 0; i < BUSY_RETRIES; i++) {
		if (info->state != UBLK_S_DEV_LIVE || info->ublksrv_pid <= 0 || process_has_ended(info->ublksrv_pid))
			return false;
		usleep(BUSY_PAUSE_MS * 1000);
		if (ublk_ctl_info(ctl, id, info))
			return false;
	}
	return true;
}

static int refuse(uint32_t id, const char *what, uint64_t has, uint64_t asked, struct err *err)
{
	return err_set(err, -EINVAL,
		       "/dev/ublkb%" PRIu32 ": left by a killed gateway of this volume with %s %" PRIu64
		       ", which is %" PRIu64 " now; attach with what it had to take it over, or fail what waits in it "
		       "with 'lockstep-gateway --delete-device %" PRIu32 "'",
		       id, what, has, asked, id);
}

/* What the kernel keeps of the device cannot be changed by whoever takes it over. */
static int check_fits(struct ublk_ctl *ctl, const struct ublksrv_ctrl_dev_info *info,
		      const struct ublk_device_spec *spec, struct err *err)
{
	struct ublk_params params;
	int rc = ublk_ctl_get_params(ctl, info->dev_id, &params);

	if (rc)
		return err_set(err, rc, "/dev/ublkb%" PRIu32 ": GET_PARAMS: %s", info->dev_id, strerror(-rc));
	if (info->queue_depth != spec->queue_depth)
		return refuse(info->dev_id, "queue depth", info->queue_depth, spec->queue_depth, err);
	if (info->max_io_buf_bytes != IO_BYTES_MAX)
		return refuse(info->dev_id, "requests of", info->max_io_buf_bytes, IO_BYTES_MAX, err);
	if (params.basic.dev_sectors != spec->volume_bytes >> UBLK_SECTOR_SHIFT)
		return refuse(info->dev_id, "a size in sectors of", params.basic.dev_sectors,
			      spec->volume_bytes >> UBLK_SECTOR_SHIFT, err);
	if (1u << params.basic.logical_bs_shift != spec->block_bytes)
		return refuse(info->dev_id, "blocks of", 1u << params.basic.logical_bs_shift, spec->block_bytes, err);
	return 0;
}

int ublk_leftover_find(struct ublk_ctl *ctl, uint32_t id, const struct ublk_device_spec *spec,
		       struct ublksrv_ctrl_dev_info *ret, struct err *err)
{
	if (ublk_ctl_info(ctl, id, ret) || ret->ublksrv_flags != ublk_device_mark(&spec->volume_uuid) ||
	    server_lives(ctl, id, ret))
		return -ENOENT;
	return check_fits(ctl, ret, spec, err);
}

static int stop_and_delete(struct ublk_ctl *ctl, uint32_t id, int timeout_ms)
{
	int rc = ublk_ctl_stop(ctl, id);

	return rc ? rc : ublk_ctl_delete(ctl, id, timeout_ms);
}

int ublk_leftover_delete(struct ublk_ctl *ctl, uint32_t id, struct err *err)
{
	struct ublksrv_ctrl_dev_info info;
	int rc = ublk_ctl_info(ctl, id, &info);

	if (rc)
		return err_set(err, rc, "ublk device %u: %s", id, rc == -ENODEV ? "does not exist" : strerror(-rc));
	if (server_lives(ctl, id, &info))
		return err_set(err, -EBUSY, "/dev/ublkb%u: is served by the process %d; detach its volume", id,
			       info.ublksrv_pid);
	rc = stop_and_delete(ctl, id, -1);
	return rc ? err_set(err, rc, "/dev/ublkb%u: cannot be deleted: %s", id, strerror(-rc)) : 0;
}

int ublk_leftover_fail(struct ublk_ctl *ctl, uint32_t id)
{
	struct ublksrv_ctrl_dev_info info;
	int rc = ublk_ctl_info(ctl, id, &info);

	if (!rc)
		rc = server_lives(ctl, id, &info) ? -EBUSY : stop_and_delete(ctl, id, OPEN_ELSEWHERE_MS);
	return rc == -ETIMEDOUT ? 0 : rc;
}
