/* A data thread: one ring, its connections, its replicas. All connections of a volume are on one thread, so that no
 * request ever takes a lock. Other threads speak to it by letters. */
#ifndef REPLICA_SERVER_DRIVERS_DATA_THREAD_H
#define REPLICA_SERVER_DRIVERS_DATA_THREAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/list.h"
#include "common/mailbox.h"
#include "common/uring.h"
#include "proto/message.h"
#include "replica-server/core/replica.h"
#include "replica-server/core/session.h"
#include "replica-server/drivers/buffers.h"
#include "replica-server/drivers/conn.h"
#include "replica-server/drivers/hosted.h"
#include "replica-server/drivers/store_file.h"

#define CONNECTIONS_MAX 512u /* of one server, all threads */

/* Letters to a data thread. */
enum data_letter {
	DATA_CONNECT = 1, /* fd, data: struct handover, taken */
	DATA_ADD,	  /* data: struct hosted, the thread's until removed */
	DATA_REMOVE,	  /* data: struct hosted; answered by CONTROL_REMOVED or CONTROL_IN_USE */
	DATA_STATS,	  /* answered by CONTROL_STATS: data_thread_stats() is fresh */
	DATA_STOP,	  /* ends in CONTROL_STOPPED */
};

/* Letters to the control thread. */
enum control_letter {
	CONTROL_REMOVED = 1, /* data: struct hosted, given back */
	CONTROL_IN_USE,	     /* data: struct hosted; a session is open, it stays */
	CONTROL_STATS,	     /* a: number of the thread */
	CONTROL_STOPPED,     /* a: number of the thread */
};

/* A connection whose HELLO was read and accepted. */
struct handover {
	struct hosted *hosted;
	enum lane_role role;
	struct message_hello hello;
	uint64_t hello_id;
};

struct thread_counters {
	uint64_t recvs, sends, bytes_in, bytes_out;
};

/* Copied out when asked for, and at the end. */
struct thread_stats {
	struct session_counters sessions;
	struct store_counters store;
	struct thread_counters net;
	uint64_t sqes, cqes, enters, polls, poll_hits;
};

struct data_thread {
	unsigned idx;
	pthread_t pthread;
	struct mailbox *mailbox;
	struct mailbox *control; /* borrowed: the control thread's */
	const struct server_identity *server;
	const char *server_name;
	atomic_uint *conn_count; /* of the whole server */
	size_t buffer_bytes;
	struct busy_poll busy_poll;
	const int *locked_fds; /* the ring keeps them open as long as an operation of it is under way, a killed one's
				  too */
	unsigned locked_count;
	sem_t started;
	struct err start_error;
	/* The thread's own. */
	struct ring ring;
	struct buffers buffers;
	struct store_queue store;
	struct served_pool pool;
	struct conn *conns[CONNECTIONS_MAX];
	struct list conn_list, work, waiting, quick, replicas;
	bool resource_freed;
	bool stopping;
	unsigned finishing_count;
	struct message message; /* scratch for control messages */
	struct thread_counters counters;
	struct session_counters gone; /* of replicas that were removed */
	pthread_mutex_t stats_lock;
	struct thread_stats stats;
};

/* Starts the thread and waits until its ring stands. The fields before `started` are set. */
int data_thread_start(struct data_thread *thread, struct err *err) must_check;
/* After CONTROL_STOPPED. */
void data_thread_join(struct data_thread *thread);
/* Any thread. */
void data_thread_stats(struct data_thread *thread, struct thread_stats *ret);

/* For conn.c. */
void data_thread_touch(struct data_thread *thread, struct conn *conn);
void data_thread_wait(struct data_thread *thread, struct conn *conn);
void data_thread_forget(struct data_thread *thread, struct conn *conn);
void data_thread_resource_freed(struct data_thread *thread);
uint64_t data_thread_conn_ud(const struct conn *conn, enum conn_event event);
struct message *data_thread_message(struct data_thread *thread);
void data_thread_welcome(const struct data_thread *thread, const struct message_hello *hello,
			 struct message_welcome *ret);

/* data_letters.c: between the loop and the mailbox. */
void data_thread_read_letters(struct data_thread *thread);
void data_thread_tell(struct data_thread *thread, enum control_letter kind, struct hosted *hosted);
void data_thread_publish_stats(struct data_thread *thread);

#endif
