/* A gateway's connection on its data thread: bytes in, frames to the core, replies out.
 *
 * Input goes into one large buffer (many small frames a receive); what a large write still lacks is received straight
 * into its page-aligned buffer, and after such a write only the next header is asked for, so that its payload goes
 * there whole. Nothing is read while a bounded resource is short: the peer's TCP window is the queue. Data thread only.
 */
#ifndef REPLICA_SERVER_DRIVERS_CONN_H
#define REPLICA_SERVER_DRIVERS_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"
#include "proto/message.h"
#include "replica-server/core/lane.h"
#include "replica-server/core/voter.h"
#include "replica-server/drivers/out_queue.h"

struct data_thread;
struct io_uring_cqe;
struct served;

#define CONN_IN_BYTES (320 * KIB) /* a whole batch of the largest size, and then some */

#define CONTROL_IDS (LANE_VOTER_MAX + 2) /* one more than a lane takes, for the one that is refused */

enum conn_state {
	CONN_OPEN,
	CONN_FINISHING, /* sends what is queued, then says so by FIN, then waits for the peer's */
	CONN_CLOSING,	/* shut down; waits for the ring to let go of its memory */
};

/* What the completion in flight was for; in user_data beside the connection's number. */
enum conn_event { CONN_EVENT_RECV = 1, CONN_EVENT_SEND };

struct conn {
	struct replica_lane lane;
	struct data_thread *thread;
	struct list node;      /* the thread's connections */
	struct list work_node; /* those with something to do this turn */
	struct list wait_node; /* those that wait for a bounded resource */
	uint32_t number;       /* in the thread's table */
	int fd;
	enum conn_state state;
	char client[64]; /* for the log */
	const char *close_reason;
	/* Receiving. */
	uint8_t *in;
	uint32_t in_start, in_end;
	bool recv_armed, recv_is_payload;
	bool header_only; /* the last write was large: the next one probably is too */
	struct served *receiving;
	uint32_t received;		   /* bytes of its payload in place */
	uint32_t discard_left;		   /* payload bytes of a refused write still to be thrown away */
	uint64_t control_ids[CONTROL_IDS]; /* of the control requests not yet answered, from `control_first` */
	uint32_t control_first, control_count;
	bool control_held; /* the next frame is a control message, and the lane takes none now */
	/* Sending. */
	struct out_queue out;
	bool send_armed;
	bool send_short;	/* the last quick send left something: the next one waits for the socket */
	uint64_t send_bytes;	/* in the send that is armed */
	struct list quick_node; /* the thread's quick sends of this turn */
	uint64_t deadline_ns;	/* FINISHING: when patience ends; 0: not yet running */
	uint64_t moved_bytes;	/* either way, when it was last found to keep others waiting; 0: it was not */
};

/* Takes `fd` when it succeeds. The connection greets and is attached to the replica. NULL: no memory. */
struct conn *conn_new(struct data_thread *thread, int fd, struct replica *replica, enum lane_role role,
		      const struct message_hello *hello, uint64_t hello_id);
void conn_on_cqe(struct conn *conn, enum conn_event event, const struct io_uring_cqe *cqe);
/* Looks at what has been received. */
void conn_parse(struct conn *conn);
/* Does anything go on when the send that is under way is done? Then its silence must be looked at before sleeping. */
bool conn_awaits_send(const struct conn *conn);
/* Every second or so. When others wait for memory, a connection that keeps some until its peer reads or sends, and on
 * which nothing moved since the last time, is closed. */
void conn_judge(struct conn *conn, bool others_wait);
/* The kernel took the quick send whole and so says nothing. */
void conn_quick_sent(struct conn *conn);
/* End of a turn: sends, receives, closes as far as possible. True: the connection is gone and freed. */
bool conn_kick(struct conn *conn, uint64_t now_ns);

#endif
