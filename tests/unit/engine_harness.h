/* An engine with replicas made of a few numbers: every action is kept, every event is the test's to choose.
 *
 * The harness answers control messages by itself (harness_pump()), because they have tests of their own; data frames
 * wait in `sent` until the test answers them, drops them with their connection, or lets harness_answer_all() do it.
 * Each lane is broken as the driver promises: what a lost connection borrowed is released first, then it is closed
 * once. It checks all along what must hold in every test: a slot completes once, a lane is opened when it is closed.
 */
#ifndef TESTS_UNIT_ENGINE_HARNESS_H
#define TESTS_UNIT_ENGINE_HARNESS_H

#include "gateway/core/engine.h"
#include "proto/status.h"

#define HARNESS_SENT_MAX 8192u
#define HARNESS_MESSAGES_MAX 256u
#define HARNESS_ZEROS_MAX 1024u

/* A data frame on its way to one leg. */
struct harness_sent {
	unsigned leg;
	enum lane lane;
	struct frame frame;
	enum write_path path;
	unsigned slot;
	uint32_t buf_offset;
	bool is_answered;
	bool is_arriving; /* a read whose header was accepted and whose bytes are on their way */
	bool is_borrowed;
	struct read_target target;
};

struct harness_message {
	unsigned leg;
	enum lane lane;
	enum message_kind kind;
	struct message_hello hello;
	struct ballot ballot;
	uint32_t session;
	struct config config;
	struct message_regions_ask regions_ask;
	struct message_stamp stamp;
	struct message_digest digest;
};

#define HARNESS_REGIONS 8u /* of a set of 8 MiB */

/* What a replica-server remembers, and how it is told to behave. */
struct harness_replica {
	struct ballot promised;
	struct config config;
	uint64_t incarnation;
	uint64_t bulk_incarnation; /* in the WELCOME on its bulk lane, when not 0 */
	struct uuid boot_id;
	uint32_t session;
	bool is_reachable;
	bool is_silent;		/* takes messages, answers none */
	uint32_t lease_left_ms; /* reported with a promise */
	uint32_t stamps[HARNESS_REGIONS];
	bool list[HARNESS_REGIONS];
	bool list_is_everything;
	uint64_t life;
	bool is_blank;
	unsigned heartbeats, forgets, syncs, accepts, seeds;
	enum message_kind mute_on;   /* this request and what follows on its connection stay unanswered */
	enum message_kind refuse_on; /* this request gets REFUSED with `refusal` */
	enum refusal refusal;
	uint32_t version;
	uint32_t payload_max_bytes;
};

struct harness_lane {
	enum { HARNESS_CLOSED, HARNESS_CONNECTING, HARNESS_OPEN } state;
	bool is_aborted;
	char reason[128]; /* of the last abort */
};

struct harness {
	struct engine *engine;
	struct volume_spec spec;
	struct engine_options options;
	uint64_t now_ns;

	struct harness_replica replicas[LEG_COUNT_MAX];
	struct harness_lane lanes[LEG_COUNT_MAX][LANE_COUNT];
	struct harness_message messages[HARNESS_MESSAGES_MAX];
	unsigned message_count;
	struct harness_sent sent[HARNESS_SENT_MAX];
	unsigned sent_count;
	struct read_target zeros[HARNESS_ZEROS_MAX];
	unsigned zero_count;
	bool copies_bulk; /* send_write() answers "copied" for every path */

	bool is_pending[QUEUE_DEPTH_MAX]; /* submitted and not completed */
	unsigned pending;
	unsigned completions[QUEUE_DEPTH_MAX];
	int errors[QUEUE_DEPTH_MAX]; /* of the last completion */

	unsigned attached_count, detached_count;
	int attached_error, detached_error;
	char attached_text[512];
	unsigned event_count[EVENT_KIND_COUNT];
	struct engine_event last_event[EVENT_KIND_COUNT];
	char last_event_text[EVENT_KIND_COUNT][320];
	/* What a replica's piece of DIGEST_PIECE_BYTES holds; NULL: the same everywhere. */
	uint64_t (*digest)(struct harness *harness, unsigned leg, uint64_t piece);
	/* A test's look at a request before its replica answers it. */
	void (*on_asked)(struct harness *harness, const struct harness_message *asked);
	/* A test's look at every frame before it is queued; may be NULL. */
	void (*on_sent)(struct harness *harness, const struct harness_sent *sent);
	void (*on_complete)(struct harness *harness, unsigned slot, int error);
	void *test;
};

/* A volume of `set_counts` sets with so many replicas each, 1 MiB chunks, 4 KiB blocks, 8 MiB a set. */
struct volume_spec harness_spec(unsigned set_count, unsigned replica_count);

/* The last voter of each set is a witness. */
struct volume_spec harness_spec_with_witness(unsigned set_count, unsigned replica_count);

/* NULL options: defaults. The engine is made, nothing is attached. */
void harness_init(struct harness *harness, const struct volume_spec *spec, const struct engine_options *options);
void harness_fini(struct harness *harness);
/* The gateway died: another one, with `options`, finds the replicas as they are. Nothing is attached; what was pending
 * is forgotten. */
void harness_restart(struct harness *harness, const struct engine_options *options);
struct engine_options harness_options(void);

/* Time goes on and the engine ticks. */
void harness_tick(struct harness *harness, uint64_t ns);
/* Answers connects, aborts and control messages until nothing of that is left. */
void harness_pump(struct harness *harness);
/* One of those things. False: nothing is left. */
bool harness_step(struct harness *harness);
/* Attach, and all the way to serving; asserts that it was attached. */
void harness_attach(struct harness *harness);

/* The connection of `lane` is gone, as if the peer had reset it; the other lane follows when the engine aborts it
 * and harness_pump() runs. */
void harness_break(struct harness *harness, unsigned leg, enum lane lane);
/* Both lanes are gone and the replica is not reachable until harness_raise(). */
void harness_kill(struct harness *harness, unsigned leg);
/* Reachable again, reconnected and up; asserts that it is. */
void harness_raise(struct harness *harness, unsigned leg);

void harness_submit(struct harness *harness, unsigned slot, enum request_op op, unsigned flags, uint64_t offset,
		    uint64_t length);

/* First frame of `type` to `leg` that is not answered; NULL: none. */
struct harness_sent *harness_find(struct harness *harness, unsigned leg, uint8_t type);
unsigned harness_count(const struct harness *harness, uint8_t type);
/* A good reply to it. */
struct frame harness_reply(const struct harness *harness, const struct harness_sent *sent);
/* Sends that reply with `status`; reads deliver all bytes. Asserts that the engine takes it. */
void harness_answer(struct harness *harness, struct harness_sent *sent, enum wire_status status);
/* A read reply's header with `bytes`; the bytes arrive with harness_place(). */
void harness_answer_read(struct harness *harness, struct harness_sent *sent, uint32_t bytes);
void harness_place(struct harness *harness, struct harness_sent *sent);
void harness_release(struct harness *harness, struct harness_sent *sent);
/* Answers `reply` on its lane and returns what the engine said. */
int harness_raw_reply(struct harness *harness, unsigned leg, enum lane lane, const struct frame *reply);
/* Everything answered, placed, released and zeroed until nothing is left. */
void harness_answer_all(struct harness *harness);
/* The replica's directory is lost, and made anew: blank. As harness_kill(), and reachable at once. */
void harness_replace(struct harness *harness, unsigned leg);
/* Forgets what needs nothing any more. Pointers into `sent` change. */
void harness_sweep(struct harness *harness);
void harness_zero(struct harness *harness, int error);

struct engine_status harness_status(const struct harness *harness);

#endif
