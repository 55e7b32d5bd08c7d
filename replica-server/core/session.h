/* The session: frames of one gateway's lanes in, store operations out, replies back.
 *
 * At most one session a replica, under one (ballot, number); it is drained before the next one opens. Here live the
 * checks of every data frame, the order of FLUSH against writes, FUA, stamps before data, in-order replies of the bulk
 * lane. Frames come from the driver, payload goes straight into the request's buffer. One thread, no allocation after
 * init.
 */
#ifndef REPLICA_SERVER_CORE_SESSION_H
#define REPLICA_SERVER_CORE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"
#include "proto/config.h"
#include "proto/frame.h"
#include "proto/status.h"
#include "replica-server/core/store.h"

struct replica_lane;
struct replica;

enum served_state {
	SERVED_RECEIVING, /* payload is arriving */
	SERVED_STAMPING,  /* waits for its stamp to be durable */
	SERVED_STORING,	  /* with the store */
	SERVED_WAITING,	  /* FLUSH: writes before it are still running, or the sync is */
	SERVED_ANSWERED,  /* bulk lane: done, but an older request of the lane is not */
};

/* One request being served. */
struct served {
	struct list node;      /* the pool's free list, session->changes or session->flushes */
	struct list lane_node; /* lane->requests */
	struct list stamp_node;
	struct replica_lane *lane; /* NULL: the connection is gone, the answer is dropped */
	struct replica *replica;
	struct served_pool *pool;
	enum served_state state;
	struct frame frame; /* the request; `session` filled in for those of a batch */
	uint64_t arrival;
	uint64_t stamp_cycle;
	struct io_buf *buf;
	struct frame reply;
	struct store_op op;
};

/* Requests of one data thread. */
struct served_pool {
	struct served *all;
	struct list free;
	uint32_t free_count;
};
int served_pool_init(struct served_pool *pool, uint32_t count) must_check;
void served_pool_fini(struct served_pool *pool);

enum session_state { SESSION_CLOSED, SESSION_OPEN, SESSION_DRAINING };

struct session_counters {
	uint64_t frames, writes, reads, flushes, discards, zeroes, pings;
	uint64_t write_bytes, read_bytes;
	uint64_t short_reads, refused, errors;
};

struct session {
	enum session_state state;
	struct ballot ballot;
	uint32_t number;
	struct replica_lane *main, *bulk;
	uint32_t inflight; /* requests not finished, of this session */
	uint64_t arrivals;
	struct list changes;  /* WRITE, DISCARD, ZEROES in order of arrival, until the store is done */
	struct list flushes;  /* waiting */
	struct list syncing;  /* flushes that the running sync answers */
	struct list stamping; /* changes that wait for a stamp */
	bool sync_running;
	struct store_op sync;
	struct session_counters counters;
};

void session_init(struct session *session);

/* A frame of the lane, its header decoded, its payload (if any) not yet read. 0: taken. Then, if `*ret` is not NULL,
 * frame->length bytes go to (*ret)->buf->data and session_payload() follows; if it is NULL, a payload is discarded.
 * -EAGAIN: a bounded resource is used up, nothing has happened, offer the frame again later.
 * -EPROTO with `*ret_reason` (static): nonsense; refuse and close the connection. */
int session_frame(struct replica_lane *lane, const struct frame *frame, struct served **ret, const char **ret_reason)
	must_check;
/* All payload bytes are in place. */
void session_payload(struct served *served);

/* The replica's part. */
void session_open(struct session *session, struct ballot ballot, uint32_t number, struct replica_lane *main);
/* Nothing of the session is accepted any more; its lanes but `except` are closed. replica_session_drained() follows, at
 * once or later, when they are gone and no request is left. */
void session_drain(struct replica *replica, struct replica_lane *except, const char *reason);
void session_lane_closed(struct replica_lane *lane);
/* Stamps became durable (or failed). */
void session_stamps_advanced(struct replica *replica);
/* No lane and no request of it is left. */
bool session_is_quiet(const struct session *session);

#endif
