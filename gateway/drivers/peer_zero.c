/* Zeros for the tail of a short read: READ_FIXED from /dev/zero into the request's buffer, or memset where the memory
 * is ours. On a read's path only when a replica had fewer bytes than asked for. Knows no lanes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/drivers/peer_private.h"

#define ZERO_BLOCK_BYTES 4096u

int peers_zero_init(struct peers *peers, struct err *err)
{
	struct zero_ops *zeros = &peers->zeros;
	unsigned count = peers_parts_of_volume(&peers->options);

	zeros->done_first = zeros->done_last = OP_NONE;
	zeros->fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zeros->fd < 0)
		return err_set(err, -errno, "/dev/zero: cannot be opened: %s", err_name(errno));
	zeros->ops = calloc(count, sizeof(*zeros->ops));
	if (!zeros->ops)
		return err_set(err, -ENOMEM, "peer I/O: no memory");
	for (unsigned i = 0; i < count; i++)
		zeros->ops[i].next = i + 1 < count ? (uint16_t)(i + 1) : OP_NONE;
	return 0;
}

void peers_zero_fini(struct peers *peers)
{
	if (peers->zeros.fd >= 0)
		close(peers->zeros.fd);
	free(peers->zeros.ops);
}

static void zero_done(struct peers *peers, uint16_t index, int error)
{
	struct zero_ops *zeros = &peers->zeros;

	zeros->ops[index].error = error;
	zeros->ops[index].next = OP_NONE;
	if (zeros->done_first == OP_NONE)
		zeros->done_first = index;
	else
		zeros->ops[zeros->done_last].next = index;
	zeros->done_last = index;
}

static void zero_queue(struct peers *peers, uint16_t index, const struct payload *payload)
{
	struct zero_op *op = &peers->zeros.ops[index];
	struct io_uring_sqe *sqe = ring_sqe(peers->ring);

	io_uring_prep_read_fixed(sqe, peers->zeros.fd, (void *)(payload->base + op->target.buf_offset + op->done_bytes),
				 op->target.length - op->done_bytes, 0, payload->buf_index);
	sqe->user_data = ud_pack(UD_ZERO, index);
}

static int zero_by_copy(struct peers *peers, const struct read_target *target)
{
	static const uint8_t zeros[ZERO_BLOCK_BYTES];
	int error = 0;

	for (uint32_t done = 0; done < target->length && !error;) {
		uint32_t left = target->length - done, len = left < sizeof(zeros) ? left : (uint32_t)sizeof(zeros);

		error = peers_copy_in(peers, target->slot, target->buf_offset + done, len, zeros);
		done += len;
	}
	return error;
}

void peers_zero(struct peers *peers, const struct read_target *target)
{
	struct payload payload = peers_payload(peers, target->slot);
	uint16_t index = peers->zeros.free;

	assert(index != OP_NONE && target->length);
	peers->zeros.free = peers->zeros.ops[index].next;
	peers->zeros.ops[index] = (struct zero_op){.target = *target};
	if (payload.mapped) {
		memset((void *)(payload.base + target->buf_offset), 0, target->length);
		zero_done(peers, index, 0);
	} else if (payload.fixed) {
		zero_queue(peers, index, &payload);
	} else {
		zero_done(peers, index, zero_by_copy(peers, target));
	}
}

/* Short when the kernel wants the processor back (drivers/char/mem.c read_iter_zero()). */
void peers_zero_on_cqe(struct peers *peers, const struct io_uring_cqe *cqe)
{
	uint16_t index = (uint16_t)ud_bits(cqe->user_data);
	struct zero_op *op = &peers->zeros.ops[index];
	struct payload payload = peers_payload(peers, op->target.slot);

	if (cqe->res <= 0) {
		zero_done(peers, index, cqe->res ? cqe->res : -EIO);
		return;
	}
	op->done_bytes += (uint32_t)cqe->res;
	if (op->done_bytes < op->target.length)
		zero_queue(peers, index, &payload);
	else
		zero_done(peers, index, 0);
}

bool peers_zero_report(struct peers *peers)
{
	struct zero_ops *zeros = &peers->zeros;
	bool progress = false;

	while (zeros->done_first != OP_NONE) {
		uint16_t index = zeros->done_first;
		struct zero_op op = zeros->ops[index];

		zeros->done_first = op.next;
		zeros->ops[index].next = zeros->free;
		zeros->free = index;
		engine_zeroed(peers->engine, op.target.id, op.error);
		progress = true;
	}
	return progress;
}
