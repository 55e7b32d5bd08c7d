/* One lane: one TCP connection of one leg, with what waits to be sent, what is being sent, and what is being received.
 * Internal to peer I/O: the files lane_*.c and peer*.c. Data thread only.
 *
 *                peers_connect()            LANE_READY
 *     CLOSED ------------------> CONNECTING -----------> OPEN
 *        ^                           |                     |  abort, error, nonsense, end of stream
 *        |   no completion due       v  failed, abort      v
 *        +------------------------ BREAKING <--------------+
 *
 * BREAKING ends in peers_flush(), when every completion that may touch a request's memory has come: queued and sent
 * payloads are reported released, then the lane is reported closed, once.
 */
#ifndef GATEWAY_DRIVERS_LANE_H
#define GATEWAY_DRIVERS_LANE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/uring.h"
#include "gateway/core/engine.h"
#include "gateway/core/zc_policy.h"
#include "gateway/drivers/batch.h"
#include "gateway/drivers/lane_queue.h"

struct peers;

enum lane_state { LANE_CLOSED, LANE_CONNECTING, LANE_OPEN, LANE_BREAKING };

/* A gateway's peer sends at most a config with a few words around it. */
#define LANE_MESSAGE_MAX (16u * 1024u)

/* A chain: plain frames and batches travel as messages, bulk payloads stand between them. */
#define CHAIN_PAYLOAD_MAX 32u
#define CHAIN_MESSAGE_MAX (CHAIN_PAYLOAD_MAX + 1u)
#define CHAIN_SQE_MAX (CHAIN_PAYLOAD_MAX + CHAIN_MESSAGE_MAX)
#define CHAIN_IOV_MAX 128u

struct chain_step {
	bool is_payload;
	bool zero_copy;
	uint16_t ref; /* bulk op of a payload; index in `messages` else */
	uint32_t bytes;
};

struct chain {
	bool active;
	bool quiet;	  /* completions only for the last step or the first failure */
	bool silent;	  /* one message, sent without waiting: no completion by `mark` means sent */
	unsigned mark;	  /* ring_mark() behind it */
	unsigned entries; /* of the out queue */
	unsigned completions_due;
	unsigned step_count, message_count, iov_count, header_count;
	struct chain_step steps[CHAIN_SQE_MAX];
	struct msghdr messages[CHAIN_MESSAGE_MAX];
	struct iovec iov[CHAIN_IOV_MAX];
	uint8_t headers[BATCH_COUNT][FRAME_BYTES]; /* BATCH frames: they carry this leg's session */
};

enum recv_phase { RECV_HEADER, RECV_MESSAGE, RECV_PAYLOAD };
enum payload_way { WAY_RECV, WAY_READ_FIXED, WAY_BOUNCE };

struct receiver {
	enum recv_phase phase;
	enum payload_way way;	/* BULK: of the payload being received */
	bool next_header_armed; /* BULK: queued behind the payload */
	uint32_t have, want;	/* bytes of the phase */
	struct frame frame;
	struct read_target target;
	uint8_t header[FRAME_BYTES];
	uint8_t message[LANE_MESSAGE_MAX];
	/* MAIN: buffers the kernel picks from for multishot receive. BULK: one bounce buffer. */
	struct io_uring_buf_ring *ring;
	uint8_t *buffers;
};

/* A bulk payload on its way: from queueing until its send is done and, if zero-copy, notified. */
struct bulk_op {
	uint64_t id;
	uint32_t buf_offset, bytes;
	uint16_t slot;
	uint8_t refs; /* queue entry, notification */
	bool may_zero_copy;
	bool notify_due;
	uint16_t next_free;
};

struct peer_lane {
	struct peers *peers;
	unsigned leg;
	enum lane which;
	enum lane_state state;
	uint16_t generation; /* of the connection; in user_data, tells late notifications */
	uint32_t attempt;
	int fd;
	unsigned completions_due;
	int close_error;
	char close_reason[128];

	struct lane_queue queue;
	struct chain chain;
	struct zc_policy zc;
	struct bulk_op *bulk_ops;
	unsigned bulk_op_count;
	uint16_t bulk_free;
	struct receiver rx;
};

/* user_data of UD_PEER: what | lane (8) | generation (16) | argument (16). */
enum lane_op { LANE_OP_MESSAGE, LANE_OP_PAYLOAD, LANE_OP_RECV, LANE_OP_RECV_PAYLOAD, LANE_OP_CANCEL };
struct lane_ud {
	enum lane_op op;
	unsigned lane;
	uint16_t generation, arg;
};
uint64_t lane_user_data(const struct peer_lane *lane, enum lane_op op, uint16_t arg);
struct lane_ud lane_ud_unpack(uint64_t user_data);

/* lane.c: life of a lane. */
int lane_init(struct peer_lane *lane, struct peers *peers, unsigned leg, enum lane which) must_check;
void lane_fini(struct peer_lane *lane);
void lane_open(struct peer_lane *lane, int fd);
/* Nothing is reported from inside: safe in an action. Only the first reason counts. `reason` is copied. */
void lane_break(struct peer_lane *lane, int error, const char *reason);
/* From the end of the turn: reports a broken lane closed if nothing is due any more. True: reported. */
bool lane_finish(struct peer_lane *lane);

/* lane_chain.c: builds `chain` from the queue; queues its SQEs, counting the completions due. */
void lane_chain_plan(struct peer_lane *lane);
void lane_chain_emit(struct peer_lane *lane);
void lane_chain_emit_silently(struct peer_lane *lane);

/* lane_send.c: the chain's life. lane_settle() first thing at the end of a turn: what was sent silently is done. */
void lane_settle(struct peer_lane *lane);
void lane_send(struct peer_lane *lane);
void lane_on_sent(struct peer_lane *lane, enum lane_op op, uint16_t arg, const struct io_uring_cqe *cqe);
/* Drops everything queued or sent, reporting payloads released. */
void lane_send_drop(struct peer_lane *lane);
uint16_t lane_bulk_take(struct peer_lane *lane, const struct write_order *order);

/* lane_recv_main.c, lane_recv_bulk.c */
void lane_recv_main_start(struct peer_lane *lane);
void lane_on_recv_main(struct peer_lane *lane, const struct io_uring_cqe *cqe);
void lane_recv_bulk_start(struct peer_lane *lane);
void lane_on_recv_bulk(struct peer_lane *lane, enum lane_op op, const struct io_uring_cqe *cqe);

/* lane_recv.c: what both lanes do with a whole header and a whole message. False: the lane was broken. */
bool lane_take_header(struct peer_lane *lane, const uint8_t header[FRAME_BYTES]);
bool lane_take_message(struct peer_lane *lane, const uint8_t *bytes);
void lane_take_payload_done(struct peer_lane *lane);

#endif
