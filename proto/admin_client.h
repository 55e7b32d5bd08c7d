/* The client's side of the gateway's admin socket: connect, ask, wait, with one deadline for all of it. */
#ifndef PROTO_ADMIN_CLIENT_H
#define PROTO_ADMIN_CLIENT_H

#include "common/compiler.h"
#include "common/err.h"
#include "proto/admin.h"

/* One request on a new connection to the unix socket `path`; blocks at most `timeout_ms`.
 * 0: a reply came, also when its kind is ADMIN_REFUSED (look at reply->kind, ->error and ->text).
 * -ENOENT no socket, -ECONNREFUSED nobody listens (a killed gateway's socket), -EACCES not allowed, -ETIMEDOUT,
 * -EPROTO nonsense came back, or another errno; each with a sentence in `err`.
 * ADMIN_DETACH is answered when the device is gone and the data is durable, or with a refusal. */
int admin_client_call(const char *path, const struct admin_request *request, int timeout_ms, struct admin_reply *ret,
		      struct err *err) must_check;

#endif
