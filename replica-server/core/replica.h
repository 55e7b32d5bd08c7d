/* One replica: its promise, its accepted config, its session, its health (replication.md R1, R2). Or one witness: the
 * same without data, stamps and session.
 *
 * Control messages in, answers out through the lane; superblock writes through the store. PROMISE, ACCEPT, OPEN and
 * JOIN are served one at a time, in order of arrival; each is answered when what it changed is durable and, for a
 * higher promise and for OPEN, when the older session has drained. The other requests are voter.c's. Everything happens
 * on the replica's data thread (or in the simulator); no clock, no randomness: both are passed in.
 */
#ifndef REPLICA_SERVER_CORE_REPLICA_H
#define REPLICA_SERVER_CORE_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"
#include "proto/message.h"
#include "replica-server/core/lane.h"
#include "replica-server/core/session.h"
#include "replica-server/core/stamps.h"
#include "replica-server/core/superblock.h"
#include "replica-server/core/unstable.h"
#include "replica-server/core/voter.h"

#define REPLICA_HEALTH_MAX 127u
#define UNSTABLE_EXTENTS_DEFAULT 65536u

/* Never changes; may be read from any thread. */
struct replica_identity {
	char volume_name[VOLUME_NAME_MAX + 1];
	struct uuid volume_uuid, set_uuid, replica_uuid;
	uint32_t set_index;
	uint32_t block_bytes;
	uint64_t set_bytes;
	bool is_witness; /* votes, holds nothing */
};

/* Of the server process. */
struct server_identity {
	uint64_t incarnation;
	struct uuid boot_id;
	uint64_t started_ns; /* on the clock of replica->now_ns: leases granted before it are forgotten, not over */
};

/* FAILED: a sync failed, no data is served any more until a restart. It still votes, unless its superblock failed. */
enum replica_state { REPLICA_SERVING, REPLICA_FAILED };

/* Data could not be made durable, sb.failed_syncs counts it: does the superblock on disk say so? */
enum replica_mark { MARK_NONE, MARK_DUE, MARK_WRITING, MARK_DURABLE };

struct replica {
	struct replica_identity identity;
	const struct server_identity *server;
	struct store *store;
	struct served_pool *pool;
	struct superblock sb; /* as in memory: never behind what was answered, perhaps ahead of the disk */
	struct uuid boot_id;  /* that it reports: superblock_boot_id() of its start */
	struct stamps stamps;
	struct unstable unstable;
	struct session session;
	uint32_t last_session; /* highest number opened under the current promise */
	struct voter_desk desk;
	enum replica_state state;
	bool superblock_failed; /* what is promised on disk is unknown: no vote either */
	enum replica_mark mark;
	char health[REPLICA_HEALTH_MAX + 1]; /* "ok", or what failed and what to do */
	uint64_t now_s;			     /* seconds since 1970, for the superblock; the driver's to keep */
	uint64_t now_ns;		     /* monotonic, for leases; the driver's, at every control message */
	struct list lanes;
	struct list control_queue; /* lanes whose control request waits */
	bool control_running;
	struct replica_lane *control_lane; /* whose request runs; NULL: it went away meanwhile */
	const struct replica_lane *told;   /* the last that was sent a STATE; NULL: it went away */
	struct control_request control;
	struct store_op meta; /* superblock writes, and the last sync */
	void (*meta_next)(struct replica *replica, int error);
	uint8_t *slot_image; /* SUPERBLOCK_SLOT_BYTES, aligned */
	/* Something that status shows has changed. */
	void (*changed)(struct replica *replica);
	/* replica_stop() is done. */
	void (*stopped)(struct replica *replica);
	bool stopping;
	bool stop_running;
};

struct replica_options {
	const struct server_identity *server; /* borrowed */
	struct store *store;		      /* borrowed until replica_fini() */
	struct served_pool *pool;	      /* borrowed */
	uint32_t unstable_extents;
	void (*changed)(struct replica *replica);
	void (*stopped)(struct replica *replica);
};

/* Takes all memory. The caller then loads stamps (stamps_load_block). 0 or -ENOMEM. */
int replica_init(struct replica *replica, const struct superblock *sb, const struct replica_options *options)
	must_check;
/* No lane may be attached, nothing in flight. Accepts a zeroed struct. */
void replica_fini(struct replica *replica);

void replica_identity_of(const struct superblock *sb, struct replica_identity *ret);
/* Is this HELLO for us? REFUSAL_NONE, or the reason and a sentence in `*ret`. Any thread. */
enum refusal replica_check_hello(const struct replica_identity *identity, const struct message_hello *hello,
				 struct message_refused *ret);

/* A connection whose HELLO was accepted. `lane->ops`, `role` are set. */
void replica_lane_attach(struct replica *replica, struct replica_lane *lane);
/* A control message. Only while lane_takes_control(). Answers and refusals go out through the lane. */
void replica_message(struct replica_lane *lane, const struct message *message);
/* The connection is gone; nothing of it touches memory any more. */
void replica_lane_closed(struct replica_lane *lane);

/* Orderly end: closes all lanes, drains, syncs, writes the clean flag, then `stopped`. */
void replica_stop(struct replica *replica);
/* The store failed in a way that must not be retried into success. */
void replica_fail(struct replica *replica, const char *what, int error);
/* ... when data were to become durable: what was not may be gone, and the superblock remembers it over a restart. */
void replica_fail_data(struct replica *replica, int error);
void replica_session_drained(struct replica *replica);
/* A request finished while the replica stops. */
void replica_stop_progress(struct replica *replica);

void replica_info(const struct replica *replica, struct replica_info *ret);

/* Refuses on a lane and ends it. */
void lane_refuse(struct replica_lane *lane, enum refusal refusal, const struct ballot *seen, const char *format, ...)
	printf_like(4, 5);

#endif
