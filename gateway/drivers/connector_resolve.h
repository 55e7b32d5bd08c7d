/* Host names to addresses without blocking the control thread: getaddrinfo(3) on a short-lived thread per name, at most
 * RESOLVE_THREADS_MAX at a time. Numeric addresses need no thread and are answered at once.
 *
 * Control thread only. A name that never resolves costs its thread until the resolver library gives up; closing the
 * resolver does not wait for it.
 */
#ifndef GATEWAY_DRIVERS_CONNECTOR_RESOLVE_H
#define GATEWAY_DRIVERS_CONNECTOR_RESOLVE_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"

struct addrinfo;
struct ev_loop;
struct resolver;

#define RESOLVE_THREADS_MAX 8u

/* `list` is NULL and `error` set when the name has no address; else the receiver takes it (freeaddrinfo(3)). `token` is
 * that of resolver_ask(). */
typedef void resolver_done_fn(void *ctx, uint64_t token, struct addrinfo *list, const struct err *error);

/* NULL with `err`. */
struct resolver *resolver_new(struct ev_loop *loop, resolver_done_fn *done, void *ctx, struct err *err);
/* Questions still open are forgotten. NULL is fine. */
void resolver_free(struct resolver *resolver);

/* `address` as in common/address.h. `done` may be called before this returns. A question cannot be taken back: the
 * asker ignores tokens it no longer waits for. */
void resolver_ask(struct resolver *resolver, const char *address, uint64_t token);

#endif
