/* What must happen between a connected TCP socket and a byte stream the data thread may use, and how such a stream is
 * broken. Today: plain TCP, where nothing must happen. TLS (kernel TLS after a handshake) goes here and nowhere else.
 */
#ifndef GATEWAY_DRIVERS_TRANSPORT_H
#define GATEWAY_DRIVERS_TRANSPORT_H

#include "common/compiler.h"

struct ev_loop;
struct transport;

/* `error` is 0 or a negative errno with a static `reason`. The transport is over; the descriptor stays the caller's. */
typedef void transport_done_fn(void *ctx, int error, const char *reason);

/* Control thread. Begins on a connected, non-blocking `fd` (borrowed until done or cancelled); `done` comes later or
 * before this returns. */
void transport_start(struct transport *transport, struct ev_loop *loop, int fd, transport_done_fn *done, void *ctx);
/* Gives up; `done` does not come. Harmless when nothing is under way. */
void transport_cancel(struct transport *transport);

/* Any thread. Breaks the stream at once and drops what was not sent, as net_abort() does (common/net.h); the descriptor
 * stays open. 0; or -errno when this kind of stream cannot be broken so, and its operations must be cancelled. */
int transport_break(int fd) must_check;

/* Embedded by its owner; all fields are the transport's own. */
struct transport {
	struct ev_loop *loop;
	int fd;
};

#endif
