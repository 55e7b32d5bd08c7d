/* ublk's control commands over a small ring of their own, whose SQEs are 128 bytes as these commands need.
 * Knows nothing of volumes, requests or the data thread's ring. Not on a request's path. */
#include "gateway/drivers/ublk_ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define CONTROL_DEVICE "/dev/ublk-control"
#define CTL_RING_ENTRIES 4

struct ublk_ctl {
	int fd;
	bool stuck; /* a command was given up: its completion may come at any time */
	struct io_uring ring;
};

static int open_device(struct err *err)
{
	int fd = open(CONTROL_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return err_set(err, -ENOENT,
			       CONTROL_DEVICE
			       ": this kernel has no ublk, or it is not loaded; try `modprobe ublk_drv` (Linux "
			       "6.5 or newer with CONFIG_BLK_DEV_UBLK)");
	return err_set(err, -errno, CONTROL_DEVICE ": %s; serving a block device needs root", strerror(errno));
}

int ublk_ctl_open(struct ublk_ctl **ret, struct err *err)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SQE128};
	struct ublk_ctl *ctl = calloc(1, sizeof(*ctl));
	int rc;

	if (!ctl)
		return err_set(err, -ENOMEM, CONTROL_DEVICE ": out of memory");
	ctl->fd = open_device(err);
	if (ctl->fd < 0) {
		rc = ctl->fd;
		goto err_free;
	}
	rc = io_uring_queue_init_params(CTL_RING_ENTRIES, &ctl->ring, &params);
	if (rc) {
		err_set(err, rc, CONTROL_DEVICE ": io_uring with 128-byte entries: %s", strerror(-rc));
		goto err_close;
	}
	*ret = ctl;
	return 0;
err_close:
	close(ctl->fd);
err_free:
	free(ctl);
	return rc;
}

void ublk_ctl_close(struct ublk_ctl *ctl)
{
	if (!ctl)
		return;
	io_uring_queue_exit(&ctl->ring);
	close(ctl->fd);
	free(ctl);
}

static int wait_result(struct ublk_ctl *ctl, int timeout_ms)
{
	struct __kernel_timespec ts = {.tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * (long)NS_PER_MS};
	struct io_uring_cqe *cqe;
	int rc;

	do
		rc = io_uring_wait_cqe_timeout(&ctl->ring, &cqe, timeout_ms < 0 ? NULL : &ts);
	while (rc == -EINTR);
	if (rc) {
		ctl->stuck = true;
		return rc == -ETIME ? -ETIMEDOUT : rc;
	}
	rc = cqe->res;
	io_uring_cqe_seen(&ctl->ring, cqe);
	return rc;
}

/* `buf` of `len` bytes is read or written by the kernel before this returns (unless it times out). */
static int command(struct ublk_ctl *ctl, unsigned op, uint32_t id, void *buf, uint16_t len, uint64_t data,
		   int timeout_ms)
{
	struct io_uring_sqe *sqe;
	struct ublksrv_ctrl_cmd *cmd;
	int rc;

	if (ctl->stuck)
		return -EIO;
	sqe = io_uring_get_sqe(&ctl->ring);
	if (!sqe)
		return -EAGAIN;
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ctl->fd;
	sqe->cmd_op = op;
	cmd = (struct ublksrv_ctrl_cmd *)sqe->cmd;
	cmd->dev_id = id;
	cmd->queue_id = UINT16_MAX;
	cmd->addr = (uint64_t)(uintptr_t)buf;
	cmd->len = len;
	cmd->data[0] = data;
	rc = io_uring_submit(&ctl->ring);
	return rc < 0 ? rc : wait_result(ctl, timeout_ms);
}

static int done(int rc)
{
	return rc < 0 ? rc : 0;
}

int ublk_ctl_features(struct ublk_ctl *ctl, uint64_t *ret, struct err *err)
{
	uint64_t features = 0;
	int rc = command(ctl, UBLK_U_CMD_GET_FEATURES, UINT32_MAX, &features, sizeof(features), 0, -1);

	if (rc == -EACCES || rc == -EPERM)
		return err_set(err, rc, "ublk: %s; serving a block device needs root", strerror(-rc));
	if (rc < 0)
		return err_set(err, -EOPNOTSUPP,
			       "ublk: the driver does not tell its features (%s); Linux 6.5 or newer is needed",
			       strerror(-rc));
	*ret = features;
	return 0;
}

int ublk_ctl_add(struct ublk_ctl *ctl, struct ublksrv_ctrl_dev_info *info)
{
	return done(command(ctl, UBLK_U_CMD_ADD_DEV, info->dev_id, info, sizeof(*info), 0, -1));
}

int ublk_ctl_set_params(struct ublk_ctl *ctl, uint32_t id, const struct ublk_params *params)
{
	struct ublk_params copy = *params;

	copy.len = UBLK_PARAMS_BYTES;
	return done(command(ctl, UBLK_U_CMD_SET_PARAMS, id, &copy, UBLK_PARAMS_BYTES, 0, -1));
}

int ublk_ctl_get_params(struct ublk_ctl *ctl, uint32_t id, struct ublk_params *ret)
{
	struct ublk_params params = {.len = UBLK_PARAMS_BYTES};
	int rc = command(ctl, UBLK_U_CMD_GET_PARAMS, id, &params, UBLK_PARAMS_BYTES, 0, -1);

	if (rc < 0)
		return rc;
	*ret = params;
	return 0;
}

int ublk_ctl_info(struct ublk_ctl *ctl, uint32_t id, struct ublksrv_ctrl_dev_info *ret)
{
	struct ublksrv_ctrl_dev_info info = {.dev_id = id};
	int rc = command(ctl, UBLK_U_CMD_GET_DEV_INFO, id, &info, sizeof(info), 0, -1);

	if (rc < 0)
		return rc;
	*ret = info;
	return 0;
}

int ublk_ctl_start(struct ublk_ctl *ctl, uint32_t id, int pid, int timeout_ms)
{
	return done(command(ctl, UBLK_U_CMD_START_DEV, id, NULL, 0, (uint64_t)pid, timeout_ms));
}

int ublk_ctl_stop(struct ublk_ctl *ctl, uint32_t id)
{
	return done(command(ctl, UBLK_U_CMD_STOP_DEV, id, NULL, 0, 0, -1));
}

int ublk_ctl_try_stop(struct ublk_ctl *ctl, uint32_t id)
{
	return done(command(ctl, UBLK_U_CMD_TRY_STOP_DEV, id, NULL, 0, 0, -1));
}

int ublk_ctl_start_recovery(struct ublk_ctl *ctl, uint32_t id)
{
	return done(command(ctl, UBLK_U_CMD_START_USER_RECOVERY, id, NULL, 0, 0, -1));
}

int ublk_ctl_end_recovery(struct ublk_ctl *ctl, uint32_t id, int pid, int timeout_ms)
{
	return done(command(ctl, UBLK_U_CMD_END_USER_RECOVERY, id, NULL, 0, (uint64_t)pid, timeout_ms));
}

int ublk_ctl_delete(struct ublk_ctl *ctl, uint32_t id, int timeout_ms)
{
	return done(command(ctl, UBLK_U_CMD_DEL_DEV, id, NULL, 0, 0, timeout_ms));
}
