/* The admin socket's server: accepts, checks who asks, takes requests apart, sends replies. What a request means is the
 * control thread's business (control.c). libev; control thread only. Clients, their requests and their patience are
 * bounded: a bad client loses its connection, nothing else. */
#ifndef GATEWAY_DRIVERS_ADMIN_H
#define GATEWAY_DRIVERS_ADMIN_H

#include "common/compiler.h"
#include "common/err.h"
#include "proto/admin.h"

struct admin;
struct ev_loop;

#define ADMIN_CLIENTS_MAX 16u
#define ADMIN_IDLE_S 30. /* a connection without a request is closed after so long */

/* Called for each request; answered by admin_reply() or, for all that wait for the same, admin_reply_all(). */
typedef void admin_handler(void *ctx, unsigned client, const struct admin_request *request);

/* Listens at `path` (mode 0600). A socket that nobody listens to is replaced; -EADDRINUSE: somebody does. */
int admin_new(const char *path, struct ev_loop *loop, admin_handler *handler, void *ctx, struct admin **ret,
	      struct err *err) must_check;
/* Sends what is still to be sent (a moment at most), closes all, removes the socket. NULL is fine. */
void admin_free(struct admin *admin);

/* Another one for each connection that had the client's place: who answers later compares. */
unsigned admin_client_serial(const struct admin *admin, unsigned client);

/* To one client, if it still waits. Copies. */
void admin_reply(struct admin *admin, unsigned client, const struct admin_reply *reply);
/* To all clients whose outstanding request is of `kind`. */
void admin_reply_all(struct admin *admin, enum admin_request_kind kind, const struct admin_reply *reply);

#endif
