/* Peer I/O as the loop and the engine see it: set-up, actions without payload, completions, the end of a turn.
 * Writes' payloads are peer_write.c, zeroing is peer_zero.c, each connection is a lane (lane.h). Does not know
 * block requests beyond their payload handle. */
#include "gateway/drivers/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "gateway/drivers/lane_recv_bulk.h"
#include "gateway/drivers/lane_recv_main.h"
#include "gateway/drivers/letters.h"
#include "gateway/drivers/peer_private.h"
#include "proto/codec.h"

#define RING_PAGE_BYTES 4096u

static_assert(LANE_RECV_BUFFERS * sizeof(struct io_uring_buf) <= RING_PAGE_BYTES, "a buffer ring is one page");
static_assert(QUEUE_DEPTH_MAX * REQUEST_PARTS_MAX * 2 < OP_NONE, "operations are numbered with 16 bits");

void peers_options_default(struct peers_options *ret)
{
	*ret = (struct peers_options){.set_count = 1, .queue_depth = QUEUE_DEPTH_DEFAULT};
}

/* With one set there is no stripe, and a request is one part. With more, neighbouring chunks fall on different sets. */
unsigned peers_parts_of_set(const struct peers_options *options)
{
	return options->queue_depth * (options->set_count == 1 ? 1 : (REQUEST_PARTS_MAX + 1) / 2);
}

unsigned peers_parts_of_volume(const struct peers_options *options)
{
	return options->queue_depth * (options->set_count == 1 ? 1 : REQUEST_PARTS_MAX);
}

/* Of each leg: a whole chain, a receive and its successor on both lanes, a few frames. */
unsigned peers_sq_entries(const struct peers_options *options)
{
	return options->leg_count * (CHAIN_SQE_MAX + 8);
}

/* Two completions for each zero-copy payload, the receives, what a turn may bring besides. */
unsigned peers_cq_entries(const struct peers_options *options)
{
	return options->leg_count * (2 * CHAIN_SQE_MAX + 2 * options->queue_depth + 64);
}

static uint32_t recv_buffer_bytes(unsigned leg_count)
{
	uint32_t bytes = LANE_RECV_BUFFER_BYTES_MAX;

	while (bytes > LANE_RECV_BUFFER_BYTES_MIN && bytes * LANE_RECV_BUFFERS * leg_count > LANE_RECV_BYTES_TOTAL)
		bytes /= 2;
	return bytes;
}

/* Rings first, page by page, then the buffers of the MAIN lanes, then the bounce buffers of the BULK lanes. */
static size_t leg_memory_bytes(const struct peers *peers)
{
	return RING_PAGE_BYTES + LANE_RECV_BUFFERS * (size_t)peers->recv_buffer_bytes + LANE_BOUNCE_BYTES;
}

static int leg_init(struct peers *peers, unsigned leg)
{
	struct peer_lane *main_lane = peers_lane(peers, leg, LANE_MAIN), *bulk_lane = peers_lane(peers, leg, LANE_BULK);
	uint8_t *memory = peers->recv_memory + leg * leg_memory_bytes(peers);
	int error = lane_init(main_lane, peers, leg, LANE_MAIN);

	if (!error)
		error = lane_init(bulk_lane, peers, leg, LANE_BULK);
	if (error)
		return error;
	bulk_lane->rx.buffers = memory + leg_memory_bytes(peers) - LANE_BOUNCE_BYTES;
	return lane_recv_main_init(main_lane, memory, memory + RING_PAGE_BYTES);
}

static int lanes_init(struct peers *peers)
{
	unsigned leg_count = peers->options.leg_count;
	void *memory;
	int error = 0;

	peers->lane_count = leg_count * LANE_COUNT;
	peers->lanes = calloc(peers->lane_count, sizeof(*peers->lanes));
	peers->recv_buffer_bytes = recv_buffer_bytes(leg_count);
	memory = mmap(NULL, leg_count * leg_memory_bytes(peers), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory != MAP_FAILED)
		peers->recv_memory = memory;
	if (!peers->lanes || !peers->recv_memory)
		return -ENOMEM;
	for (unsigned leg = 0; leg < leg_count && !error; leg++)
		error = leg_init(peers, leg);
	return error;
}

static int probe(struct peers *peers, struct err *err)
{
	int has = ring_probe_fixed_recv();

	if (has < 0)
		return err_set(err, has, "io_uring: cannot find out how it receives: %s", err_name(has));
	if (!has && peers->options.recv == PEERS_RECV_FIXED)
		return err_set(err, -EOPNOTSUPP,
			       "receiving into registered buffers: this kernel cannot; use Linux 7.2 "
			       "or newer, or let the gateway choose");
	peers->send_fixed = has;
	peers->recv_fixed = has && peers->options.recv != PEERS_RECV_READ_FIXED;
	return 0;
}

static int peers_init(struct peers *peers, struct err *err)
{
	int error = probe(peers, err);

	if (error)
		return error;
	error = batch_pool_init(&peers->pool);
	if (!error)
		error = peers_write_init(peers);
	if (!error)
		error = lanes_init(peers);
	if (error)
		return err_set(err, error, "peer I/O: buffers cannot be set up: %s", err_name(error));
	return peers_zero_init(peers, err);
}

struct peers *peers_new(const struct peers_options *options, struct ring *ring, struct frontend *frontend,
			struct err *err)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	assert(options->leg_count > 0 && options->leg_count <= LEG_COUNT_MAX);
	assert(options->queue_depth > 0 && options->queue_depth <= QUEUE_DEPTH_MAX && options->set_count > 0);
	if (!peers) {
		err_set(err, -ENOMEM, "peer I/O: no memory");
		return NULL;
	}
	peers->options = *options;
	peers->ring = ring;
	peers->frontend = frontend;
	peers->zeros.fd = -1;
	if (peers_init(peers, err)) {
		peers_free(peers);
		return NULL;
	}
	return peers;
}

void peers_bind(struct peers *peers, struct engine *engine)
{
	peers->engine = engine;
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	for (unsigned i = 0; peers->lanes && i < peers->lane_count; i++)
		lane_fini(&peers->lanes[i]);
	free(peers->lanes);
	if (peers->recv_memory)
		munmap(peers->recv_memory, peers->options.leg_count * leg_memory_bytes(peers));
	peers_zero_fini(peers);
	peers_write_fini(peers);
	batch_pool_fini(&peers->pool);
	free(peers);
}

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
	frame.crc = crc32c(0, packed, frame.length);
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

void peers_flush(struct peers *peers)
{
	for (unsigned i = 0; i < peers->lane_count; i++)
		lane_settle(&peers->lanes[i]);
	while (report_once(peers))
		;
	for (unsigned i = 0; i < peers->lane_count; i++)
		lane_send(&peers->lanes[i]);
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
		ret->legs[leg].zero_copy_now = zc_policy_choose(&next);
	}
}
