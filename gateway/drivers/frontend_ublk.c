/* Serves /dev/ublkbN: fetches block requests, hands them to the engine, commits their results.
 * Knows no replica. First and last on a request's path: FETCH completes here, COMMIT leaves here.
 *
 * Slot = tag. Zero-copy: the driver keeps each request's pages in our ring's buffer table at index = tag; requests that
 * found no place there (NEED_REG_BUF) borrow a bounce buffer. Copy: the kernel copies to and from a buffer per tag. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/uring.h"
#include "gateway/drivers/run_dir.h"
#include "gateway/drivers/ublk_ctl.h"
#include "gateway/drivers/ublk_frontend.h"
#include "gateway/drivers/ublk_request.h"

#define UD_WAKE (1ull << 32) /* our user_data bits: else the tag */

static uint8_t *copy_buffer(const struct frontend_ublk *ublk, unsigned tag)
{
	return ublk->buffers + (size_t)tag * IO_BYTES_MAX;
}

/* ---- Commands to the driver. ---- */

static void arm_wake(struct frontend_ublk *ublk)
{
	struct io_uring_sqe *sqe = ring_sqe(ublk->fe.ring);

	io_uring_prep_read(sqe, ublk->wake_fd, &ublk->wake_count, sizeof(ublk->wake_count), 0);
	sqe->user_data = ud_pack(UD_FRONTEND, UD_WAKE);
}

/* FETCH, or COMMIT_AND_FETCH of `result`: bytes or -errno. */
static void queue_command(struct frontend_ublk *ublk, uint32_t op, unsigned tag, int result)
{
	struct io_uring_sqe *sqe = ring_sqe(ublk->fe.ring);
	struct ublksrv_io_cmd *cmd = (struct ublksrv_io_cmd *)sqe->cmd;

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ublk->device.char_fd;
	sqe->cmd_op = op;
	cmd->tag = (uint16_t)tag;
	cmd->result = result;
	if (ublk->choice.zero_copy)
		sqe->addr = ublk_auto_buf_reg((uint16_t)tag);
	else
		cmd->addr = (uintptr_t)copy_buffer(ublk, tag);
	sqe->user_data = ud_pack(UD_FRONTEND, tag);
}

static void commit(struct frontend_ublk *ublk, unsigned tag, int error)
{
	flight_give_back(&ublk->flight, tag);
	queue_command(ublk, UBLK_U_IO_COMMIT_AND_FETCH_REQ, tag, ublk_request_result(&ublk->slots[tag].request, error));
}

static void fetch_all(struct frontend_ublk *ublk)
{
	for (unsigned tag = 0; tag < ublk->fe.queue_depth; tag++) {
		ublk->slots[tag].state = SLOT_IDLE;
		queue_command(ublk, UBLK_U_IO_FETCH_REQ, tag, 0);
	}
}

/* ---- Payload by pread and pwrite on the character device; they copy in the system call and do not sleep. ---- */

static int copy_from_device(struct frontend_ublk *ublk, unsigned tag, uint32_t offset, uint32_t length, void *dst)
{
	ssize_t n = pread(ublk->device.char_fd, dst, length, ublk_payload_pos(0, tag, offset));

	return n == (ssize_t)length ? 0 : n < 0 ? -errno : -EIO;
}

static int copy_to_device(struct frontend_ublk *ublk, unsigned tag, uint32_t offset, uint32_t length, const void *src)
{
	ssize_t n = pwrite(ublk->device.char_fd, src, length, ublk_payload_pos(0, tag, offset));

	return n == (ssize_t)length ? 0 : n < 0 ? -errno : -EIO;
}

/* Where this process sees the payload; NULL: nowhere, it is in the kernel. */
static uint8_t *mapped_payload(const struct frontend_ublk *ublk, unsigned tag)
{
	return ublk->choice.zero_copy ? ublk->slots[tag].bounce : copy_buffer(ublk, tag);
}

static int ublk_copy_out(struct frontend *fe, unsigned tag, uint32_t offset, uint32_t length, void *dst)
{
	const uint8_t *mapped = mapped_payload(to_ublk(fe), tag);

	if (!mapped)
		return copy_from_device(to_ublk(fe), tag, offset, length, dst);
	memcpy(dst, mapped + offset, length);
	return 0;
}

static int ublk_copy_in(struct frontend *fe, unsigned tag, uint32_t offset, uint32_t length, const void *src)
{
	uint8_t *mapped = mapped_payload(to_ublk(fe), tag);

	if (!mapped)
		return copy_to_device(to_ublk(fe), tag, offset, length, src);
	memcpy(mapped + offset, src, length);
	return 0;
}

static struct payload ublk_payload(struct frontend *fe, unsigned tag)
{
	struct frontend_ublk *ublk = to_ublk(fe);

	return (struct payload){
		.fixed = ublk->choice.zero_copy ? !ublk->slots[tag].bounce : ublk->registered,
		.mapped = mapped_payload(ublk, tag),
		.buf_index = (uint16_t)tag,
		.base = (uintptr_t)mapped_payload(ublk, tag),
	};
}

/* ---- A request comes. ---- */

/* Hands the slot's request to the engine, which may complete it at once. */
static void submit(struct frontend_ublk *ublk, unsigned tag)
{
	ublk->slots[tag].state = SLOT_BUSY;
	engine_submit(ublk->fe.engine, &ublk->slots[tag].request);
}

/* With a bounce buffer in hand. META: from our own memory nothing is gained by SEND_ZC, and a plain send has let go of
 * the buffer by the time that the replica has answered, so that it may be lent again at completion. */
static void submit_by_bounce(struct frontend_ublk *ublk, struct slot *slot)
{
	unsigned tag = slot->request.slot;
	int error = 0;

	slot->request.flags |= REQUEST_F_META;
	if (slot->request.op == REQUEST_WRITE)
		error = copy_from_device(ublk, tag, 0, (uint32_t)slot->request.length, slot->bounce);
	if (!error) {
		submit(ublk, tag);
		return;
	}
	slot->state = SLOT_BUSY;
	ublk->fe.ops->complete(&ublk->fe, tag, error);
}

static void take_request(struct frontend_ublk *ublk, unsigned tag)
{
	const struct ublksrv_io_desc *desc = &ublk->device.descs[tag];
	struct slot *slot = &ublk->slots[tag];
	int error = ublk->failing ? -EIO : ublk_request_decode(desc, tag, &slot->request);

	flight_take(&ublk->flight, tag);
	ublk_takeover_came(&ublk->takeover, tag);
	if (error) {
		commit(ublk, tag, error);
		return;
	}
	if (!(desc->op_flags & UBLK_IO_F_NEED_REG_BUF) || !ublk_request_payload_bytes(&slot->request)) {
		submit(ublk, tag);
		return;
	}
	ublk->fe.buffer_fallbacks++;
	slot->state = SLOT_WAITS;
	ublk_bounce_wait(&ublk->bounce, &slot->waits);
}

static void end_takeover(struct frontend_ublk *ublk)
{
	if (!ublk_takeover_ends(&ublk->takeover, clock_now_ns()))
		return;
	if (ublk->takeover.missing)
		log_error("event=requests_missing device=%s count=%u reason=\"the kernel did not issue them again\"",
			  ublk->device.block_path, ublk->takeover.missing);
	engine_recovered(ublk->fe.engine);
}

/* Outside of any engine action: complete() only gives buffers back. */
static void ublk_poll(struct frontend *fe)
{
	struct frontend_ublk *ublk = to_ublk(fe);

	if (ublk->takeover.is_on)
		end_takeover(ublk);
	while (ublk_bounce_is_ready(&ublk->bounce)) {
		uint8_t *buffer;
		struct slot *slot = container_of(ublk_bounce_lend(&ublk->bounce, &buffer), struct slot, waits);

		slot->bounce = buffer;
		submit_by_bounce(ublk, slot);
	}
}

static bool ublk_idle(struct frontend *fe)
{
	return ublk_bounce_is_ready(&to_ublk(fe)->bounce);
}

/* ---- A request is finished. ---- */

static int return_bounce(struct frontend_ublk *ublk, unsigned tag, int error)
{
	struct slot *slot = &ublk->slots[tag];

	if (!error && slot->request.op == REQUEST_READ)
		error = copy_to_device(ublk, tag, 0, (uint32_t)slot->request.length, slot->bounce);
	ublk_bounce_return(&ublk->bounce, slot->bounce);
	slot->bounce = NULL;
	return error;
}

static void ublk_complete(struct frontend *fe, unsigned tag, int error)
{
	struct frontend_ublk *ublk = to_ublk(fe);
	struct slot *slot = &ublk->slots[tag];

	if (slot->state != SLOT_BUSY)
		return; /* fail_all() was faster */
	if (slot->bounce)
		error = return_bounce(ublk, tag, error);
	slot->state = SLOT_IDLE;
	commit(ublk, tag, error);
}

/* The engine may still read or fill what it was lent: kernel buffers stay pinned by its sends and receives, and our own
 * buffers are not lent again because nothing is submitted from here on. */
static void ublk_fail_all(struct frontend *fe)
{
	struct frontend_ublk *ublk = to_ublk(fe);

	ublk->failing = true;
	for (unsigned tag = 0; tag < fe->queue_depth; tag++) {
		struct slot *slot = &ublk->slots[tag];

		if (slot->state != SLOT_BUSY && slot->state != SLOT_WAITS)
			continue;
		list_del(&slot->waits);
		slot->state = SLOT_FAILED;
		commit(ublk, tag, -EIO);
	}
}

/* ---- Completions. ---- */

static void on_wish(struct frontend_ublk *ublk)
{
	enum wish wish = __atomic_exchange_n(&ublk->wish, WISH_NONE, __ATOMIC_ACQ_REL);

	arm_wake(ublk);
	if (wish == WISH_FETCH)
		fetch_all(ublk);
	if (wish == WISH_CLOSE) {
		ublk_device_close(&ublk->device);
		sem_post(&ublk->closed);
	}
}

static void ublk_on_cqe(struct frontend *fe, const struct io_uring_cqe *cqe)
{
	struct frontend_ublk *ublk = to_ublk(fe);
	uint64_t bits = ud_bits(cqe->user_data);

	if (bits == UD_WAKE) {
		on_wish(ublk);
		return;
	}
	if (cqe->res == UBLK_IO_RES_OK) {
		take_request(ublk, (unsigned)bits);
		return;
	}
	/* ABORT: the device is being stopped, the tag comes no more. Others would be our own malformed commands. */
	ublk->slots[bits].state = SLOT_GONE;
	if (cqe->res != UBLK_IO_RES_ABORT)
		log_error("event=ublk_command_failed device=%s tag=%u error=%s", ublk->device.block_path,
			  (unsigned)bits, err_name(cqe->res));
}

/* ---- Start and end. ---- */

static int register_copy_buffers(struct frontend_ublk *ublk)
{
	struct iovec *iov = calloc(ublk->fe.queue_depth, sizeof(*iov));
	int rc;

	if (!iov)
		return -ENOMEM;
	for (unsigned tag = 0; tag < ublk->fe.queue_depth; tag++)
		iov[tag] = (struct iovec){.iov_base = copy_buffer(ublk, tag), .iov_len = IO_BYTES_MAX};
	rc = io_uring_register_buffers(&ublk->fe.ring->uring, iov, ublk->fe.queue_depth);
	free(iov);
	return rc;
}

static int ublk_arm(struct frontend *fe, struct err *err)
{
	struct frontend_ublk *ublk = to_ublk(fe);
	int rc;

	if (ublk->choice.zero_copy) {
		rc = io_uring_register_buffers_sparse(&fe->ring->uring, ublk->options.buffer_table);
		if (rc)
			return err_set(err, rc, "io_uring: no table for %u buffers: %s", ublk->options.buffer_table,
				       strerror(-rc));
	} else {
		ublk->registered = !register_copy_buffers(ublk); /* without it bulk sends copy: slower, not wrong */
	}
	arm_wake(ublk);
	return 0;
}

static void ublk_destroy(struct frontend *fe)
{
	struct frontend_ublk *ublk = to_ublk(fe);

	if (ublk->buffers)
		munmap(ublk->buffers, (size_t)fe->queue_depth * IO_BYTES_MAX);
	ublk_bounce_fini(&ublk->bounce);
	if (ublk->wake_fd >= 0)
		close(ublk->wake_fd);
	ublk_ctl_close(ublk->ctl);
	flight_close(&ublk->flight);
	sem_destroy(&ublk->closed);
	free(ublk);
}

static const char *ublk_device_name(const struct frontend *fe)
{
	const struct frontend_ublk *ublk = container_of(fe, const struct frontend_ublk, fe);

	return __atomic_load_n(&ublk->exists, __ATOMIC_ACQUIRE) ? ublk->device.block_path : "";
}

static const char *ublk_mode(const struct frontend *fe)
{
	return container_of(fe, const struct frontend_ublk, fe)->choice.zero_copy ? "zero-copy" : "copy";
}

static const char *ublk_mode_reason(const struct frontend *fe)
{
	return container_of(fe, const struct frontend_ublk, fe)->choice.reason;
}

static const struct frontend_ops ublk_ops = {
	.name = "ublk",
	.recovers = ublk_lifetime_recovers,
	.give_up = ublk_lifetime_give_up,
	.arm = ublk_arm,
	.on_cqe = ublk_on_cqe,
	.complete = ublk_complete,
	.payload = ublk_payload,
	.copy_out = ublk_copy_out,
	.copy_in = ublk_copy_in,
	.start = ublk_lifetime_start,
	.stop = ublk_lifetime_stop,
	.destroy = ublk_destroy,
	.device = ublk_device_name,
	.mode = ublk_mode,
	.mode_reason = ublk_mode_reason,
	.poll = ublk_poll,
	.idle = ublk_idle,
	.fail_all = ublk_fail_all,
};

static int choose_mode(struct frontend_ublk *ublk, struct err *err)
{
	struct ublk_facts facts;
	int rc = ublk_facts_probe(ublk->ctl, &facts, err);

	if (rc)
		return rc;
	if (!ublk->is_left)
		return ublk_choose(&facts, ublk->options.mode, &ublk->choice, err);
	rc = ublk_choose_again(&facts, ublk->options.mode, ublk->left.flags, &ublk->choice, err);
	if (rc)
		err_wrap(err, "/dev/ublkb%u", ublk->left.dev_id);
	return rc;
}

static int take_memory(struct frontend_ublk *ublk)
{
	void *memory;

	if (ublk->choice.zero_copy)
		return ublk_bounce_init(&ublk->bounce);
	memory = mmap(NULL, (size_t)ublk->fe.queue_depth * IO_BYTES_MAX, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ublk->buffers = memory == MAP_FAILED ? NULL : memory;
	return ublk->buffers ? 0 : -ENOMEM;
}

static int set_up(struct frontend_ublk *ublk, struct err *err)
{
	int rc = flight_open(ublk->options.run_dir->flight_path, &ublk->flight, err);

	if (!rc)
		rc = ublk_lifetime_look_for_left(ublk, err);
	if (!rc)
		rc = choose_mode(ublk, err);
	if (rc)
		return rc;
	ublk->fe.memory_is_pinned = ublk->choice.zero_copy;
	rc = take_memory(ublk);
	if (rc)
		return err_set(err, rc, "ublk: no memory for %u request buffers", ublk->fe.queue_depth);
	ublk->wake_fd = eventfd(0, EFD_CLOEXEC);
	return ublk->wake_fd < 0 ? err_set(err, -errno, "ublk: eventfd: %s", strerror(errno)) : 0;
}

int frontend_ublk_new(const struct frontend_ublk_options *options, struct ublk_ctl *ctl, struct frontend **ret,
		      struct err *err)
{
	unsigned depth = options->device.queue_depth;
	struct frontend_ublk *ublk = calloc(1, sizeof(*ublk) + depth * sizeof(ublk->slots[0]));
	int rc;

	if (!ublk) {
		ublk_ctl_close(ctl);
		return err_set(err, -ENOMEM, "ublk: out of memory");
	}
	ublk->fe = (struct frontend){.ops = &ublk_ops, .queue_depth = depth};
	ublk->options = *options;
	ublk->ctl = ctl;
	ublk->wake_fd = -1;
	list_init(&ublk->bounce.waiters);
	sem_init(&ublk->closed, 0, 0);
	for (unsigned tag = 0; tag < depth; tag++)
		list_init(&ublk->slots[tag].waits);
	rc = set_up(ublk, err);
	if (rc) {
		ublk_destroy(&ublk->fe);
		return rc;
	}
	*ret = &ublk->fe;
	return 0;
}
