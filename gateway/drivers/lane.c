/* The life of a lane: open, break, reap, report closed. Between peer.c, which is told what to do by the engine, and
 * lane_send.c and lane_recv*.c, which move bytes. Does not know how a connection is made (connector.c). */
#include "gateway/drivers/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "gateway/drivers/peer_private.h"
#include "gateway/drivers/transport.h"

#define UD_GENERATION_SHIFT 16
#define UD_LANE_SHIFT 32
#define UD_OP_SHIFT 40

uint64_t lane_user_data(const struct peer_lane *lane, enum lane_op op, uint16_t arg)
{
	uint64_t index = lane->leg * LANE_COUNT + (unsigned)lane->which;

	return ud_pack(UD_PEER, (uint64_t)op << UD_OP_SHIFT | index << UD_LANE_SHIFT |
					(uint64_t)lane->generation << UD_GENERATION_SHIFT | arg);
}

struct lane_ud lane_ud_unpack(uint64_t user_data)
{
	uint64_t bits = ud_bits(user_data);

	return (struct lane_ud){
		.op = (enum lane_op)(bits >> UD_OP_SHIFT),
		.lane = bits >> UD_LANE_SHIFT & 0xff,
		.generation = (uint16_t)(bits >> UD_GENERATION_SHIFT),
		.arg = (uint16_t)bits,
	};
}

static int bulk_ops_init(struct peer_lane *lane, unsigned count)
{
	lane->bulk_ops = calloc(count, sizeof(*lane->bulk_ops));
	if (!lane->bulk_ops)
		return -ENOMEM;
	lane->bulk_op_count = count;
	for (unsigned i = 0; i < count; i++)
		lane->bulk_ops[i].next_free = i + 1 < count ? (uint16_t)(i + 1) : OP_NONE;
	lane->bulk_free = 0;
	return 0;
}

/* Entries: each bulk write is a header and a payload, each frame between two others an entry of its own; twice what the
 * engine may have outstanding, because a notification can outlive the request it belongs to. */
int lane_init(struct peer_lane *lane, struct peers *peers, unsigned leg, enum lane which)
{
	uint32_t parts = peers_parts_of_set(&peers->options);
	int error;

	lane->peers = peers;
	lane->leg = leg;
	lane->which = which;
	lane->fd = -1;
	lane->bulk_free = OP_NONE;
	error = lane_queue_init(&lane->queue, 4 * parts + 2 * BATCH_COUNT + 64,
				2 * parts * FRAME_BYTES + 4 * LANE_MESSAGE_MAX);
	if (error || which == LANE_BULK)
		return error;
	return bulk_ops_init(lane, 2 * parts);
}

void lane_fini(struct peer_lane *lane)
{
	if (lane->fd >= 0)
		close(lane->fd);
	lane_queue_fini(&lane->queue);
	free(lane->bulk_ops);
}

void lane_open(struct peer_lane *lane, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	/* On an O_NONBLOCK descriptor io_uring answers -EAGAIN instead of waiting. */
	if (flags >= 0 && (flags & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	lane->fd = fd;
	lane->state = LANE_OPEN;
	zc_policy_init(&lane->zc, lane->peers->options.zero_copy);
	lane->rx.have = 0;
	if (lane->which == LANE_MAIN)
		lane_recv_main_start(lane);
	else
		lane_recv_bulk_start(lane);
}

/* Only for streams that cannot be disconnected: their operations end one by one, and what a cancellation misses because
 * it is just being started fails on the closed stream. */
static void lane_cancel_operations(struct peer_lane *lane)
{
	struct io_uring_sqe *sqe = ring_sqe(lane->peers->ring);

	(void)shutdown(lane->fd, SHUT_RDWR); /* fails only where there is nothing left to shut down */
	io_uring_prep_cancel_fd(sqe, lane->fd, IORING_ASYNC_CANCEL_ALL);
	sqe->user_data = lane_user_data(lane, LANE_OP_CANCEL, 0);
	lane->completions_due++;
}

void lane_break(struct peer_lane *lane, int error, const char *reason)
{
	if (lane->state != LANE_OPEN && lane->state != LANE_CONNECTING)
		return;
	lane->state = LANE_BREAKING;
	lane->attempt++;
	lane->peers->breaking_count++;
	lane->close_error = error;
	snprintf(lane->close_reason, sizeof(lane->close_reason), "%s", reason);
	if (lane->fd >= 0 && transport_break(lane->fd))
		lane_cancel_operations(lane);
}

static void lane_count(struct peer_lane *lane)
{
	struct peer_leg_stats *stats = &lane->peers->stats.legs[lane->leg];

	stats->zero_copied_bytes += lane->zc.zero_copied_bytes;
	stats->copied_bytes += lane->zc.copied_bytes;
	stats->notifications += lane->zc.notifications;
	lane->zc.zero_copied_bytes = 0;
	lane->zc.copied_bytes = 0;
	lane->zc.notifications = 0;
}

/* The end of a connection is news; that there is still none is not. */
static void lane_log(const struct peer_lane *lane)
{
	log_line(lane->fd >= 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
		 "event=lane_closed leg=%u lane=%s error=%s reason=\"%s\"", lane->leg,
		 lane->which == LANE_MAIN ? "main" : "bulk", err_name(lane->close_error), lane->close_reason);
}

bool lane_finish(struct peer_lane *lane)
{
	if (lane->state != LANE_BREAKING || lane->completions_due || lane->chain.silent)
		return false;
	lane_send_drop(lane);
	if (lane->which == LANE_MAIN)
		peers_write_drop_leg(lane->peers, lane->leg);
	lane_count(lane);
	lane_log(lane);
	if (lane->fd >= 0)
		close(lane->fd);
	lane->fd = -1;
	lane->generation++;
	lane->state = LANE_CLOSED;
	lane->peers->breaking_count--;
	engine_lane_closed(lane->peers->engine, lane->leg, lane->which, lane->close_error, lane->close_reason);
	return true;
}
