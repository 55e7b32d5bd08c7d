/* A connection that has not said who it is, or that administers. Bounded in number, time and memory: a header and one
 * HELLO are read exactly, so that what follows stays in the socket for the data thread.
 *
 * Here a socket becomes a byte stream: intake_new() goes on to intake_stream_ready(), and a transport that has to
 * shake hands first will stand between the two. Control thread only. */
#ifndef REPLICA_SERVER_DRIVERS_INTAKE_H
#define REPLICA_SERVER_DRIVERS_INTAKE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "replica-server/drivers/server.h"

#define HELLO_BYTES_MAX 4096u
#define HELLO_DEADLINE_S 5.0
#define ADMIN_IDLE_S 60.0

enum intake_state {
	INTAKE_HELLO,	/* waits for HELLO */
	INTAKE_ADMIN,	/* waits for a request */
	INTAKE_BUSY,	/* a request waits for a data thread */
	INTAKE_SENDING, /* an answer is on its way out */
	INTAKE_ENDING,	/* refused: waits for the peer to close */
};

struct intake {
	struct list node;
	struct server *server;
	struct ev_io io;
	struct ev_timer deadline;
	int fd;
	enum intake_state state;
	bool end_after_send;
	char peer[64];
	uint8_t header[FRAME_BYTES];
	struct frame frame;
	uint8_t *payload; /* of the message being received or sent */
	uint32_t have;	  /* bytes of header and payload received */
	uint8_t *out;
	uint32_t out_len, out_sent;
	struct uuid deleting; /* BUSY: which replica */
};

/* Takes `fd`. Closes it at once when there are too many. */
void intake_new(struct server *server, int fd, const char *peer);
void intake_free(struct intake *intake);

/* Answers; then the connection waits for the next request, or ends. */
void intake_send(struct intake *intake, const struct message *message, bool end_after_send);
void intake_refuse(struct intake *intake, enum refusal refusal, bool end_after_send, const char *format, ...)
	printf_like(4, 5);

/* admin.c: a request of an administrator; a letter of a data thread about a DELETE. */
void admin_request(struct intake *intake, const struct message *message);
void admin_removed(struct server *server, struct hosted *hosted);
void admin_in_use(struct server *server, struct hosted *hosted);

#endif
