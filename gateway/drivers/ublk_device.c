/* Makes and removes a ublk device: order of commands, device nodes, parameters, queue attributes.
 * Knows no requests. Not on a request's path: before the first one and after the last. */
#include "gateway/drivers/ublk_device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "gateway/drivers/ublk_ctl.h"

#define NODE_WAIT_MS 5000   /* devtmpfs makes nodes at once, udev may take its time over owner and mode */
#define START_WAIT_MS 30000 /* for the data thread to fetch all tags */
#define OLD_SERVER_WAIT_MS 30000
#define BUSY_RETRIES 10
#define BUSY_PAUSE_MS 100
#define GRANULARITY_BYTES 4096u
/* One request's, which every replica must answer within the answer deadline: one without a fast way writes that many
 * zeros, and XFS takes 3.5 s to discard 1 GiB of which every other block was written, in which it does nothing else. */
#define DISCARD_BYTES_MAX (16 * MIB)
#define ZEROES_BYTES_MAX (16 * MIB)

static size_t descs_size(unsigned queue_depth)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (queue_depth * sizeof(struct ublksrv_io_desc) + page - 1) / page * page;
}

uint64_t ublk_device_mark(const struct uuid *volume)
{
	uint64_t mark;

	memcpy(&mark, volume->bytes, sizeof(mark));
	return mark;
}

static int open_node(const char *path, int flags, struct err *err)
{
	uint64_t deadline = clock_now_ns() + NODE_WAIT_MS * NS_PER_MS;
	int fd;

	for (;;) {
		fd = open(path, flags | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if ((errno != ENOENT && errno != EACCES && errno != EBUSY) || clock_now_ns() >= deadline)
			return err_set(err, -errno, "%s: %s; is /dev a devtmpfs?", path, strerror(errno));
		usleep(2000);
	}
}

static void name_device(struct ublk_device *device, uint32_t id, uint64_t flags)
{
	device->id = id;
	device->flags = flags;
	snprintf(device->block_path, sizeof(device->block_path), "/dev/ublkb%u", id);
	snprintf(device->char_path, sizeof(device->char_path), "/dev/ublkc%u", id);
}

static int add(const struct ublk_device_spec *spec, const struct ublk_choice *choice, struct ublk_device *device,
	       struct err *err)
{
	struct ublksrv_ctrl_dev_info info = {
		.nr_hw_queues = 1,
		.queue_depth = (uint16_t)spec->queue_depth,
		.max_io_buf_bytes = IO_BYTES_MAX,
		.dev_id = spec->wanted_id,
		.flags = choice->flags,
		.ublksrv_flags = ublk_device_mark(&spec->volume_uuid),
	};
	int rc = ublk_ctl_add(device->ctl, &info);

	if (rc == -EEXIST)
		return err_set(err, -EBUSY,
			       "/dev/ublkb%u: exists already; choose another --device-id, or delete it with "
			       "--delete-device %u",
			       spec->wanted_id, spec->wanted_id);
	if (rc)
		return err_set(err, rc, "ublk: ADD_DEV: %s", strerror(-rc));
	name_device(device, info.dev_id, info.flags);
	return 0;
}

static int set_params(const struct ublk_device_spec *spec, const struct ublk_device *device, struct err *err)
{
	struct ublk_params params = {
		.types = UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD,
		.basic =
			{
				.attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA,
				.logical_bs_shift = (uint8_t)__builtin_ctz(spec->block_bytes),
				.physical_bs_shift = __builtin_ctz(GRANULARITY_BYTES),
				.io_min_shift = __builtin_ctz(GRANULARITY_BYTES),
				.io_opt_shift = __builtin_ctz(IO_BYTES_MAX),
				.max_sectors = IO_BYTES_MAX >> UBLK_SECTOR_SHIFT,
				.dev_sectors = spec->volume_bytes >> UBLK_SECTOR_SHIFT,
			},
		.discard =
			{
				.discard_granularity = GRANULARITY_BYTES,
				.max_discard_sectors = DISCARD_BYTES_MAX >> UBLK_SECTOR_SHIFT,
				.max_write_zeroes_sectors = ZEROES_BYTES_MAX >> UBLK_SECTOR_SHIFT,
				.max_discard_segments = 1,
			},
	};
	int rc = ublk_ctl_set_params(device->ctl, device->id, &params);

	return rc ? err_set(err, rc, "%s: SET_PARAMS: %s", device->block_path, strerror(-rc)) : 0;
}

static int open_and_map(const struct ublk_device_spec *spec, struct ublk_device *device, struct err *err)
{
	void *descs;

	device->char_fd = open_node(device->char_path, O_RDWR, err);
	if (device->char_fd < 0)
		return device->char_fd;
	device->descs_bytes = descs_size(spec->queue_depth);
	descs = mmap(NULL, device->descs_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, device->char_fd, 0);
	if (descs == MAP_FAILED) {
		int rc = err_set(err, -errno, "%s: mmap: %s", device->char_path, strerror(errno));

		close(device->char_fd);
		return rc;
	}
	device->descs = descs;
	return 0;
}

int ublk_device_add(struct ublk_ctl *ctl, const struct ublk_device_spec *spec, const struct ublk_choice *choice,
		    struct ublk_device *ret, struct err *err)
{
	struct ublk_device device = {.ctl = ctl};
	int rc = add(spec, choice, &device, err);

	if (rc)
		return rc;
	rc = ublk_check_granted(choice, device.flags, err);
	if (!rc)
		rc = set_params(spec, &device, err);
	if (!rc)
		rc = open_and_map(spec, &device, err);
	if (!rc)
		*ret = device;
	else if (ublk_ctl_delete(ctl, device.id, -1))
		err_wrap(err, "device %u could not even be deleted again", device.id);
	return rc;
}

/* The dead server's descriptor is closed when the last send of its ring has ended, which a silent replica delays until
 * its connection is given up (TCP_USER_TIMEOUT). */
static int start_recovery(struct ublk_device *device, struct err *err)
{
	uint64_t deadline = clock_now_ns() + OLD_SERVER_WAIT_MS * NS_PER_MS;
	int rc;

	for (;;) {
		rc = ublk_ctl_start_recovery(device->ctl, device->id);
		if (rc != -EBUSY || clock_now_ns() >= deadline)
			break;
		usleep(BUSY_PAUSE_MS * 1000);
	}
	return rc ? err_set(err, rc, "%s: cannot be taken over: START_USER_RECOVERY: %s", device->block_path,
			    strerror(-rc))
		  : 0;
}

int ublk_device_take_over(struct ublk_ctl *ctl, const struct ublk_device_spec *spec,
			  const struct ublksrv_ctrl_dev_info *info, struct ublk_device *ret, struct err *err)
{
	struct ublk_device device = {.ctl = ctl};
	int rc;

	name_device(&device, info->dev_id, info->flags);
	rc = start_recovery(&device, err);
	if (!rc)
		rc = open_and_map(spec, &device, err);
	if (!rc)
		*ret = device;
	return rc;
}

int ublk_device_resume(struct ublk_device *device, struct err *err)
{
	int rc = ublk_ctl_end_recovery(device->ctl, device->id, (int)getpid(), START_WAIT_MS);

	return rc ? err_set(err, rc, "%s: END_USER_RECOVERY: %s", device->block_path, strerror(-rc)) : 0;
}

/* Writes an attribute of the device's queue, and reads it back: "value" or, among several, "[value]". */
static int set_queue_attribute(const struct ublk_device *device, const char *name, const char *value, struct err *err)
{
	char path[64], chosen[24], now[128] = {0};
	size_t len = strlen(value);
	bool is_set;
	int fd;

	snprintf(path, sizeof(path), "/sys/block/ublkb%u/queue/%s", device->id, name);
	snprintf(chosen, sizeof(chosen), "[%s]", value);
	fd = open_node(path, O_RDWR, err);
	if (fd < 0)
		return fd;
	is_set = pwrite(fd, value, len, 0) == (ssize_t)len && pread(fd, now, sizeof(now) - 1, 0) > 0 &&
		 (strstr(now, chosen) || (!strncmp(now, value, len) && (now[len] == '\n' || !now[len])));
	close(fd);
	return is_set ? 0 : err_set(err, -EOPNOTSUPP, "%s: cannot be set to %s", path, value);
}

/* Mirrors would receive different bytes of a page that is changed while it is written (ublk does not ask for this).
 * No scheduler: with one, the kernel hands each request that comes alone to a worker thread first (Linux 7.3
 * block/blk-mq.c blk_mq_submit_bio(), RQF_USE_SCHED), and what it sorts for is a disk; whoever wants one sets it. */
static int set_queue(const struct ublk_device *device, struct err *err)
{
	struct err scheduler = {0};
	int rc = set_queue_attribute(device, "stable_writes", "1", err);

	if (rc)
		return err_wrap(err, "mirrors could differ without stable_writes");
	if (set_queue_attribute(device, "scheduler", "none", &scheduler))
		log_warn("event=slower reason=\"%s\"", scheduler.text);
	return 0;
}

/* The name could have been taken by an ordinary file while there was no device. */
static int check_block_device(const char *path, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	return S_ISBLK(st.st_mode) ? 0 : err_set(err, -ENOTBLK, "%s: is no block device; remove it", path);
}

static int finish_start(const struct ublk_device *device, struct err *err)
{
	int fd, rc = set_queue(device, err);

	if (rc)
		return rc;
	fd = open_node(device->block_path, O_RDONLY, err);
	if (fd < 0)
		return fd;
	rc = check_block_device(device->block_path, fd, err);
	close(fd);
	return rc;
}

int ublk_device_start(struct ublk_device *device, struct err *err)
{
	int rc = ublk_ctl_start(device->ctl, device->id, (int)getpid(), START_WAIT_MS);

	if (rc)
		return err_set(err, rc, "%s: START_DEV: %s", device->block_path, strerror(-rc));
	rc = finish_start(device, err);
	if (rc && ublk_ctl_stop(device->ctl, device->id))
		err_wrap(err, "%s could not even be stopped again", device->block_path);
	return rc;
}

/* Before Linux 7.0 the best there is: refused by mounts and other exclusive openers, not by plain ones. Held over the
 * stop, so that nobody mounts in between. */
static int stop_exclusively(struct ublk_device *device)
{
	int fd = open(device->block_path, O_RDONLY | O_EXCL | O_CLOEXEC);
	int rc;

	if (fd < 0 && errno == EBUSY)
		return -EBUSY;
	rc = ublk_ctl_stop(device->ctl, device->id);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int try_stop(struct ublk_device *device)
{
	if (device->flags & UBLK_F_SAFE_STOP_DEV)
		return ublk_ctl_try_stop(device->ctl, device->id);
	return stop_exclusively(device);
}

int ublk_device_stop(struct ublk_device *device, bool force, struct err *err)
{
	int rc = force ? ublk_ctl_stop(device->ctl, device->id) : try_stop(device);

	/* udev looks into a device whenever somebody has closed it. */
	for (unsigned i = 0; rc == -EBUSY && i < BUSY_RETRIES; i++) {
		usleep(BUSY_PAUSE_MS * 1000);
		rc = try_stop(device);
	}
	if (rc == -EBUSY)
		return err_set(err, rc, "%s: is in use; unmount or close it first, or force", device->block_path);
	return rc ? err_set(err, rc, "%s: STOP_DEV: %s", device->block_path, strerror(-rc)) : 0;
}

void ublk_device_close(struct ublk_device *device)
{
	munmap((void *)device->descs, device->descs_bytes);
	device->descs = NULL;
	close(device->char_fd);
	device->char_fd = -1;
}

int ublk_device_remove(struct ublk_device *device, struct err *err)
{
	int rc = ublk_ctl_delete(device->ctl, device->id, -1);

	return rc ? err_set(err, rc, "%s: DEL_DEV: %s", device->block_path, strerror(-rc)) : 0;
}
