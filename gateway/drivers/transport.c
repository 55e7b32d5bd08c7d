/* Plain TCP: a connected socket is a usable stream at once. The seam for TLS between connector.c, which makes sockets,
 * and the lanes, which use streams. Knows no frames, no letters, no ring. */
#include "gateway/drivers/transport.h"

#include "common/net.h"

void transport_start(struct transport *transport, struct ev_loop *loop, int fd, transport_done_fn *done, void *ctx)
{
	transport->loop = loop;
	transport->fd = fd;
	done(ctx, 0, NULL);
}

void transport_cancel(struct transport *transport)
{
	transport->fd = -1;
}

int transport_break(int fd)
{
	return net_abort(fd);
}
