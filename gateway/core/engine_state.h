/* The engine's insides, shared by the files of gateway/core that make it up and by nobody else.
 *
 * Rule of the house: a public event (engine.c) calls down into one of these modules and ends with engine_run(), which
 * starts the parts whose ranges became free meanwhile. Nothing below starts a part of another request by itself, so
 * there is no recursion from a completion into the next request.
 */
#ifndef GATEWAY_CORE_ENGINE_STATE_H
#define GATEWAY_CORE_ENGINE_STATE_H

#include "common/mutant.h"
#include "gateway/core/engine.h"
#include "gateway/core/layout.h"
#include "gateway/core/leg.h"
#include "gateway/core/slot.h"

enum attach_phase { PHASE_IDLE, PHASE_PROBE, PHASE_PROMISE, PHASE_ACCEPT, PHASE_OPEN };

struct set {
	unsigned index;
	unsigned first_leg, leg_count;
	uint8_t all_legs; /* bit per leg */
	uint8_t up_legs;
	uint8_t readable_legs; /* never none; a leg on which a write failed differs from the others */
	struct range_lock lock;
	struct list waiting;  /* parts that hold their range and wait for the set, oldest first */
	struct list writes;   /* parts sent and not acknowledged by all, by wseq */
	struct list flushes;  /* parts sent */
	struct config config; /* proposed, from PHASE_ACCEPT on */

	uint64_t next_wseq;
	uint64_t stable_upto;	   /* R5 */
	uint64_t completed_upto;   /* highest wseq that completed */
	uint64_t failed_from;	   /* lowest wseq that failed; stable_upto never reaches it. UINT64_MAX: none */
	uint64_t completed_writes; /* how many; compared with synced_writes to see whether a SYNC is due */
	uint64_t synced_writes;
	uint64_t sync_ns; /* when the last background SYNC was started */

	unsigned read_leg; /* reads stay here for `read_left` more */
	uint32_t read_left;
};

struct engine {
	struct volume_spec spec;
	struct engine_options options;
	const struct engine_ops *ops;
	void *ctx;
	uint64_t now_ns;

	enum volume_state state;
	uint64_t state_ns;
	enum attach_phase phase;
	bool is_attached;
	bool is_detached;
	bool attach_reported;
	uint64_t detach_ns;
	char failure[256]; /* why VOLUME_FAILED */

	struct ballot ballot; /* epoch 0: not chosen yet */
	struct layout layout;
	unsigned leg_count;
	struct leg *legs;
	struct set *sets; /* spec.set_count */
	unsigned parts_per_slot;
	unsigned slot_count; /* queue_depth for requests, then one a set for its background SYNC */
	struct slot *slots;
	struct part *parts;
	struct list ready; /* parts whose range was granted, by range.granted */
	uint64_t generation;
	struct message message; /* scratch: too large for a stack */

	unsigned outstanding;
	struct engine_status counters; /* only the counters in it */
};

static inline struct set *set_of(struct engine *engine, const struct part *part)
{
	return &engine->sets[part->at.set];
}

static inline struct leg *set_leg(struct engine *engine, const struct set *set, unsigned in_set)
{
	return &engine->legs[set->first_leg + in_set];
}

static inline uint8_t leg_bit(const struct leg *leg)
{
	return (uint8_t)(1u << leg->in_set);
}

/* New requests may go to the set. */
static inline bool set_is_open(const struct engine *engine, const struct set *set)
{
	if (MUTANT(serve_without_all) && set->up_legs)
		return engine->is_attached && engine->state != VOLUME_FAILED;
	return engine->is_attached && engine->state != VOLUME_FAILED && set->up_legs == set->all_legs;
}

/* engine.c */
void engine_run(struct engine *engine);
void engine_set_state(struct engine *engine, enum volume_state state);
/* Serving or suspended, by the legs. */
void engine_refresh_state(struct engine *engine);
/* Every leg is up for the first time. */
void engine_attached(struct engine *engine);
/* For good: the attach is refused, or the volume was taken over. All outstanding requests fail once nothing touches
 * their memory any more. */
void engine_fail(struct engine *engine, int error, const char *text);

/* slot.c */
uint64_t slot_new_id(struct engine *engine, unsigned slot, unsigned part);
void slot_submit(struct engine *engine, const struct request *request);
/* A FLUSH of one set on nobody's behalf, in the set's own slot, which must be free. */
void slot_submit_sync(struct engine *engine, struct set *set);
struct slot *slot_of_sync(struct engine *engine, const struct set *set);
/* The part in flight that `id` names, or NULL. */
struct part *slot_find_part(struct engine *engine, uint64_t id);
/* Once a part has its range: now if its set is open, later otherwise. */
void part_start(struct engine *engine, struct part *part);
void part_wait(struct engine *engine, struct part *part);
void part_done(struct engine *engine, struct part *part, int error);
void slot_released(struct engine *engine, struct slot *slot);
/* Starts again what waits for the set and may go. */
void set_drain(struct engine *engine, struct set *set);
/* Every lane is closed: fails whatever is left. */
void slots_fail_all(struct engine *engine);

/* link.c: the life of a leg's connections */
void link_connect(struct engine *engine, struct leg *leg);
void link_abort(struct engine *engine, struct leg *leg, const char *format, ...) printf_like(3, 4);
void link_abort_all(struct engine *engine, const char *reason);
void link_connected(struct engine *engine, struct leg *leg, enum lane lane);
void link_closed(struct engine *engine, struct leg *leg, enum lane lane, int error, const char *reason);
void link_up(struct engine *engine, struct leg *leg);
void link_tick(struct engine *engine, struct leg *leg);
bool links_are_down(const struct engine *engine);

/* attach.c: the handshake */
void attach_hello(struct engine *engine, struct leg *leg, enum lane lane);
void attach_message(struct engine *engine, struct leg *leg, enum lane lane, const struct message *message);
/* Sends engine->message; `step` waits for the answer. */
void attach_ask(struct engine *engine, struct leg *leg, enum lane lane, enum leg_step step);
/* People must act. It ends an attach; a served volume waits, and the replica is asked again from time to time. */
void attach_refuse(struct engine *engine, struct leg *leg, int error, const char *text);

/* barrier.c: the leg has come so far; its `promised` and `config` are what it reported */
void barrier_probed(struct engine *engine, struct leg *leg);
void barrier_promised(struct engine *engine, struct leg *leg);
void barrier_accepted(struct engine *engine, struct leg *leg);

/* adopt.c: which epoch and config an attachment gets */
int adopt_epoch(const struct engine *engine, uint32_t *ret_epoch, struct err *err) must_check;
int adopt_config(struct engine *engine, struct set *set, struct err *err) must_check;
/* Somebody else's, and it keeps ours from being promised. */
bool adopt_is_foreign(const struct engine *engine, const struct ballot *promised);
bool adopt_is_ours(const struct engine *engine, const struct ballot *ballot);

/* write.c: WRITE, DISCARD, ZEROES */
void write_start(struct engine *engine, struct part *part);
void write_resend(struct engine *engine, struct leg *leg);
void write_forget_acks(struct engine *engine, struct leg *leg);
void write_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply);
void write_released(struct engine *engine, struct leg *leg, uint64_t id);
bool write_borrows(const struct engine *engine, const struct leg *leg);

/* read.c */
void read_start(struct engine *engine, struct part *part);
void read_reissue(struct engine *engine, struct part *part);
void read_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply,
		   struct read_target *ret);
void read_placed(struct engine *engine, struct leg *leg, uint64_t id);
void read_zeroed(struct engine *engine, uint64_t id, int error);

/* flush.c */
void flush_start(struct engine *engine, struct part *part);
void flush_resend(struct engine *engine, struct leg *leg);
void flush_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply);
bool flush_is_due(const struct set *set);
void flush_tick(struct engine *engine, struct set *set);
/* While detaching: the next SYNC, or the end. */
void flush_detach_progress(struct engine *engine);
void flush_sync_done(struct engine *engine, struct set *set, int error);

/* reply.c */
int reply_dispatch(struct engine *engine, struct leg *leg, enum lane lane, const struct frame *reply,
		   struct read_target *ret) must_check;

#endif
