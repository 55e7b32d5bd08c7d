/* One leg: the gateway's view of one replica. Its connections' states, its place in the handshake, its backoff, what it
 * has not answered yet. Decides nothing about requests; attach.c, write.c, read.c and flush.c do.
 *
 *             connect()            MAIN connected            JOINED
 *      DOWN ------------> CONNECTING ----------> HANDSHAKE ---------> UP
 *       ^ ^                 |     |                 |                  |
 *       | +-- closed -------+     +-- abort --------+-- abort, one ----+
 *       |                                           v   lane closed
 *       +------------ both lanes closed -------- CLOSING
 *
 * HANDSHAKE goes to DOWN by itself when its only connection closes.
 */
#ifndef GATEWAY_CORE_LEG_H
#define GATEWAY_CORE_LEG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"
#include "common/uuid.h"
#include "gateway/core/engine.h"

enum lane_state { LANE_STATE_CLOSED, LANE_STATE_OPENING, LANE_STATE_OPEN, LANE_STATE_ABORTING };

/* What the handshake waits for: an answer of this leg, or (`_ALL`) the other legs. */
enum leg_step {
	STEP_NONE, /* no connection, or the handshake is over */
	STEP_CONNECT,
	STEP_HELLO,
	STEP_PROBE,
	STEP_PROBED_ALL, /* the epoch is chosen when every leg was probed */
	STEP_PROMISE,
	STEP_PROMISED_ALL, /* the config is adopted when every leg has promised */
	STEP_ACCEPT,
	STEP_ACCEPTED_ALL, /* nothing is served before every leg has stored the config */
	STEP_OPEN,
	STEP_BULK_CONNECT,
	STEP_BULK_HELLO,
	STEP_JOIN,
};

struct part;

/* Something sent and not yet answered. Parts embed one for each leg of their set; a leg has one for its PING. */
struct leg_op {
	struct list node;  /* in `unanswered`, in order of sending, or in `arriving` */
	struct part *part; /* NULL: the PING */
	uint64_t sent_ns;
	uint32_t bytes; /* that count as outstanding */
	enum lane lane;
	bool is_arriving;
};

struct leg_lane {
	enum lane_state state;
	struct list unanswered; /* struct leg_op */
	struct list arriving;	/* reads whose header came and whose bytes have not */
};

struct leg {
	unsigned index;	      /* in the engine */
	unsigned set, in_set; /* its set, its number there */
	enum leg_state state;
	uint64_t since_ns;
	struct leg_lane lanes[LANE_COUNT];

	enum leg_step step;
	uint64_t step_ns; /* when the step began */
	uint64_t retry_ns, backoff_ns;
	uint64_t heard_ns; /* last sign of life on MAIN */

	/* What the replica said. */
	bool has_promised, has_accepted; /* in this attachment; durable there, so kept across connections */
	bool was_up;			 /* `incarnation` and `boot_id` are those of its last session */
	uint64_t incarnation;
	struct uuid boot_id;
	uint64_t hello_incarnation; /* of the connection in its handshake */
	struct uuid hello_boot_id;
	struct ballot promised;
	struct config config; /* as last reported */

	uint32_t session;
	uint64_t ping_id; /* 0: none outstanding */
	struct leg_op ping;
	uint64_t durable_upto; /* wseq: its last answered FLUSH covers all writes up to this one */
	int flush_error;       /* sticky: an fsync error is never retried into success (P1) */

	uint32_t outstanding;
	uint64_t outstanding_bytes;
	uint64_t reconnects;
	bool is_refused; /* last_error says why it may not go up; people must act */
	char last_error[128];
};

void leg_init(struct leg *leg, unsigned index, unsigned set, unsigned in_set);

/* The only way to change `state`; asserts that the drawing above allows it. */
void leg_move(struct leg *leg, enum leg_state to, uint64_t now_ns);
bool leg_move_is_allowed(enum leg_state from, enum leg_state to);

void leg_step_to(struct leg *leg, enum leg_step step, uint64_t now_ns);
/* The step waits for the replica, so that the answer's deadline applies. */
bool leg_step_has_deadline(enum leg_step step);

const char *leg_step_name(enum leg_step step);

bool leg_lanes_are_closed(const struct leg *leg);

/* Sets the time of the next attempt and doubles the pause, up to 16 times `reconnect_ns`. */
void leg_back_off(struct leg *leg, uint64_t now_ns, uint64_t reconnect_ns);

void leg_blame(struct leg *leg, const char *reason);

/* Bookkeeping of what is outstanding. */
void leg_op_init(struct leg_op *op, struct part *part);
bool leg_op_is_outstanding(const struct leg_op *op);
void leg_op_sent(struct leg *leg, enum lane lane, struct leg_op *op, uint32_t bytes, uint64_t now_ns);
void leg_op_arriving(struct leg *leg, struct leg_op *op);
void leg_op_done(struct leg *leg, struct leg_op *op);
/* Lends any outstanding operation, or NULL. */
struct leg_op *leg_op_any(const struct leg *leg);
/* Nanoseconds since the oldest outstanding operation of the leg was sent; 0: none. */
uint64_t leg_oldest_age(const struct leg *leg, uint64_t now_ns);

#endif
