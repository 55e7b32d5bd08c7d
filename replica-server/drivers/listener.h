/* Listening sockets. Control thread only. */
#ifndef REPLICA_SERVER_DRIVERS_LISTENER_H
#define REPLICA_SERVER_DRIVERS_LISTENER_H

#include "common/compiler.h"
#include "common/err.h"
#include "replica-server/drivers/server.h"

/* "host:port", "[v6]:port", ":port" or "host" (port 7420). Adds one listener for each address the name has, at most
 * LISTENERS_MAX in all. 0, -EADDRINUSE, -EINVAL, ... with a sentence. */
int listener_open(struct server *server, const char *address, struct err *err) must_check;
void listeners_start(struct server *server);
void listeners_close(struct server *server);

#endif
