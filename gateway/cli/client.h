/* A small blocking client of the replica-server's control protocol (docs/protocol.md), for administration only:
 * HELLO as ADMIN, then one request and one answer at a time. Every wait has a deadline. One thread. */
#ifndef GATEWAY_CLI_CLIENT_H
#define GATEWAY_CLI_CLIENT_H

#include <stdbool.h>

#include "common/compiler.h"
#include "common/err.h"
#include "proto/message.h"

struct client;

/* Resolves, connects and says HELLO; `timeout_ms` covers connecting and each answer after it, not the resolver, which
 * has its own limits (resolv.conf(5)). 0, or with "ADDRESS: reason; next step": -EHOSTUNREACH (does not resolve),
 * -ECONNREFUSED, -ETIMEDOUT, -EPROTONOSUPPORT (versions), -EPROTO (not a replica-server), a refusal as below. */
int client_open(const char *address, int timeout_ms, struct client **ret, struct err *err) must_check;
void client_close(struct client *client);

/* Lent until client_close(). */
const struct message_welcome *client_welcome(const struct client *client);
const char *client_address(const struct client *client);

/* One request. 0 and an answer of kind `expected`, lent until the next call; or the server's refusal as an errno with
 * its text: -EEXIST, -ENOENT, -EBUSY (in use), -ENOSPC, -EUSERS (a limit), -EPROTONOSUPPORT, -EREMOTEIO (all others);
 * or -ECONNRESET, -ETIMEDOUT, -EPROTO. After anything but 0 and a refusal the client only serves to be closed. */
int client_call(struct client *client, const struct message *request, enum message_kind expected,
		const struct message **ret, struct err *err) must_check;

/* Walks all replicas of the server, page by page. `each` returns false to stop. Same errors as client_call(). */
int client_list(struct client *client, bool (*each)(void *ctx, const struct replica_info *info), void *ctx,
		struct err *err) must_check;

#endif
