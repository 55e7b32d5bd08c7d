/* Peer I/O over io_uring: the driver side of `struct engine_ops` towards the replicas.
 *
 * Each leg has two lanes (TCP connections). Everything queued for a lane in one loop turn leaves as one linked chain of
 * SQEs, one chain and one receive in flight per lane; peers_flush() queues the chains of all legs, so that the caller's
 * next io_uring_enter sends them all. Connecting is the control thread's work (connector.h); it answers by letters.
 *
 * Thread: all of it on the data thread, peers_new() included (it registers buffer rings with the thread's ring).
 * No allocation after peers_new().
 */
#ifndef GATEWAY_DRIVERS_PEER_H
#define GATEWAY_DRIVERS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"
#include "gateway/core/engine.h"
#include "gateway/core/zc_policy.h"

struct frontend;
struct io_uring_cqe;
struct mailbox;
struct peers;
struct ring;

enum peers_recv { PEERS_RECV_PROBE, PEERS_RECV_FIXED, PEERS_RECV_READ_FIXED };

struct peers_options {
	unsigned leg_count;
	unsigned set_count;
	unsigned queue_depth;
	struct mailbox *to_control; /* LETTER_CONNECT goes here; borrowed until peers_free() */
	enum peers_recv recv;	    /* how bulk reads reach a registered buffer; PROBE: ask the kernel */
	enum zc_force zero_copy;    /* AUTO: by each connection's notifications */
};
void peers_options_default(struct peers_options *ret);

/* How many entries the ring needs for the peers alone (the caller adds the frontend's). */
unsigned peers_sq_entries(const struct peers_options *options);
unsigned peers_cq_entries(const struct peers_options *options);

/* Takes all memory. Borrows `ring` and `frontend` until peers_free(). NULL with `err`. */
struct peers *peers_new(const struct peers_options *options, struct ring *ring, struct frontend *frontend,
			struct err *err);
/* The engine whose events these are; before the first event. Borrowed until peers_free(). */
void peers_bind(struct peers *peers, struct engine *engine);
/* Every lane is closed (peers_open_lanes() == 0) or the ring is gone. NULL is fine. */
void peers_free(struct peers *peers);

/* From the connector's letters; `lane_word` is the letter's `b`. Results of attempts given up meanwhile are dropped
 * (and their `fd` closed). peers_lane_ready() takes `fd`; `why` may be NULL. */
void peers_lane_ready(struct peers *peers, unsigned leg, uint32_t lane_word, int fd);
void peers_lane_failed(struct peers *peers, unsigned leg, uint32_t lane_word, const struct err *why);

/* A completion whose user_data kind is UD_PEER or UD_ZERO. */
void peers_on_cqe(struct peers *peers, const struct io_uring_cqe *cqe);

/* End of a loop turn, after all completions and letters were handled and given back to the ring: reports to the engine
 * what its actions could not report from inside (closed lanes, released payloads, zeroed ranges), then queues the SQEs
 * of everything to be sent. */
void peers_flush(struct peers *peers);

/* Lanes not closed yet: connecting, open, or still being reaped. For shutdown. */
unsigned peers_open_lanes(const struct peers *peers);
/* Breaks every lane, for shutdown; each is reported closed as usual. */
void peers_abort_all(struct peers *peers, const char *reason);

/* The actions of `struct engine_ops` (gateway/core/engine.h has their meaning). */
void peers_connect(struct peers *peers, unsigned leg, enum lane lane);
void peers_abort(struct peers *peers, unsigned leg, enum lane lane, const char *reason);
void peers_send_message(struct peers *peers, unsigned leg, enum lane lane, const struct message *message);
void peers_send_frame(struct peers *peers, unsigned leg, enum lane lane, const struct frame *frame);
bool peers_send_write(struct peers *peers, const struct write_order *order);
void peers_zero(struct peers *peers, const struct read_target *target);

struct peer_leg_stats {
	uint64_t zero_copied_bytes; /* bulk payload the kernel reported as sent without a copy */
	uint64_t copied_bytes;	    /* bulk payload it copied, by SEND or by SEND_ZC's own admission */
	uint64_t gathered_bytes;    /* payload sent in batches */
	uint64_t received_bytes;    /* read payload */
	uint64_t chains, batches, bulk_writes;
	bool zero_copy_now; /* what the next bulk write of the leg would use */
};

struct peers_stats {
	uint64_t deferred_writes;   /* orders that had to wait for a batch buffer */
	uint64_t direct_read_bytes; /* from the socket straight into the request's memory */
	uint64_t copied_read_bytes; /* by way of our buffers */
	bool recv_fixed;	    /* RECV with FIXED_BUF, else READ_FIXED */
	bool send_fixed;	    /* SEND with FIXED_BUF */
	unsigned leg_count;
	struct peer_leg_stats legs[LEG_COUNT_MAX];
};
void peers_stats(const struct peers *peers, struct peers_stats *ret);

#endif
