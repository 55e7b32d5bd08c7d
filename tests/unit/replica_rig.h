/* One replica over a memory store, and connections that record what the core tells them. */
#ifndef TESTS_UNIT_REPLICA_RIG_H
#define TESTS_UNIT_REPLICA_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/message.h"
#include "replica-server/core/replica.h"
#include "tests/unit/mem_store.h"

#define RIG_LANES 6u
#define RIG_REPLIES 64u
#define RIG_BLOCK 4096u
#define RIG_SET_BYTES (4 * MIB)
#define RIG_SERVED 16u
#define RIG_NOW_NS 100000000000ull /* the server started at 0: its start grants no lease any more */

struct rig_reply {
	struct frame frame;
	uint8_t first; /* byte of the payload */
};

struct rig_lane {
	struct replica_lane lane;
	bool attached, closing;
	struct rig_reply replies[RIG_REPLIES];
	unsigned reply_count;
	struct message answer; /* the last one */
	unsigned answer_count;
};

struct rig {
	struct mem_store mem;
	struct served_pool pool;
	struct server_identity server;
	struct superblock sb;
	struct replica replica;
	struct rig_lane lanes[RIG_LANES];
	unsigned changed_count;
	bool stopped;
	uint64_t wseq;
};

extern const struct uuid rig_volume, rig_set, rig_replica;

void rig_superblock(struct superblock *ret);
void rig_init(struct rig *rig);
/* The same replica is a witness; another voter of its config is the replica. */
void rig_init_witness(struct rig *rig);
/* Another server, with what rig->sb says. No lane may be attached, nothing under way. */
void rig_restart(struct rig *rig);
void rig_fini(struct rig *rig);
/* Attaches lane `idx`. */
struct rig_lane *rig_lane(struct rig *rig, unsigned idx, enum lane_role role);
/* What the driver does after finish() or close(), or when the peer is gone. */
void rig_lane_gone(struct rig *rig, unsigned idx);

void rig_promise(struct rig *rig, unsigned idx, uint32_t epoch, uint64_t nonce);
void rig_accept(struct rig *rig, unsigned idx, uint32_t epoch, uint64_t nonce, const struct config *config);
void rig_open(struct rig *rig, unsigned idx, uint32_t epoch, uint64_t nonce, uint32_t session);
void rig_join(struct rig *rig, unsigned idx, uint32_t epoch, uint64_t nonce, uint32_t session);
/* Any control message, as the driver would offer it. */
void rig_message(struct rig *rig, unsigned idx, const struct message *message);
/* A request of voter.h with this ballot and otherwise the smallest contents. */
void rig_ask(struct rig *rig, unsigned idx, enum message_kind kind, uint32_t epoch, uint64_t nonce);
/* A new rig whose lane 0 is promised epoch 1, nonce 11, and has opened nothing; its answers forgotten. */
struct rig_lane *rig_begin_promised(struct rig *rig);
/* Lane 0 promised and opened: epoch 1, nonce 11, session 1; its lanes' answers forgotten. */
void rig_serve(struct rig *rig);
/* ... and lane 1 joined as bulk lane. */
void rig_serve_bulk(struct rig *rig);

/* A frame of epoch 1, session 1. Payload, if any, is `fill` throughout and arrives at once. The error of
 * session_frame(). */
int rig_frame(struct rig *rig, unsigned idx, const struct frame *frame, uint8_t fill);
struct frame rig_write(struct rig *rig, uint64_t offset, uint32_t length);
struct frame rig_read(uint64_t offset, uint32_t length);
struct frame rig_flush(void);
/* Status of the last reply; UINT_MAX when there is none. */
unsigned rig_status(const struct rig_lane *lane);
/* The lane was refused, is closing, and was told why and which volume. */
void rig_check_refused(const struct rig_lane *lane, enum refusal refusal, const char *part);
/* The store has done one operation of this kind, or failed it. */
void rig_complete(struct rig *rig, enum store_kind kind, int error);

#endif
