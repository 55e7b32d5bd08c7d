/* One connection of a gateway to one replica, as the core sees it. The driver's connection embeds it.
 *
 * REPLICA_LANE_MAIN carries control messages, writes, small reads and flushes; REPLICA_LANE_BULK large reads, answered
 * strictly in order. The core owns what is below; the driver fills `ops`, `role` and `replica` and calls lane_init().
 * One thread.
 */
#ifndef REPLICA_SERVER_CORE_LANE_H
#define REPLICA_SERVER_CORE_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/list.h"
#include "proto/frame.h"
#include "proto/message.h"

struct io_buf;
struct replica_lane;
struct replica;

/* A peer that does not read its answers keeps at most this much of the thread's buffers from others. */
#define LANE_BUFFER_BYTES_MAX (8 * MIB)

enum lane_role { REPLICA_LANE_MAIN, REPLICA_LANE_BULK };

struct lane_ops {
	/* Queues a reply header and, for a READ with bytes, its payload. Takes `payload` (NULL: none) and gives it to
	 * lane_put_payload() when it has been sent or the connection is gone. */
	void (*reply)(struct replica_lane *lane, const struct frame *reply, struct io_buf *payload);
	/* Queues a control message (copied). */
	void (*message)(struct replica_lane *lane, const struct message *message);
	/* Sends what is queued, then closes. More input is not looked at. */
	void (*finish)(struct replica_lane *lane);
	/* Closes at once. Both end in replica_lane_closed(), later, never inside the call, when nothing of the
	 * connection touches a buffer any more. */
	void (*close)(struct replica_lane *lane, const char *reason);
};

/* PROMISE, ACCEPT, OPEN and JOIN wait here for their turn: one at a time a replica. */
struct control_request {
	enum message_kind kind;
	struct ballot ballot;
	uint32_t session;
	struct config config;
};

struct replica_lane {
	const struct lane_ops *ops;
	enum lane_role role;
	struct replica *replica;
	bool control_pending;  /* PROMISE, ACCEPT, OPEN or JOIN is owed its answer: no other control message until then
				*/
	bool control_deferred; /* ... and waits for the answers before it */
	bool data_blocked;     /* ... and it decides whose data frames are served: none is offered until then */
	bool ending;	       /* finish() or close() was called */
	struct list node;      /* the replica's lanes */
	struct list control_node;
	struct control_request control;
	struct list voters; /* of voter.c, in order of arrival, until answered */
	uint32_t voter_count;
	struct list requests; /* of session.c, in order of arrival, until answered */
	uint32_t request_count;
	uint64_t held_bytes; /* buffers taken for it, until reply()'s payload was put back: lane_put_payload() */
	struct frame batch;  /* the batch that is being unpacked */
	uint32_t batch_left; /* its bytes still to come; 0: no batch */
};

/* May the driver offer a control message now? Else later, after an answer or a close. */
bool lane_takes_control(const struct replica_lane *lane);
/* A payload taken by reply() is no longer needed. Before replica_lane_closed(). */
void lane_put_payload(struct replica_lane *lane, struct io_buf *payload);

#endif
