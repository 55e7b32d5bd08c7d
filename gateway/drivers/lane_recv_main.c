/* Receiving on a MAIN lane: one multishot RECV with a buffer ring, many acknowledgements and small read replies per
 * completion. Frames may begin and end anywhere in the buffers. Read payloads are copied into the request on the spot,
 * so a buffer goes back to the kernel before the next completion is looked at. */
#include <errno.h>
#include <string.h>

#include "gateway/drivers/lane_recv_main.h"
#include "gateway/drivers/peer_private.h"

static uint16_t buffer_group(const struct peer_lane *lane)
{
	return (uint16_t)lane->leg;
}

static void buffer_give(struct peer_lane *lane, uint16_t id)
{
	struct receiver *rx = &lane->rx;
	uint32_t bytes = lane->peers->recv_buffer_bytes;

	io_uring_buf_ring_add(rx->ring, rx->buffers + (size_t)id * bytes, bytes, id,
			      io_uring_buf_ring_mask(LANE_RECV_BUFFERS), 0);
	io_uring_buf_ring_advance(rx->ring, 1);
}

int lane_recv_main_init(struct peer_lane *lane, uint8_t *ring, uint8_t *buffers)
{
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)ring,
		.ring_entries = LANE_RECV_BUFFERS,
		.bgid = buffer_group(lane),
	};
	int error = io_uring_register_buf_ring(&lane->peers->ring->uring, &reg, 0);

	if (error)
		return error;
	lane->rx.ring = (struct io_uring_buf_ring *)ring;
	lane->rx.buffers = buffers;
	io_uring_buf_ring_init(lane->rx.ring);
	for (uint16_t id = 0; id < LANE_RECV_BUFFERS; id++)
		buffer_give(lane, id);
	return 0;
}

static void recv_arm(struct peer_lane *lane)
{
	struct io_uring_sqe *sqe = ring_sqe(lane->peers->ring);

	io_uring_prep_recv_multishot(sqe, lane->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = buffer_group(lane);
	sqe->user_data = lane_user_data(lane, LANE_OP_RECV, 0);
	lane->completions_due++;
}

void lane_recv_main_start(struct peer_lane *lane)
{
	lane->rx.phase = RECV_HEADER;
	recv_arm(lane);
}

static bool feed_header(struct peer_lane *lane, const uint8_t *bytes, uint32_t len)
{
	struct receiver *rx = &lane->rx;

	memcpy(rx->header + rx->have, bytes, len);
	rx->have += len;
	return rx->have < FRAME_BYTES || lane_take_header(lane, rx->header);
}

static bool feed_message(struct peer_lane *lane, const uint8_t *bytes, uint32_t len)
{
	struct receiver *rx = &lane->rx;

	memcpy(rx->message + rx->have, bytes, len);
	rx->have += len;
	return rx->have < rx->want || lane_take_message(lane, rx->message);
}

static bool feed_payload(struct peer_lane *lane, const uint8_t *bytes, uint32_t len)
{
	struct receiver *rx = &lane->rx;
	int error = peers_copy_in(lane->peers, rx->target.slot, rx->target.buf_offset + rx->have, len, bytes);

	if (error) {
		lane_break(lane, error, "the request does not take its payload");
		return false;
	}
	rx->have += len;
	lane->peers->stats.copied_read_bytes += len;
	if (rx->have == rx->want)
		lane_take_payload_done(lane);
	return lane->state == LANE_OPEN;
}

/* False: the lane is broken, the rest of the bytes means nothing. */
static bool feed_some(struct peer_lane *lane, const uint8_t *bytes, uint32_t len, uint32_t *ret_taken)
{
	struct receiver *rx = &lane->rx;
	uint32_t want = rx->phase == RECV_HEADER ? FRAME_BYTES : rx->want;

	*ret_taken = len < want - rx->have ? len : want - rx->have;
	if (rx->phase == RECV_HEADER)
		return feed_header(lane, bytes, *ret_taken);
	if (rx->phase == RECV_MESSAGE)
		return feed_message(lane, bytes, *ret_taken);
	return feed_payload(lane, bytes, *ret_taken);
}

static void feed(struct peer_lane *lane, const uint8_t *bytes, uint32_t len)
{
	uint32_t taken;

	while (len && feed_some(lane, bytes, len, &taken)) {
		bytes += taken;
		len -= taken;
	}
}

/* -ENOBUFS: more completions than buffers in one turn. All buffers are back when this is seen: arm again. */
void lane_on_recv_main(struct peer_lane *lane, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		lane->completions_due--;
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);

		if (cqe->res > 0 && lane->state == LANE_OPEN)
			feed(lane, lane->rx.buffers + (size_t)id * lane->peers->recv_buffer_bytes, (uint32_t)cqe->res);
		buffer_give(lane, id);
	}
	if (cqe->res == 0)
		lane_break(lane, -ECONNRESET, "the replica closed the connection");
	else if (cqe->res < 0 && cqe->res != -ENOBUFS)
		lane_break(lane, cqe->res, "receiving failed");
	else if (!(cqe->flags & IORING_CQE_F_MORE) && lane->state == LANE_OPEN)
		recv_arm(lane);
}
