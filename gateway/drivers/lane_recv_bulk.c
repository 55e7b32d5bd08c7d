/* Receiving on a BULK lane: a header, then its payload straight from the socket into the request's memory, with one
 * receive outstanding. Replies come in order, so the header says exactly how many bytes follow (protocol.md).
 *
 * Where the payload goes, best first: RECV into the registered buffer (Linux 7.2), plain RECV into mapped memory,
 * READ_FIXED with continuation (it returns what is there), and for memory that can be neither, our own buffer. */
#include "gateway/drivers/lane_recv_bulk.h"

#include <errno.h>

#include "gateway/drivers/peer_private.h"

static void recv_queue(struct peer_lane *lane, enum lane_op op, void *dst, uint32_t bytes)
{
	struct io_uring_sqe *sqe = ring_sqe(lane->peers->ring);

	io_uring_prep_recv(sqe, lane->fd, dst, bytes, MSG_WAITALL);
	sqe->user_data = lane_user_data(lane, op, 0);
	lane->completions_due++;
}

static void header_arm(struct peer_lane *lane)
{
	lane->rx.phase = RECV_HEADER;
	recv_queue(lane, LANE_OP_RECV, lane->rx.header, FRAME_BYTES);
}

void lane_recv_bulk_start(struct peer_lane *lane)
{
	lane->rx.next_header_armed = false;
	header_arm(lane);
}

/* WAITALL: the whole payload is one completion, and a short one ends the link, so that the next header can be asked for
 * in the same submit. */
static void payload_recv(struct peer_lane *lane, const struct payload *payload)
{
	struct receiver *rx = &lane->rx;
	struct io_uring_sqe *sqe;

	ring_reserve(lane->peers->ring, 2);
	sqe = ring_sqe(lane->peers->ring);
	io_uring_prep_recv(sqe, lane->fd, (void *)(payload->base + rx->target.buf_offset), rx->want, MSG_WAITALL);
	if (payload->fixed && lane->peers->recv_fixed)
		ring_prep_fixed_buf(sqe, payload->buf_index);
	sqe->flags |= IOSQE_IO_LINK;
	sqe->user_data = lane_user_data(lane, LANE_OP_RECV_PAYLOAD, 0);
	lane->completions_due++;
	recv_queue(lane, LANE_OP_RECV, rx->header, FRAME_BYTES);
	rx->next_header_armed = true;
}

static void payload_read_fixed(struct peer_lane *lane, const struct payload *payload)
{
	struct receiver *rx = &lane->rx;
	struct io_uring_sqe *sqe = ring_sqe(lane->peers->ring);

	io_uring_prep_read_fixed(sqe, lane->fd, (void *)(payload->base + rx->target.buf_offset + rx->have),
				 rx->want - rx->have, 0, payload->buf_index);
	sqe->user_data = lane_user_data(lane, LANE_OP_RECV_PAYLOAD, 0);
	lane->completions_due++;
}

static void payload_bounce(struct peer_lane *lane)
{
	struct receiver *rx = &lane->rx;
	uint32_t left = rx->want - rx->have;

	recv_queue(lane, LANE_OP_RECV_PAYLOAD, rx->buffers, left < LANE_BOUNCE_BYTES ? left : LANE_BOUNCE_BYTES);
}

static enum payload_way payload_way(const struct peer_lane *lane, const struct payload *payload)
{
	const struct peers *peers = lane->peers;

	if (payload->fixed && peers->recv_fixed)
		return WAY_RECV;
	if (payload->fixed && (!payload->mapped || peers->options.recv == PEERS_RECV_READ_FIXED))
		return WAY_READ_FIXED;
	return payload->mapped ? WAY_RECV : WAY_BOUNCE;
}

static void payload_arm(struct peer_lane *lane)
{
	struct payload payload = peers_payload(lane->peers, lane->rx.target.slot);

	lane->rx.way = payload_way(lane, &payload);
	switch (lane->rx.way) {
	case WAY_RECV:
		payload_recv(lane, &payload);
		break;
	case WAY_READ_FIXED:
		payload_read_fixed(lane, &payload);
		break;
	case WAY_BOUNCE:
		payload_bounce(lane);
		break;
	}
}

/* What the receiver wants next, after a header or a message or a payload was taken whole. */
static void arm_next(struct peer_lane *lane)
{
	if (lane->rx.phase == RECV_MESSAGE)
		recv_queue(lane, LANE_OP_RECV, lane->rx.message, lane->rx.want);
	else if (lane->rx.phase == RECV_PAYLOAD)
		payload_arm(lane);
	else if (!lane->rx.next_header_armed)
		header_arm(lane);
}

static bool take_bounced(struct peer_lane *lane, uint32_t bytes)
{
	struct receiver *rx = &lane->rx;
	int error = peers_copy_in(lane->peers, rx->target.slot, rx->target.buf_offset + rx->have, bytes, rx->buffers);

	if (error)
		lane_break(lane, error, "the request does not take its payload");
	return !error;
}

static void on_payload(struct peer_lane *lane, uint32_t bytes)
{
	struct receiver *rx = &lane->rx;
	struct peers_stats *stats = &lane->peers->stats;

	if (rx->way == WAY_BOUNCE && !take_bounced(lane, bytes))
		return;
	*(rx->way == WAY_BOUNCE ? &stats->copied_read_bytes : &stats->direct_read_bytes) += bytes;
	rx->have += bytes;
	if (rx->have == rx->want)
		lane_take_payload_done(lane);
	else if (rx->way == WAY_RECV)
		lane_break(lane, -ECONNRESET, "a payload was cut short");
	if (lane->state == LANE_OPEN)
		arm_next(lane);
}

static void on_control(struct peer_lane *lane, uint32_t bytes)
{
	struct receiver *rx = &lane->rx;
	bool is_header = rx->phase == RECV_HEADER;
	bool go_on;

	if (bytes != (is_header ? FRAME_BYTES : rx->want)) {
		lane_break(lane, -ECONNRESET, "the replica closed the connection inside a frame");
		return;
	}
	rx->next_header_armed = false;
	go_on = is_header ? lane_take_header(lane, rx->header) : lane_take_message(lane, rx->message);
	if (go_on)
		arm_next(lane);
}

void lane_on_recv_bulk(struct peer_lane *lane, enum lane_op op, const struct io_uring_cqe *cqe)
{
	lane->completions_due--;
	if (lane->state != LANE_OPEN)
		return;
	if (cqe->res < 0)
		lane_break(lane, cqe->res, "receiving failed");
	else if (cqe->res == 0)
		lane_break(lane, -ECONNRESET, "the replica closed the connection");
	else if (op == LANE_OP_RECV_PAYLOAD)
		on_payload(lane, (uint32_t)cqe->res);
	else
		on_control(lane, (uint32_t)cqe->res);
}
