/* A simulated gateway process on a host of its own: the real struct engine inside, the peer I/O around it.
 *
 * As the driver does, everything queued in one loop turn leaves together at its end: small writes of a turn are copied
 * into one batch a set, bulk payloads are borrowed until their send is done.
 */
#ifndef TESTS_SIM_GATEWAY_H
#define TESTS_SIM_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/core/engine.h"
#include "tests/sim/app.h"
#include "tests/sim/geometry.h"
#include "tests/sim/net.h"
#include "tests/sim/process.h"
#include "tests/sim/truth.h"

#define SIM_BORROWS_MAX 512u
#define SIM_BATCHES_MAX 16u
#define SIM_BATCH_BYTES (2 * 65536u) /* a copy fits */
#define SIM_DEFERRED_MAX 128u
#define SIM_STAGED_MAX 256u
#define SIM_STAGED_BYTES 65536u
#define SIM_WSEQ_MAX 4096u
#define SIM_MESSAGE_MAX 16384u

struct world;

enum gateway_lane_state { GATEWAY_LANE_CLOSED, GATEWAY_LANE_CONNECTING, GATEWAY_LANE_OPEN, GATEWAY_LANE_BREAKING };

/* What a turn has queued for a lane: bytes, a batch, or a borrowed payload. */
enum staged_kind { STAGED_BYTES, STAGED_BATCH, STAGED_BORROW };
struct staged {
	enum staged_kind kind;
	uint32_t at, length; /* bytes: where in staged_bytes; batch: its number; borrow: its number */
};

struct gateway_lane {
	enum gateway_lane_state state;
	uint64_t attempt;
	unsigned conn;
	int error;
	struct staged staged[SIM_STAGED_MAX];
	unsigned staged_count;
	uint8_t staged_bytes[SIM_STAGED_BYTES];
	uint32_t staged_used;
	/* Receiving. */
	enum { TAKE_HEADER, TAKE_MESSAGE, TAKE_PAYLOAD } take;
	uint32_t have, want;
	struct frame frame;
	struct read_target target;
	uint64_t target_serial; /* of the payload */
	uint8_t header[FRAME_BYTES];
	uint8_t message[SIM_MESSAGE_MAX];
};

/* One leg's use of a write's payload. */
struct borrow {
	bool is_used;
	unsigned leg;
	uint64_t serial, id;
	unsigned payload;
	uint32_t offset;
};

struct sim_batch {
	bool is_used, is_open;
	unsigned set, refs;
	uint64_t legs;
	uint32_t used;
	uint8_t bytes[SIM_BATCH_BYTES];
};

struct deferred {
	struct write_order order;
	unsigned payload;
};

/* Blocks that a wseq of this epoch wrote, for the checks of stable_upto. */
struct wseq_range {
	uint64_t blocks; /* bit per block of the volume */
	uint32_t epoch;
};

struct gateway {
	struct process process;
	unsigned index;
	struct world *world;
	struct engine *engine; /* NULL: not running */
	bool is_wanted;	       /* the operator wants it to run */
	bool is_attached, is_refused, is_detaching, is_detached;
	int detach_error;
	uint64_t nonce;			       /* of the process that runs, or ran last */
	uint64_t last_outlived;		       /* nonce of the last one on this host that outlived other leases */
	int32_t drift_ppm;		       /* of its clock */
	uint64_t failed_ns;		       /* when it was first seen to have failed; 0: not */
	struct truth_config own[SIM_SETS_MAX]; /* last chosen config of its attachment; in 0: none */
	uint32_t epoch;
	uint64_t started_ns, attach_failures;
	uint64_t took_over_ns; /* when the first config of its attachment was chosen, in the last set */
	uint64_t verify_ns;    /* when the last verify was begun */
	bool flush_posted, resume_posted;
	struct gateway_lane lanes[SIM_SERVERS_MAX][LANE_COUNT];
	struct borrow borrows[SIM_BORROWS_MAX];
	uint64_t borrow_serial;
	struct sim_batch batches[SIM_BATCHES_MAX];
	struct deferred deferred[SIM_DEFERRED_MAX];
	unsigned deferred_count;
	struct wseq_range wseqs[SIM_SETS_MAX][SIM_WSEQ_MAX];
	uint64_t last_wseq[SIM_SETS_MAX], stable_upto[SIM_SETS_MAX];
	struct message message; /* scratch */
	uint8_t packed[SIM_MESSAGE_MAX];
	struct engine_status status; /* scratch */
	struct device device;
};

void gateway_init(struct world *world, unsigned index); /* memory, once */
void gateway_fini(struct gateway *gateway);
void gateway_reset(struct world *world, unsigned index);
void gateway_start(struct world *world, struct gateway *gateway);
/* SIGKILL, or the death of its host. The device and its requests are app.c's. */
void gateway_kill(struct world *world, struct gateway *gateway);
/* Is it the one whose applications may expect an answer? */
bool gateway_is_owner(const struct world *world, const struct gateway *gateway);
/* The gateway whose device, as it is now, attached with `nonce`; SIM_NO_OWNER: that device is gone. */
unsigned gateway_of_nonce(const struct world *world, uint64_t nonce);
/* Sets the engine's clock to its host's. */
void gateway_set_clock(struct world *world, struct gateway *gateway);
void gateway_recovered(struct world *world, struct gateway *gateway);
const struct engine_status *gateway_status(struct gateway *gateway);

void gateway_connected(struct world *world, struct gateway *gateway, unsigned leg, enum lane lane, uint64_t attempt);
void gateway_lane_closed(struct world *world, struct gateway *gateway, unsigned leg, enum lane lane, uint64_t attempt);
void gateway_end_turn(struct world *world, struct gateway *gateway);
void gateway_resume_writes(struct world *world, struct gateway *gateway);
void gateway_released(struct world *world, struct gateway *gateway, unsigned borrow, uint64_t serial);
void gateway_tick(struct world *world, struct gateway *gateway);
void gateway_zeroed(struct world *world, struct gateway *gateway, uint64_t id);

/* gateway_lane.c */
extern const struct engine_ops gateway_engine_ops;
/* Number among the device's payloads of a slot's memory: a request's, or one of the resync's. */
unsigned gateway_payload_of(struct gateway *gateway, unsigned slot);
void gateway_receive(struct world *world, struct conn *conn, const uint8_t *bytes, size_t length);
void gateway_peer_closed(struct world *world, struct conn *conn);
/* A payload on its way to a server: sampled, and all of it sent. */
void gateway_sample(struct world *world, unsigned gateway, uint32_t borrow, uint32_t at, uint8_t *out, uint32_t length);
void gateway_sent(struct world *world, unsigned gateway, uint32_t borrow);
void gateway_lane_break(struct world *world, struct gateway *gateway, unsigned leg, enum lane lane, int error);
void gateway_release(struct world *world, struct gateway *gateway, struct borrow *borrow, bool tell);

/* gateway_check.c: what must hold of everything a gateway sends */
void gateway_check_change(struct world *world, struct gateway *gateway, unsigned leg, const struct frame *frame,
			  unsigned slot);
void gateway_check_stable(struct world *world, struct gateway *gateway, unsigned leg, uint64_t stable_upto);

#endif
