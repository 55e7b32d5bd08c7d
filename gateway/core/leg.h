/* One leg: the gateway's view of one voter. Its connections' states, its place in the handshake, its backoff, what it
 * has not answered yet. Decides nothing about requests; attach.c, write.c, read.c and flush.c do.
 *
 *             connect()            MAIN connected          promised          JOINED
 *      DOWN ------------> CONNECTING ----------> HANDSHAKE -------> VOTING ---------> UP
 *       ^ ^                 |     |                 |                 |               |
 *       | +-- closed -------+     +-- abort --------+-- abort, -------+---------------+
 *       |                                           v   one lane closed
 *       +------------ both lanes closed -------- CLOSING
 *
 * Voting and carrying data are separate (R2, R6): VOTING speaks for the config register and the lease, UP has a session
 * as well. HANDSHAKE and VOTING go to DOWN by themselves when their only connection closes.
 */
#ifndef GATEWAY_CORE_LEG_H
#define GATEWAY_CORE_LEG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"
#include "common/uuid.h"
#include "gateway/core/comparing.h"
#include "gateway/core/engine.h"
#include "gateway/core/region_map.h"

enum lane_state { LANE_STATE_CLOSED, LANE_STATE_OPENING, LANE_STATE_OPEN, LANE_STATE_ABORTING };

/* What the leg's connections wait for: an answer of this leg, or (STEP_PROBED, STEP_BLANK) the other legs. */
enum leg_step {
	STEP_NONE, /* no connection, or nothing to wait for */
	STEP_CONNECT,
	STEP_HELLO,
	STEP_PROBE,
	STEP_BLANK, /* a config that gives it its vote is to be chosen by the others (replace.c) */
	STEP_SEED,
	STEP_PROBED, /* the epoch is chosen when enough voters were probed */
	STEP_PROMISE,
	STEP_OPEN,
	STEP_BULK_CONNECT,
	STEP_BULK_HELLO,
	STEP_JOIN,
};

struct part;

#define LEG_ASKS_MAX 32u

/* A control message on MAIN that has no answer yet; answers come in order. */
struct leg_ask {
	enum message_kind kind;
	uint32_t tag; /* of whoever asked */
	uint64_t sent_ns;
};

/* A series of messages to one leg, one after the other: the pages of a list, the runs of a stamp. */
enum leg_job { JOB_NONE, JOB_LIST, JOB_STAMP, JOB_DONE };

/* A replica that is being taken back (R7). */
enum rejoin_phase {
	REJOIN_NONE,
	REJOIN_LIST,   /* what the config says must be compared: its own list */
	REJOIN_SOURCE, /* stamps of the source, raised on the joiner page by page */
	REJOIN_OWN,    /* its own stamps */
	REJOIN_COPY,
	REJOIN_BARRIER, /* the last FLUSH is sent: required from here on */
	REJOIN_COMMIT,	/* flushed: in with the next config */
};

struct rejoin {
	enum rejoin_phase phase;
	unsigned source; /* in its set */
	uint64_t from;	 /* page of the list or stamps asked for next */
	bool is_asked;	 /* an answer or a STAMPED is outstanding */
	bool is_last_page;
	bool is_full;	/* everything is compared */
	uint16_t round; /* tells answers to an earlier attempt apart */
	uint64_t total_regions, copied_bytes, compared_bytes, unseen_bytes; /* the last: copied without comparing */
	struct comparing comparing;
	uint64_t since_ns, told_ns;
	uint64_t barrier_id; /* of the FLUSH, 0: none outstanding */
	uint64_t barrier_writes;
	uint64_t retry_ns;
};

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
	bool is_witness;      /* votes, has no data */
	enum leg_state state;
	uint64_t since_ns; /* it is in this state; in any but LEG_VOTING and LEG_UP: since it is in neither */
	struct leg_lane lanes[LANE_COUNT];

	enum leg_step step;
	uint64_t step_ns; /* when the step began */
	uint64_t retry_ns, backoff_ns;
	uint64_t heard_ns;    /* last sign of life on MAIN */
	uint64_t answered_ns; /* last answer to a request, or to the FLUSH of a resync */
	uint64_t silent_ns;   /* since when its last session owed an answer, else that session's end */

	/* The conversation on MAIN. */
	struct leg_ask asks[LEG_ASKS_MAX];
	unsigned ask_first, ask_count;
	uint64_t lease_from_ns; /* sending of the last answered HEARTBEAT; 0: none (R9) */
	uint64_t beat_ns;	/* sending of the last one */
	bool is_beat_asked, is_accept_asked;
	enum leg_job job;
	uint64_t job_from;
	uint32_t job_gen; /* of the STAMP outstanding */
	bool was_opened;  /* a session was asked for since the config was chosen */
	bool is_job_asked;

	/* What the replica said. */
	bool is_probed;	       /* in this round of the attach */
	bool is_probed_again;  /* asked once more: what it said may be out of date */
	bool has_promised;     /* this ballot; durable there, so kept across connections */
	uint32_t accepted_gen; /* highest answered under this ballot */
	uint64_t lease_end_ns; /* what it had granted when it promised */
	bool was_up;	       /* `incarnation` and `boot_id` are those of its last session */
	uint64_t incarnation;
	struct uuid boot_id;
	uint64_t hello_incarnation; /* of the connection in its handshake */
	struct uuid hello_boot_id;
	struct ballot promised;
	struct config config; /* as last reported */
	uint32_t told_no;     /* of that report, among all that the engine got */
	uint32_t probe_no;    /* reports that the engine had when it sent the PROBE that was answered last */
	uint64_t life;	      /* of its directory, as last reported */

	/* Which directory has its vote (replace.c). */
	bool is_blank;	 /* the one that it is connected to was made to replace a lost one and has none yet */
	bool is_claimed; /* ... and has promised, which is no vote: nobody older seeds it */
	bool is_named;	 /* a config that was proposed since gives it the vote, with `life_gen` */
	uint32_t life_gen;
	uint64_t voting_life; /* by the config that was adopted, or a later proposal */

	uint32_t session;
	uint64_t ping_id; /* 0: none outstanding */
	struct leg_op ping;
	uint64_t durable_writes; /* its last answered FLUSH covers so many of what counts in completed_writes */
	int flush_error;	 /* sticky: an fsync error is never retried into success (P1) */
	bool is_faulty;		 /* it may carry no data until its server was started anew */
	uint64_t faulty_incarnation;
	uint64_t rest_until_ns; /* no session before: it was evicted for what may pass (space, slowness) */
	bool has_forgotten;	/* FORGET was sent */
	struct rejoin rejoin;
	struct leg_op barrier;
	struct region_map to_copy;
	uint64_t latency_ns; /* of its writes, smoothed */
	uint64_t slow_since_ns;
	uint32_t slow_writes; /* answered since then */

	uint32_t outstanding;
	uint64_t outstanding_bytes;
	uint64_t reconnects;
	bool is_refused; /* last_error says why it may not go up; people must act */
	int refusal_error;
	char last_error[LEG_REASON_CHARS];
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

static inline bool leg_has_vote(const struct leg *leg)
{
	return leg->state == LEG_VOTING || leg->state == LEG_UP;
}

/* The conversation: appended when sent, taken off when answered. */
void leg_asked(struct leg *leg, enum message_kind kind, uint32_t tag, uint64_t now_ns);
/* Lends the oldest, or NULL. */
const struct leg_ask *leg_oldest_ask(const struct leg *leg);
struct leg_ask leg_take_ask(struct leg *leg);
/* The connection is gone, and with it every conversation. */
void leg_forget_talk(struct leg *leg);

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
