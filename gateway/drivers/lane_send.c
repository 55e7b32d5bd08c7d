/* Sending on a lane: one chain at a time, and what becomes of it. Step 5 of a write's path: after peer_write.c queued
 * it, before the replica. lane_chain.c builds the chain; its completions free the queue's entries and release payloads
 * here. */
#include <errno.h>

#include "gateway/drivers/peer_private.h"

void lane_send(struct peer_lane *lane)
{
	if (lane->state != LANE_OPEN || lane->chain.active || !lane->queue.count)
		return;
	lane_chain_plan(lane);
	if (lane->chain.step_count == 1 && !lane->peers->deferred.count)
		lane_chain_emit_silently(lane);
	else
		lane_chain_emit(lane);
	lane->chain.active = true;
	lane->peers->stats.legs[lane->leg].chains++;
}

uint16_t lane_bulk_take(struct peer_lane *lane, const struct write_order *order)
{
	uint16_t ref = lane->bulk_free;
	struct bulk_op *op;

	assert(ref != OP_NONE);
	op = &lane->bulk_ops[ref];
	lane->bulk_free = op->next_free;
	*op = (struct bulk_op){
		.id = order->frame.id,
		.buf_offset = order->buf_offset,
		.bytes = order->frame.length,
		.slot = (uint16_t)order->slot,
		.refs = 1,
		.may_zero_copy = order->path == WRITE_BULK,
	};
	return ref;
}

static void bulk_put(struct peer_lane *lane, uint16_t ref)
{
	struct bulk_op *op = &lane->bulk_ops[ref];
	uint64_t id = op->id;

	assert(op->refs > 0);
	if (--op->refs)
		return;
	op->next_free = lane->bulk_free;
	lane->bulk_free = ref;
	engine_payload_released(lane->peers->engine, lane->leg, id);
}

static void entry_done(struct peer_lane *lane)
{
	struct out_entry entry = lane_queue_pop(&lane->queue);

	if (entry.kind == OUT_PAYLOAD)
		bulk_put(lane, entry.ref);
	else if (entry.kind != OUT_BYTES)
		batch_put(&lane->peers->pool, &lane->peers->pool.batches[entry.ref]);
}

static void chain_done(struct peer_lane *lane)
{
	unsigned entries = lane->chain.entries;

	while (entries--)
		entry_done(lane);
	lane->chain.active = false;
}

void lane_settle(struct peer_lane *lane)
{
	if (!lane->chain.silent || !ring_has_passed(lane->peers->ring, lane->chain.mark))
		return;
	lane->chain.silent = false;
	if (lane->state == LANE_OPEN)
		chain_done(lane);
}

void lane_send_drop(struct peer_lane *lane)
{
	while (lane->queue.count)
		entry_done(lane);
	lane->chain.active = false;
}

/* A late one is possible: a SEND_ZC that was cancelled before it ran posts a notification that its completion did not
 * announce (seen on 6.18). Its memory was never touched, its lane is broken: nothing to count. */
static void on_notification(struct peer_lane *lane, uint16_t ref, int32_t usage)
{
	struct bulk_op *op = &lane->bulk_ops[ref];

	if (!op->notify_due)
		return;
	op->notify_due = false;
	lane->completions_due--;
	zc_policy_notified(&lane->zc, op->bytes, (uint32_t)usage & IORING_NOTIF_USAGE_ZC_COPIED);
	bulk_put(lane, ref);
}

/* Errors at issue announce a notification too: only F_MORE counts (Linux io_uring/net.c io_sendrecv_fail()). */
static uint32_t on_payload(struct peer_lane *lane, uint16_t ref, const struct io_uring_cqe *cqe)
{
	struct bulk_op *op = &lane->bulk_ops[ref];

	if (cqe->flags & IORING_CQE_F_MORE) {
		op->notify_due = true;
		op->refs++;
		lane->completions_due++;
	}
	return op->bytes;
}

/* The silent send has spoken: `sent` bytes are gone, the rest is sent with patience. */
static void message_continue(struct peer_lane *lane, uint32_t sent)
{
	struct msghdr *message = &lane->chain.messages[0];

	lane->chain.steps[0].bytes -= sent;
	while (sent && sent >= message->msg_iov->iov_len) {
		sent -= (uint32_t)message->msg_iov->iov_len;
		message->msg_iov++;
		message->msg_iovlen--;
	}
	message->msg_iov->iov_base = (uint8_t *)message->msg_iov->iov_base + sent;
	message->msg_iov->iov_len -= sent;
	lane_chain_emit(lane);
}

static void on_silent_failure(struct peer_lane *lane, int32_t result)
{
	lane->chain.silent = false;
	if (lane->state != LANE_OPEN)
		return;
	if (result < 0 && result != -EAGAIN)
		lane_break(lane, result, "sending failed");
	else if ((uint32_t)(result < 0 ? 0 : result) >= lane->chain.steps[0].bytes)
		chain_done(lane); /* no kernel known does this: sent whole, and told */
	else
		message_continue(lane, result < 0 ? 0 : (uint32_t)result);
}

static uint32_t message_bytes(const struct chain *chain, uint16_t ref)
{
	uint32_t bytes = 0;

	for (size_t i = 0; i < chain->messages[ref].msg_iovlen; i++)
		bytes += (uint32_t)chain->messages[ref].msg_iov[i].iov_len;
	return bytes;
}

void lane_on_sent(struct peer_lane *lane, enum lane_op op, uint16_t arg, const struct io_uring_cqe *cqe)
{
	struct chain *chain = &lane->chain;
	uint32_t expected;

	if (cqe->flags & IORING_CQE_F_NOTIF) {
		on_notification(lane, arg, cqe->res);
		return;
	}
	if (chain->silent) {
		on_silent_failure(lane, cqe->res);
		return;
	}
	expected = op == LANE_OP_PAYLOAD ? on_payload(lane, arg, cqe) : message_bytes(chain, arg);
	chain->completions_due--;
	lane->completions_due--;
	if (cqe->res < 0)
		lane_break(lane, cqe->res, "sending failed");
	else if ((uint32_t)cqe->res != expected)
		lane_break(lane, -EPIPE, "sending was cut short");
	else if (!chain->completions_due && lane->state == LANE_OPEN)
		chain_done(lane);
}
