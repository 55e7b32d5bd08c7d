/* The server's control side: replicas by name, data threads, listeners, signals. Everything here is the control
 * thread's (libev); data threads are spoken to by letters. */
#ifndef REPLICA_SERVER_DRIVERS_SERVER_H
#define REPLICA_SERVER_DRIVERS_SERVER_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/list.h"
#include "common/mailbox.h"
#include "replica-server/core/replica.h"
#include "replica-server/drivers/data_thread.h"
#include "replica-server/drivers/hosted.h"
#include "replica-server/drivers/opts.h"

#define PENDING_MAX 128u /* connections that have not said HELLO, or administer */

struct server;

struct listener {
	struct ev_io io;       /* data: the server */
	struct ev_timer pause; /* after the process ran out of something; data: the listener */
	int fd;
	char address[ADDRESS_CHARS_MAX + 1];
};

struct server {
	const struct opts *opts;
	struct ev_loop *loop;
	struct server_identity identity;
	char name[64]; /* "host:pid", for the peers' logs */
	int root_fds[DATA_ROOTS_MAX];
	unsigned root_count;
	struct list replicas; /* struct hosted */
	unsigned replica_count;
	struct data_thread *threads[DATA_THREADS_MAX];
	unsigned thread_count;
	struct mailbox *mailbox;
	struct listener listeners[LISTENERS_MAX];
	unsigned listener_count;
	struct list pending; /* struct intake */
	unsigned pending_count;
	atomic_uint conn_count;
	unsigned stats_awaited, stops_awaited;
	bool stopping;
	struct ev_io mailbox_io;
	struct ev_signal on_term, on_int, on_usr1;
};

/* Serves until SIGTERM or SIGINT. 0, or -errno and a sentence when it could not start. */
int server_run(const struct opts *opts, struct err *err) must_check;

/* Which thread serves the volume. */
unsigned server_thread_of(const struct server *server, const struct uuid *volume_uuid);

#endif
