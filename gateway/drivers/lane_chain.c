/* From the queue to SQEs: what waits on a lane becomes one linked chain. Step 5 of a write's path, called by
 * lane_send.c. Does not look at completions.
 *
 * Two sends outstanding on one socket could interleave, and a chain that spans two submits is cut; either would put
 * payload bytes where the replica expects a header. Hence one chain, reserved whole (io_uring_enter(2), "Chains"). */
#include <string.h>

#include "gateway/drivers/peer_private.h"
#include "proto/frame.h"

static struct chain_step *step_add(struct chain *chain, struct chain_step step)
{
	chain->steps[chain->step_count] = step;
	return &chain->steps[chain->step_count++];
}

/* The message being filled: the last step, or a new one. */
static struct chain_step *step_message(struct chain *chain)
{
	struct msghdr *message;

	if (chain->step_count && !chain->steps[chain->step_count - 1].is_payload)
		return &chain->steps[chain->step_count - 1];
	message = &chain->messages[chain->message_count];
	*message = (struct msghdr){.msg_iov = &chain->iov[chain->iov_count]};
	return step_add(chain, (struct chain_step){.ref = (uint16_t)chain->message_count++});
}

static void message_add(struct chain *chain, void *base, uint32_t bytes)
{
	struct chain_step *step = step_message(chain);

	chain->iov[chain->iov_count++] = (struct iovec){.iov_base = base, .iov_len = bytes};
	chain->messages[step->ref].msg_iovlen++;
	step->bytes += bytes;
}

/* The header is the leg's own (session), the buffer is shared by all legs. */
static void message_add_batch(struct peer_lane *lane, struct batch *batch)
{
	struct chain *chain = &lane->chain;
	uint8_t *header = chain->headers[chain->header_count++];
	struct peer_leg_stats *stats = &lane->peers->stats.legs[lane->leg];
	struct frame frame;

	batch_close(&lane->peers->pool, batch);
	engine_batch_frame(lane->peers->engine, lane->leg, batch->used_bytes, &frame);
	frame_encode(&frame, header);
	message_add(chain, header, FRAME_BYTES);
	message_add(chain, batch->bytes, batch->used_bytes);
	stats->batches++;
	stats->gathered_bytes += batch->used_bytes - batch->write_count * FRAME_BYTES;
}

/* A payload always has its header before it, so a message step stands before every payload step. */
static void payload_add(struct peer_lane *lane, uint16_t ref)
{
	struct peers *peers = lane->peers;
	struct bulk_op *op = &lane->bulk_ops[ref];
	struct payload payload = peers_payload(peers, op->slot);
	bool can_send = payload.mapped || peers->send_fixed;
	bool zero_copy = payload.fixed && ((op->may_zero_copy && zc_policy_choose(&lane->zc)) || !can_send);

	step_add(&lane->chain,
		 (struct chain_step){.is_payload = true, .zero_copy = zero_copy, .ref = ref, .bytes = op->bytes});
	lane->chain.quiet = lane->chain.quiet && !zero_copy;
	peers->stats.legs[lane->leg].bulk_writes++;
}

static bool chain_has_room(const struct chain *chain, const struct out_entry *entry)
{
	if (entry->kind == OUT_PAYLOAD)
		return chain->step_count < CHAIN_SQE_MAX;
	/* A new message may be the header of a payload: keep a step for that too. */
	return chain->step_count + 2 <= CHAIN_SQE_MAX && chain->iov_count + 2 <= CHAIN_IOV_MAX &&
	       (entry->kind != OUT_BATCH || chain->header_count < BATCH_COUNT);
}

void lane_chain_plan(struct peer_lane *lane)
{
	struct chain *chain = &lane->chain;
	struct batch *batches = lane->peers->pool.batches;

	chain->step_count = chain->message_count = chain->iov_count = chain->header_count = 0;
	chain->quiet = true;
	for (chain->entries = 0; chain->entries < lane->queue.count; chain->entries++) {
		const struct out_entry *entry = lane_queue_at(&lane->queue, chain->entries);

		if (!chain_has_room(chain, entry))
			break;
		if (entry->kind == OUT_BYTES)
			message_add(chain, lane->queue.bytes + entry->start, entry->bytes);
		else if (entry->kind == OUT_BATCH)
			message_add_batch(lane, &batches[entry->ref]);
		else if (entry->kind == OUT_PIECE)
			message_add(chain, batches[entry->ref].bytes, batches[entry->ref].used_bytes);
		else
			payload_add(lane, entry->ref);
	}
	lane_queue_seal(&lane->queue, chain->entries);
}

/* MSG_MORE lets a copied payload join its header's packet. Before a zero-copy payload the header ends its packet
 * instead (MSG_EOR), and so does the payload: pages of the request are then never appended to a packet that holds
 * copied bytes, where the kernel would take references on them, which slab pages (XFS and jbd2 metadata) cannot have
 * (Linux net/core/datagram.c zerocopy_fill_skb_from_iter(), net/ipv4/tcp.c skb->eor). */
static int step_flags(const struct chain *chain, unsigned i)
{
	const struct chain_step *step = &chain->steps[i];
	bool is_last = i + 1 == chain->step_count;
	int flags = MSG_WAITALL | MSG_NOSIGNAL;

	if (step->zero_copy || (!is_last && chain->steps[i + 1].zero_copy))
		return flags | MSG_EOR;
	return is_last ? flags : flags | MSG_MORE;
}

static void emit_message(struct peer_lane *lane, const struct chain_step *step, int flags, struct io_uring_sqe *sqe)
{
	struct msghdr *message = &lane->chain.messages[step->ref];

	if (message->msg_iovlen == 1)
		io_uring_prep_send(sqe, lane->fd, message->msg_iov->iov_base, step->bytes, flags);
	else
		io_uring_prep_sendmsg(sqe, lane->fd, message, (unsigned)flags);
	sqe->user_data = lane_user_data(lane, LANE_OP_MESSAGE, step->ref);
}

static void emit_payload(struct peer_lane *lane, const struct chain_step *step, int flags, struct io_uring_sqe *sqe)
{
	struct bulk_op *op = &lane->bulk_ops[step->ref];
	struct payload payload = peers_payload(lane->peers, op->slot);
	void *address = (void *)(payload.base + op->buf_offset);

	if (step->zero_copy) {
		io_uring_prep_send_zc_fixed(sqe, lane->fd, address, op->bytes, flags, IORING_SEND_ZC_REPORT_USAGE,
					    payload.buf_index);
	} else {
		io_uring_prep_send(sqe, lane->fd, address, op->bytes, flags);
		if (!payload.mapped)
			ring_prep_fixed_buf(sqe, payload.buf_index);
		zc_policy_sent(&lane->zc, op->bytes);
	}
	sqe->user_data = lane_user_data(lane, LANE_OP_PAYLOAD, step->ref);
}

/* Nearly every send of small requests fits the socket's buffer at once. Then the only news worth a completion is that
 * it did not: MSG_DONTWAIT with SKIP_SUCCESS posts the short count, or nothing. Not while writes wait for a batch
 * buffer: this chain's buffers must come back by an event. */
void lane_chain_emit_silently(struct peer_lane *lane)
{
	struct chain *chain = &lane->chain;
	struct io_uring_sqe *sqe = ring_sqe(lane->peers->ring);

	emit_message(lane, &chain->steps[0], MSG_WAITALL | MSG_NOSIGNAL | MSG_DONTWAIT, sqe);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	chain->silent = true;
	chain->mark = ring_mark(lane->peers->ring);
	chain->completions_due = 0;
}

/* Quiet: SKIP_SUCCESS on all but the last. A failure posts its own completion and silences the rest of the chain, so
 * there is exactly one completion either way. SEND_ZC refuses SKIP_SUCCESS; with one in the chain every step is
 * counted. */
void lane_chain_emit(struct peer_lane *lane)
{
	struct chain *chain = &lane->chain;

	ring_reserve(lane->peers->ring, chain->step_count);
	for (unsigned i = 0; i < chain->step_count; i++) {
		const struct chain_step *step = &chain->steps[i];
		struct io_uring_sqe *sqe = ring_sqe(lane->peers->ring);
		bool is_last = i + 1 == chain->step_count;

		if (step->is_payload)
			emit_payload(lane, step, step_flags(chain, i), sqe);
		else
			emit_message(lane, step, step_flags(chain, i), sqe);
		if (!is_last)
			sqe->flags |= IOSQE_IO_LINK | (chain->quiet ? IOSQE_CQE_SKIP_SUCCESS : 0);
	}
	chain->completions_due = chain->quiet ? 1 : chain->step_count;
	lane->completions_due += chain->completions_due;
}
