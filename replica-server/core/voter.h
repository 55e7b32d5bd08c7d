/* A voter's conversation about membership: leases, lists, stamps, digests (replication.md R3, R6, R7, R9).
 *
 * A request here changes neither promise nor config. It runs beside the data frames of its lane and is answered in the
 * order of the lane's control messages: those that wait for the store (STAMP, DIGEST) begin at once, the others are
 * looked at when their turn comes. Thread: the replica's.
 */
#ifndef REPLICA_SERVER_CORE_VOTER_H
#define REPLICA_SERVER_CORE_VOTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"
#include "proto/message.h"
#include "replica-server/core/store.h"

#define LANE_VOTER_MAX 8u     /* of one lane, waiting for their answers */
#define REPLICA_VOTER_MAX 32u /* of one replica */
#define VOTER_LEASE_NS (LEASE_LEFT_MS_MAX * 1000000ull)

struct replica;
struct replica_lane;

enum voter_stage {
	VOTER_TURN,	/* is answered when everything before it was */
	VOTER_STAMPING, /* its stamps are not durable yet */
	VOTER_CHANGES,	/* changes that arrived before it are with the store */
	VOTER_STORING,	/* its own operation is with the store */
};

struct voter_request {
	struct list node; /* the lane's, or the replica's free list */
	struct list wait_node;
	struct replica *replica;
	struct replica_lane *lane; /* NULL: gone */
	enum voter_stage stage;
	enum message_kind kind;
	struct ballot ballot;
	int error;
	/* LIST_REGIONS, STAMPED_REGIONS. */
	uint64_t from;
	uint32_t above_gen;
	/* STAMP. */
	bool sync;
	uint64_t stamp_cycle;
	uint64_t arrival; /* changes up to this one came before it */
	/* DIGEST. */
	uint64_t offset;
	uint32_t length;
	uint8_t digests[DIGEST_PIECES_MAX][DIGEST_BYTES];
	struct store_op op;
};

/* Its memory of a replica. */
struct voter_desk {
	struct voter_request *all;
	struct list free, waiting;
	uint32_t inflight;	 /* not free */
	uint64_t *marks;	 /* a bit for each region; scratch of LIST_REGIONS */
	uint64_t lease_until_ns; /* of the last lease granted; a promise leaves it alone */
};

/* 0 or -ENOMEM. `region_count` 0: a witness. */
int voter_desk_init(struct voter_desk *desk, uint64_t region_count) must_check;
/* Accepts a zeroed struct; nothing may be in flight. */
void voter_desk_fini(struct voter_desk *desk);

/* Does the message belong here? */
bool voter_takes(enum message_kind kind);
/* Such a message. The lane has room (lane_takes_control()). */
void voter_message(struct replica_lane *lane, const struct message *message);
/* What is left of any lease, as a restarted voter must assume it (R9). */
uint32_t voter_lease_left_ms(const struct replica *replica);

/* Of leases granted by the directory before this one nothing is known, but that they began before now. */
void voter_assume_lease(struct replica *replica);

/* Stamps became durable, or a change is done. */
void voter_progress(struct replica *replica);
void voter_lane_closed(struct replica_lane *lane);

#endif
