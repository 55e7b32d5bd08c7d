/* The gateway's engine: block requests in, frames to replicas out; replies in, completions out.
 *
 * Pure: no syscalls, no threads, no allocation after engine_new(), no clock of its own. Every event is a call below;
 * every action is a call of `struct engine_ops`. Actions only queue: no action may call back into the engine
 * before it returns. One engine is used by one thread (the data thread; the simulator).
 *
 * Legs are numbered through all sets: set 0's replicas first, in the order of the volume's file.
 * Each leg has two lanes, each one connection: MAIN (control messages, writes, small reads, flushes) and
 * BULK (large reads, replies in order). Both belong to one session, so that one fence covers both.
 */
#ifndef GATEWAY_CORE_ENGINE_H
#define GATEWAY_CORE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"
#include "gateway/core/volume.h"
#include "proto/frame.h"
#include "proto/message.h"

struct engine;

enum lane { LANE_MAIN = 0, LANE_BULK = 1, LANE_COUNT };

enum request_op { REQUEST_READ, REQUEST_WRITE, REQUEST_FLUSH, REQUEST_DISCARD, REQUEST_ZEROES };

enum request_flag {
	REQUEST_F_FUA = 1 << 0,
	REQUEST_F_META = 1 << 1, /* payload may be slab memory: never zero-copy (kernel UBLK_IO_F_META) */
	REQUEST_F_NO_UNMAP = 1 << 2,
};

/* The longest DISCARD or ZEROES: its length fits a frame's. */
#define REQUEST_RANGE_BYTES_MAX (4 * GIB - BLOCK_BYTES_MAX)

/* One block request. `offset` and `length` in bytes, multiples of the block size, inside the volume
 * (checked: else completed with -EINVAL). FLUSH: both 0. READ and WRITE: at most IO_BYTES_MAX; DISCARD and ZEROES: at
 * most REQUEST_RANGE_BYTES_MAX. */
struct request {
	unsigned slot; /* < queue_depth, free until completed */
	enum request_op op;
	unsigned flags;
	uint64_t offset;
	uint64_t length;
};

/* How the payload of a write reaches its legs. */
enum write_path {
	WRITE_GATHER,	 /* copied once with its header into the batch of its set: one send a leg and turn */
	WRITE_BULK,	 /* from the request's buffer: SEND_ZC or SEND, as the connection's notifications justify */
	WRITE_BULK_COPY, /* from the request's buffer, never SEND_ZC (REQUEST_F_META) */
	WRITE_PRIVATE,	 /* copied once, too large for a batch: the same bytes for every leg, whatever becomes of the
			    buffer */
};

struct write_order {
	unsigned set;
	uint64_t legs; /* bit per leg; all of `set` */
	enum write_path path;
	unsigned slot;
	uint32_t buf_offset; /* where in the request's payload this part starts */
	struct frame frame;  /* complete but for `session`: 0 in a batch, else engine_leg_session() of each leg */
};

/* Where the bytes of a read reply belong. */
struct read_target {
	unsigned slot;
	uint32_t buf_offset;
	uint32_t length;
	uint64_t id; /* for engine_read_placed() */
};

/* What people want to know when it happens; the texts say the cause. */
enum engine_event_kind {
	EVENT_ATTACHED,
	EVENT_REATTACHING, /* a contender came to nothing (R10), or a counted replica was lost while attaching */
	EVENT_EVICTING,	   /* `leg` is on its way out: writes are stamped from here on */
	EVENT_EVICTED,	   /* a majority knows; the duration is from its first missed answer */
	EVENT_REJOINING,
	EVENT_REJOIN_STOPPED, /* source or target lost; it starts again */
	EVENT_REJOINED,
	EVENT_RECONCILING,
	EVENT_RECONCILED,
	EVENT_SUSPENDED,
	EVENT_RESUMED,
	EVENT_FAILED,	     /* served until now, nothing any more */
	EVENT_LOSS_RECORDED, /* completed writes that were not flushed may be gone */
	EVENT_CHECKSUM_REPAIRED,
	EVENT_VERIFYING,
	EVENT_VERIFIED,	    /* everything was compared */
	EVENT_VERIFY_ENDED, /* ... was not */
	EVENT_REPLACED,	    /* the new directory of a replica that lost its own has its vote */
	EVENT_DIFFERENCE,   /* between replicas in sync, found by a verify */
	EVENT_KIND_COUNT
};

#define EVENT_NO_LEG UINT32_MAX

struct engine_event {
	enum engine_event_kind kind;
	unsigned set;
	unsigned leg; /* EVENT_NO_LEG: of the whole set */
	uint32_t gen;
	uint64_t duration_ns; /* of what ended; else 0 */
	uint64_t bytes;	      /* copied, for REJOINED and RECONCILED; of a DIFFERENCE */
	uint64_t offset;      /* in the set, of a DIFFERENCE */
	const char *text;     /* cause; valid during the call */
};
const char *engine_event_name(enum engine_event_kind kind);

struct engine_ops {
	/* Begin to connect; answered by engine_lane_connected() or engine_lane_closed(). */
	void (*connect)(void *ctx, unsigned leg, enum lane lane);
	/* Break the connection at once (RST). Answered by engine_lane_closed() exactly once, after the last operation
	 * that touches a request's memory was reaped and reported released. `reason` is static or copied. */
	void (*abort)(void *ctx, unsigned leg, enum lane lane, const char *reason);
	/* Queue a control message (copied). */
	void (*send_message)(void *ctx, unsigned leg, enum lane lane, const struct message *message);
	/* Queue a frame without payload (copied): READ, FLUSH, DISCARD, ZEROES, PING. */
	void (*send_frame)(void *ctx, unsigned leg, enum lane lane, const struct frame *frame);
	/* Queue a write to all legs of `order->legs` (order copied). True: the payload has been copied already, nothing
	 * more is reported. False: the payload is borrowed until engine_payload_released() came for each of the legs.
	 */
	bool (*send_write)(void *ctx, const struct write_order *order);
	/* Fill part of a read's payload with zeros; answered by engine_zeroed(). */
	void (*zero)(void *ctx, const struct read_target *target);
	/* The request is finished: 0 (all bytes) or -errno. The slot is free from here on. */
	void (*complete)(void *ctx, unsigned slot, int error);
	/* The volume may be served now (attach done), or attach was refused for good: `error` and text. Once. */
	void (*attached)(void *ctx, int error, const char *text);
	/* Detach has made everything durable (or given up: `error`); no more actions follow but aborts. Once. */
	void (*detached)(void *ctx, int error);
	/* For the log. May be NULL. */
	void (*event)(void *ctx, const struct engine_event *event);
};

struct engine_options {
	unsigned queue_depth;
	uint32_t bulk_min_bytes;     /* payloads above this take the bulk path; 0: all of them */
	uint32_t read_run;	     /* small reads that stay on one replica before balance is looked at */
	uint64_t answer_deadline_ns; /* a leg that leaves a request unanswered so long is aborted (design P8: 3 s) */
	uint64_t reconnect_ns;	     /* pause before the next attempt, doubled up to 16 times this */
	uint64_t sync_interval_ns;   /* background SYNC while completed writes are not stable */
	uint64_t attach_wait_ns;  /* an attach waits so long for voters that do not answer, if it can go without them */
	uint64_t attach_limit_ns; /* ... and is refused after so long if it cannot; 0: never */
	unsigned min_in_sync;	  /* fewer replicas in sync: suspended. At least 1 */
	bool fails_without_quorum; /* requests fail with EIO when suspended for `quorum_wait_ns` (R12) */
	uint64_t quorum_wait_ns;
	uint64_t resync_bytes_per_s; /* compared or copied for a rejoin; 0: as fast as it goes */
	/* A rejoin copies regions unseen while fewer of the pieces that it compared were equal; 0: compares all. */
	unsigned unseen_below_percent;
	unsigned slow_factor; /* a replica so many times slower than the fastest for `slow_ns` is evicted; 0: never */
	uint64_t slow_ns;
	uint64_t slow_rest_ns;	    /* ... and is not taken back before */
	uint64_t predecessor_nonce; /* of the attachment whose process is proven dead on this host, and that had
				     * engine_outlived_leases(): no lease to wait for (R3.6). 0: none */
	uint64_t device_nonces[DEVICE_NONCES_MAX]; /* is_recovery: of the attachments that may have served this device,
						    * ended by 0 */
	bool is_recovery;      /* the device lived on: only a config of these or of the predecessor may be
				* adopted, reads wait for engine_recovered() (R11) */
	bool memory_is_pinned; /* the frontend keeps a completed request's memory until the last send let go of it
				* (ublk's kernel buffers); else completion waits for engine_payload_released() */
	bool accepts_loss; /* the operator gives up what only in-sync replicas that do not answer may have, if ... */
	uint32_t accepted_epoch; /* ... this is the highest epoch of any config seen: what he was shown. Not once served
				  */
	uint64_t nonce;		 /* of this attachment, random, not 0 */
	char client[64];	 /* for the replica-servers' logs */
};
void engine_options_default(struct engine_options *ret);

/* All memory of the engine's life is taken here. `ops`, `ctx` are borrowed until engine_free().
 * NULL with `err` (-EINVAL, -ENOMEM). */
struct engine *engine_new(const struct volume_spec *spec, const struct engine_options *options,
			  const struct engine_ops *ops, void *ctx, struct err *err);
void engine_free(struct engine *engine);

/* Time of the events that follow, monotonic ns; called once a loop turn. */
void engine_set_now(struct engine *engine, uint64_t now_ns);
/* Deadlines, reconnects, background SYNC. Call at least every 100 ms. */
void engine_tick(struct engine *engine);

/* Connects all legs, takes promises and opens sessions; ends in ops->attached(). */
void engine_attach(struct engine *engine);
/* Last SYNC, then ops->detached(). The caller has made sure that no request is outstanding. */
void engine_detach(struct engine *engine);

/* R11: every request that the kernel issues again has been submitted. */
void engine_recovered(struct engine *engine);

/* Slots that the engine fills by itself follow the requests' own: one a set for its SYNC (no payload), then
 * RESYNC_SLOTS whose REGION_BYTES of memory are the driver's, and are used as any slot's payload. */
unsigned engine_resync_slot(const struct engine *engine, unsigned nth);

/* A block request. May complete before it returns (-EINVAL). Requests before `attached` wait. */
void engine_submit(struct engine *engine, const struct request *request);

/* Events of a lane. Between connected and closed a lane is open exactly once. */
void engine_lane_connected(struct engine *engine, unsigned leg, enum lane lane);
void engine_lane_closed(struct engine *engine, unsigned leg, enum lane lane, int error, const char *reason);
void engine_message(struct engine *engine, unsigned leg, enum lane lane, const struct message *message);
/* A reply header. 0: fully handled, or, for READ with bytes, `*ret` says where the `ret->length` bytes that follow
 * belong (ret->length is 0 otherwise). -EPROTO: nonsense; the engine has already aborted the lane, read no more from
 * it. */
int engine_reply(struct engine *engine, unsigned leg, enum lane lane, const struct frame *reply,
		 struct read_target *ret) must_check;
/* All bytes of that target are in place. */
void engine_read_placed(struct engine *engine, unsigned leg, enum lane lane, uint64_t id);
/* The leg will not touch this write's payload again (its send is done and, if zero-copy, notified). */
void engine_payload_released(struct engine *engine, unsigned leg, uint64_t id);
void engine_zeroed(struct engine *engine, uint64_t id, int error);

/* For the driver's batch header and bulk headers. */
uint32_t engine_leg_session(const struct engine *engine, unsigned leg);
void engine_batch_frame(const struct engine *engine, unsigned leg, uint32_t length, struct frame *ret);
/* Nobody who was granted a lease before this attachment can still hold it: whoever proves that this process is dead
 * need not wait for one (R3.6). */
bool engine_outlived_leases(const struct engine *engine);
/* Requests not yet completed. */
unsigned engine_outstanding(const struct engine *engine);
/* Bytes of reads and writes sent and not answered, on the leg that has most. */
uint64_t engine_outstanding_bytes(const struct engine *engine);
/* How many answers the only request outstanding waits for, each of a connection of its own: before all are there,
 * nothing is gained by looking. 1 when that cannot be said. */
unsigned engine_answers_due(const struct engine *engine);

/* A snapshot for people and programs. Plain data, copied whole to the control thread. */
enum volume_state { VOLUME_ATTACHING, VOLUME_SERVING, VOLUME_SUSPENDED, VOLUME_DETACHING, VOLUME_FAILED };
enum leg_state { LEG_DOWN, LEG_CONNECTING, LEG_HANDSHAKE, LEG_UP, LEG_CLOSING, LEG_VOTING };

struct leg_status {
	enum leg_state state;
	uint64_t since_ns; /* as struct leg has it */
	uint32_t session;
	uint64_t incarnation;
	uint64_t outstanding_bytes; /* reads and writes sent, not answered */
	uint32_t outstanding;
	uint64_t reconnects;
	char last_error[LEG_REASON_CHARS]; /* why it was down last; empty: never */
	bool is_witness;
	bool is_in_sync; /* in the chosen config */
	bool is_syncing;
	uint64_t resync_total_bytes, resync_left_bytes; /* of its rejoin: to compare, and still to compare */
	uint64_t resync_copied_bytes;
	uint64_t resync_since_ns;
};

/* Of one mirror set. */
struct set_status {
	enum volume_state state;
	uint64_t since_ns;
	char reason[96];     /* of that state; empty: all is well */
	char waits_for[256]; /* as the volume's, its own legs only */
	uint32_t gen;
	uint32_t loss_count;
	uint8_t voters, witnesses, in_sync, voting; /* how many */
	bool can_lose_one;			    /* any one of its nodes, and keep serving */
	char why_not[96];
	uint64_t uncertain_bytes; /* not yet made equal after a gateway was lost */
	bool has_lease;
};

struct engine_status {
	enum volume_state state;
	uint64_t since_ns;
	char reason[256];    /* why it is attaching, suspended or failed; else empty */
	char waits_for[256]; /* "b (10.0.0.2:7000), c (10.0.0.3:7000): reason" while not all replicas serve; else, and
			      * when failed, empty */
	uint32_t epoch;
	uint32_t gen;
	unsigned outstanding;
	uint64_t read_count, write_count, flush_count, discard_count, zeroes_count;
	uint64_t read_bytes, write_bytes;
	uint64_t short_reads, zeroed_bytes;
	uint64_t resent_writes, reissued_reads;
	uint64_t checksum_mismatches; /* acknowledgements of one write that differ between legs */
	uint64_t checksum_repairs;    /* ... writes that were completed after it (R13) */
	uint64_t verified_bytes, differing_bytes, repaired_bytes; /* of all verifies */
	uint64_t failed_requests;
	uint64_t evictions, rejoins, reattaches;
	uint64_t reconciled_bytes, resynced_bytes; /* copied */
	unsigned set_count;
	struct set_status sets[SET_COUNT_MAX];
	unsigned leg_count;
	struct leg_status legs[LEG_COUNT_MAX];
};
void engine_status(const struct engine *engine, struct engine_status *ret);
/* ---- All in-sync replicas compared with each other, on people's request (verify.c). ---- */

struct verify_order {
	bool repair;	      /* what differs is copied from the majority */
	uint64_t sources;     /* bit per leg: right where there is no majority; at most one a set */
	uint64_t bytes_per_s; /* compared; 0: as fast as it goes beside the application */
};

/* Pieces of DIGEST_PIECE_BYTES next to each other that differ in the same way. Legs by their bits in the set. */
struct verify_finding {
	uint32_t set;
	uint64_t offset, length; /* bytes in the set */
	uint8_t compared;	 /* legs in sync */
	uint8_t wrong;		 /* those that differ from the majority, or from the source named; 0: undecided */
	bool is_repaired;
};

#define VERIFY_FINDINGS_MAX 64u /* kept; more are counted */

enum verify_state { VERIFY_NEVER, VERIFY_RUNNING, VERIFY_DONE, VERIFY_ENDED };

struct verify_status {
	enum verify_state state;
	bool repair;
	uint64_t since_ns, ended_ns;
	uint64_t total_bytes, compared_bytes; /* of the sets, each counted once */
	uint64_t differing_bytes, repaired_bytes, undecided_bytes;
	uint64_t leg_bytes[LEG_COUNT_MAX]; /* compared on each leg: less than its set when it was out of sync meanwhile
					    */
	unsigned leg_count;
	uint32_t finding_count; /* all of them */
	struct verify_finding findings[VERIFY_FINDINGS_MAX];
	char text[160]; /* what it waits for, or why it ended early; else empty */
};

/* One at a time. 0, or with `err`: -EBUSY one is running, -EAGAIN not serving, -EINVAL nothing to compare. */
int engine_verify_start(struct engine *engine, const struct verify_order *order, struct err *err) must_check;
void engine_verify_cancel(struct engine *engine);
void engine_verify_status(const struct engine *engine, struct verify_status *ret);
const char *verify_state_name(enum verify_state state);

const char *volume_state_name(enum volume_state state);
const char *leg_state_name(enum leg_state state);

#endif
