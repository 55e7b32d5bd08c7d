/* Peer I/O as the loop and the engine see it: actions without payload, completions, the end of a turn. Writes' payloads
 * are peer_write.c, zeroing is peer_zero.c, memory is peer_setup.c, each connection is a lane (lane.h). Does not know
 * block requests beyond their payload handle. */
#include "gateway/drivers/peer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "gateway/drivers/letters.h"
#include "gateway/drivers/peer_private.h"
#include "proto/codec.h"

void peers_connect(struct peers *peers, unsigned leg, enum lane which)
{
	struct peer_lane *lane = peers_lane(peers, leg, which);
	struct letter letter = {.kind = LETTER_CONNECT, .a = leg, .fd = -1};

	assert(lane->state == LANE_CLOSED);
	lane->state = LANE_CONNECTING;
	letter.b = letter_lane(which, ++lane->attempt);
	if (mailbox_post(peers->options.to_control, &letter))
		lane_break(lane, -ENOSPC, "the control thread does not take requests");
}

/* The lane that waits for exactly this attempt, or NULL. */
static struct peer_lane *lane_waiting(struct peers *peers, unsigned leg, uint32_t lane_word)
{
	struct peer_lane *lane = peers_lane(peers, leg, letter_lane_of(lane_word));
	bool waits = lane->state == LANE_CONNECTING && letter_lane(lane->which, lane->attempt) == lane_word;

	return waits ? lane : NULL;
}

void peers_lane_ready(struct peers *peers, unsigned leg, uint32_t lane_word, int fd)
{
	struct peer_lane *lane = lane_waiting(peers, leg, lane_word);

	if (!lane) {
		close(fd);
		return;
	}
	lane_open(lane, fd);
	engine_lane_connected(peers->engine, leg, lane->which);
}

void peers_lane_failed(struct peers *peers, unsigned leg, uint32_t lane_word, const struct err *why)
{
	struct peer_lane *lane = lane_waiting(peers, leg, lane_word);

	if (lane)
		lane_break(lane, why ? why->code : -ENOMEM, why ? why->text : "no connection");
}

void peers_abort(struct peers *peers, unsigned leg, enum lane which, const char *reason)
{
	lane_break(peers_lane(peers, leg, which), -ECONNABORTED, reason);
}

void peers_abort_all(struct peers *peers, const char *reason)
{
	for (unsigned i = 0; i < peers->lane_count; i++)
		lane_break(&peers->lanes[i], -ECONNABORTED, reason);
}

unsigned peers_open_lanes(const struct peers *peers)
{
	unsigned count = 0;

	for (unsigned i = 0; i < peers->lane_count; i++)
		count += peers->lanes[i].state != LANE_CLOSED;
	return count;
}

/* Room in the queue for everything the engine may have outstanding was taken at start. What a broken lane is given
 * goes with the lane. */
void peers_send_frame(struct peers *peers, unsigned leg, enum lane which, const struct frame *frame)
{
	struct peer_lane *lane = peers_lane(peers, leg, which);
	uint8_t *bytes;

	if (lane->state != LANE_OPEN)
		return;
	bytes = lane_queue_bytes(&lane->queue, FRAME_BYTES);
	if (bytes)
		frame_encode(frame, bytes);
	else
		lane_break(lane, -ENOBUFS, "more frames queued than a volume has requests");
}

void peers_send_message(struct peers *peers, unsigned leg, enum lane which, const struct message *message)
{
	struct peer_lane *lane = peers_lane(peers, leg, which);
	struct frame frame = {.type = FRAME_CONTROL};
	uint8_t *packed = peers->packed, *bytes = NULL;
	int len;

	if (lane->state != LANE_OPEN)
		return;
	len = codec_pack(message, packed, sizeof(peers->packed));
	if (len > 0)
		bytes = lane_queue_bytes(&lane->queue, FRAME_BYTES + (uint32_t)len);
	if (!bytes) {
		lane_break(lane, -EMSGSIZE, "a control message that cannot be queued");
		return;
	}
	frame.length = (uint32_t)len;
	frame.checksum = crc32c(0, packed, frame.length);
	frame_encode(&frame, bytes);
	memcpy(bytes + FRAME_BYTES, packed, frame.length);
}

static void on_lane_cqe(struct peer_lane *lane, enum lane_op op, uint16_t arg, const struct io_uring_cqe *cqe)
{
	if (op == LANE_OP_CANCEL)
		lane->completions_due--;
	else if (op == LANE_OP_MESSAGE || op == LANE_OP_PAYLOAD)
		lane_on_sent(lane, op, arg, cqe);
	else if (lane->which == LANE_MAIN)
		lane_on_recv_main(lane, cqe);
	else
		lane_on_recv_bulk(lane, op, cqe);
}

/* Of an earlier generation only unannounced notifications can come (lane_send.c): all else was waited for. */
void peers_on_cqe(struct peers *peers, const struct io_uring_cqe *cqe)
{
	struct lane_ud ud;

	if (ud_kind(cqe->user_data) == UD_ZERO) {
		peers_zero_on_cqe(peers, cqe);
		return;
	}
	ud = lane_ud_unpack(cqe->user_data);
	assert(ud.lane < peers->lane_count);
	if (peers->lanes[ud.lane].generation == ud.generation)
		on_lane_cqe(&peers->lanes[ud.lane], ud.op, ud.arg, cqe);
}

/* Each report may cause actions that leave something else to report, which no completion would wake us for. */
static bool report_once(struct peers *peers)
{
	unsigned breaking = peers->breaking_count;
	bool progress = false;

	for (unsigned i = 0; breaking && i < peers->lane_count; i++)
		progress |= lane_finish(&peers->lanes[i]);
	progress |= peers_zero_report(peers);
	progress |= peers_write_resume(peers);
	return progress;
}

/* The rest of a cut chain is submitted with the next call, beside its first part. Their bytes could mix, so the
 * connection must be broken before: a header sent into a payload, or a payload's bytes received as a header. */
static void break_cut_chains(struct peers *peers)
{
	if (peers->seen_cut_count == peers->ring->cut_count)
		return;
	peers->seen_cut_count = peers->ring->cut_count;
	for (unsigned i = 0; i < peers->lane_count; i++)
		if (peers->lanes[i].chain.active || peers->lanes[i].rx.next_header_armed)
			lane_break(&peers->lanes[i], -ENOMEM, "the kernel took only a part of a chain");
}

void peers_flush(struct peers *peers)
{
	break_cut_chains(peers);
	for (unsigned i = 0; i < peers->lane_count; i++)
		lane_settle(&peers->lanes[i]);
	while (report_once(peers))
		;
	for (unsigned i = 0; i < peers->lane_count; i++)
		lane_send(&peers->lanes[i]);
	/* A full queue is submitted in between. */
	break_cut_chains(peers);
}

void peers_stats(const struct peers *peers, struct peers_stats *ret)
{
	*ret = peers->stats;
	ret->leg_count = peers->options.leg_count;
	ret->recv_fixed = peers->recv_fixed;
	ret->send_fixed = peers->send_fixed;
	for (unsigned leg = 0; leg < ret->leg_count; leg++) {
		const struct peer_lane *lane = &peers->lanes[leg * LANE_COUNT + LANE_MAIN];
		struct zc_policy next = lane->zc; /* asking counts: ask a copy */

		ret->legs[leg].zero_copied_bytes += lane->zc.zero_copied_bytes;
		ret->legs[leg].copied_bytes += lane->zc.copied_bytes;
		ret->legs[leg].notifications += lane->zc.notifications;
		ret->legs[leg].zero_copy_now = zc_policy_choose(&next);
	}
}
