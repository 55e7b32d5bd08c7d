/* All control commands of ublk: add, start, stop, delete a device. The only code that needs CAP_SYS_ADMIN, kept apart
 * because it moves to a privileged process of its own.
 *
 * Each call blocks until the kernel has done it; one thread at a time. Returned errors are the kernel's -errno.
 */
#ifndef GATEWAY_DRIVERS_UBLK_CTL_H
#define GATEWAY_DRIVERS_UBLK_CTL_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/drivers/ublk_uapi.h"

struct ublk_ctl;

/* Opens /dev/ublk-control. -ENOENT: no ublk in this kernel or not loaded; -EACCES, -EPERM: not root; each with what to
 * do. */
int ublk_ctl_open(struct ublk_ctl **ret, struct err *err) must_check;
void ublk_ctl_close(struct ublk_ctl *ctl);

/* UBLK_F_* that this kernel knows. -EOPNOTSUPP: its ublk is too old to say (before Linux 6.5). */
int ublk_ctl_features(struct ublk_ctl *ctl, uint64_t *ret, struct err *err) must_check;

/* `info` goes in and comes back with the id and with the flags that the kernel accepted. */
int ublk_ctl_add(struct ublk_ctl *ctl, struct ublksrv_ctrl_dev_info *info) must_check;
int ublk_ctl_set_params(struct ublk_ctl *ctl, uint32_t id, const struct ublk_params *params) must_check;
int ublk_ctl_get_params(struct ublk_ctl *ctl, uint32_t id, struct ublk_params *ret) must_check;
int ublk_ctl_info(struct ublk_ctl *ctl, uint32_t id, struct ublksrv_ctrl_dev_info *ret) must_check;

/* Blocks until every tag has been fetched by the data thread; -ETIMEDOUT after `timeout_ms` (`ctl` is then of no more
 * use than to be closed). `pid` is the process that opened /dev/ublkcN. */
int ublk_ctl_start(struct ublk_ctl *ctl, uint32_t id, int pid, int timeout_ms) must_check;
/* Blocks until nothing is in flight, so the data thread must go on serving. */
int ublk_ctl_stop(struct ublk_ctl *ctl, uint32_t id) must_check;
/* The same, but -EBUSY when the block device is open (UBLK_F_SAFE_STOP_DEV, Linux 7.0). */
int ublk_ctl_try_stop(struct ublk_ctl *ctl, uint32_t id) must_check;
/* A device whose server died (UBLK_F_USER_RECOVERY, Linux 6.1) may be opened and fetched from again. -EBUSY: the dead
 * one's last request has not ended, or the device is not without a server. */
int ublk_ctl_start_recovery(struct ublk_ctl *ctl, uint32_t id) must_check;
/* As ublk_ctl_start(); then the kernel issues again what the dead server had not completed. */
int ublk_ctl_end_recovery(struct ublk_ctl *ctl, uint32_t id, int pid, int timeout_ms) must_check;
/* Blocks until nobody has /dev/ublkcN open, nor /dev/ublkbN; -ETIMEDOUT after `timeout_ms` (-1: never; `ctl` is then of
 * no more use than to be closed, and the device goes with the last of them). */
int ublk_ctl_delete(struct ublk_ctl *ctl, uint32_t id, int timeout_ms) must_check;

#endif
