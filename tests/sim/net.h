/* Simulated TCP: each connection is two streams of bytes, delivered in order and in pieces that may end anywhere.
 *
 * A stream holds copied bytes and references to payloads of the gateway: those are sampled when they are delivered, as
 * SEND_ZC's pages are, not when they are sent. A connection that its gateway gives up keeps a prefix of what was on its
 * way, which may still arrive long after the next connection was made.
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/core/engine.h"
#include "tests/sim/geometry.h"

#define SIM_CONNS_MAX 256u
#define SIM_DELIVER_MAX 65536u

struct world;

enum direction { TO_SERVER, TO_GATEWAY };

struct segment {
	uint32_t length;
	uint32_t borrow; /* index + 1 of the gateway's borrow; 0: plain bytes */
	uint32_t done;	 /* bytes of it that have left */
};

struct stream {
	uint8_t *bytes;
	size_t head, tail, capacity;
	struct segment *segments;
	size_t first, last, segment_capacity;
	uint64_t queued;
	bool has_ended;	   /* nothing follows: end of stream or reset */
	bool is_scheduled; /* a delivery is in the heap */
	bool is_full;	   /* the receiver takes no more for now */
	uint64_t not_before_ns;
};

struct conn {
	bool is_used;
	uint64_t serial;
	unsigned gateway, leg, server;
	enum lane lane;
	bool gateway_open, server_open;
	bool is_lying; /* the fault that repeats a reply has struck it */
	unsigned server_lane;
	struct stream streams[2];
};

struct net {
	struct conn conns[SIM_CONNS_MAX];
	uint64_t serial;
	bool is_blocked[2][SIM_SERVERS_MAX][2]; /* gateway, server, direction */
	uint8_t scratch[SIM_DELIVER_MAX];
};

void net_reset(struct net *net);
void net_fini(struct net *net);

/* A connection between both ends, open at both. NULL: too many. */
struct conn *net_connect(struct world *world, unsigned gateway, unsigned leg, enum lane lane);
unsigned net_index(const struct world *world, const struct conn *conn);

void stream_add(struct stream *stream, const void *bytes, size_t length);
void stream_add_borrow(struct stream *stream, uint32_t borrow, uint32_t length);
/* Something was added, or the receiver has room again: see to it that it is delivered. */
void net_kick(struct world *world, struct conn *conn, enum direction direction);
void net_deliver(struct world *world, struct conn *conn, enum direction direction);

/* The gateway's end is gone (aborted or dead): a prefix of what was queued stays on its way, sampled now. */
void net_gateway_leaves(struct world *world, struct conn *conn);
/* The server's end is gone. `keep_all`: what was sent still arrives, as after shutdown(). */
void net_server_leaves(struct world *world, struct conn *conn, bool keep_all);
/* Neither end hears anything, as when the server's host loses power. */
void net_server_vanishes(struct world *world, struct conn *conn);
/* The host answers again, and knows nothing of the connections of its last life. */
void net_host_is_back(struct world *world, unsigned server);
/* The network breaks it: both ends learn of it, each in its time. */
void net_cut(struct world *world, struct conn *conn);

void net_block(struct world *world, unsigned gateway, unsigned server, enum direction direction, bool blocked);

#endif
