/* Streams and connections. Knows bytes, not frames; whose bytes they are is for gateway_lane.c and server_lane.c. */
#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

static void stream_clear(struct stream *stream)
{
	stream->head = stream->tail = 0;
	stream->first = stream->last = 0;
	stream->queued = 0;
}

static void stream_reset(struct stream *stream)
{
	stream_clear(stream);
	stream->has_ended = stream->is_scheduled = stream->is_full = false;
	stream->not_before_ns = 0;
}

void net_reset(struct net *net)
{
	for (unsigned i = 0; i < SIM_CONNS_MAX; i++)
		net->conns[i].is_used = false;
	net->serial = 0;
	memset(net->is_blocked, 0, sizeof(net->is_blocked));
}

void net_fini(struct net *net)
{
	for (unsigned i = 0; i < SIM_CONNS_MAX; i++) {
		for (unsigned j = 0; j < 2; j++) {
			free(net->conns[i].streams[j].bytes);
			free(net->conns[i].streams[j].segments);
		}
	}
}

unsigned net_index(const struct world *world, const struct conn *conn)
{
	return (unsigned)(conn - world->net.conns);
}

struct conn *net_connect(struct world *world, unsigned gateway, unsigned leg, enum lane lane)
{
	for (unsigned i = 0; i < SIM_CONNS_MAX; i++) {
		struct conn *conn = &world->net.conns[i];

		if (conn->is_used)
			continue;
		conn->is_used = conn->gateway_open = conn->server_open = true;
		conn->is_lying = false;
		conn->serial = ++world->net.serial;
		conn->gateway = gateway;
		conn->leg = conn->server = leg;
		conn->lane = lane;
		stream_reset(&conn->streams[TO_SERVER]);
		stream_reset(&conn->streams[TO_GATEWAY]);
		return conn;
	}
	return NULL;
}

static void *grown(void *memory, size_t *capacity, size_t needed, size_t size)
{
	while (*capacity < needed)
		*capacity = *capacity ? 2 * *capacity : 64;
	memory = realloc(memory, *capacity * size);
	if (!memory)
		abort();
	return memory;
}

static struct segment *segment_add(struct stream *stream, uint32_t borrow, uint32_t length)
{
	struct segment *last = stream->last > stream->first ? &stream->segments[stream->last - 1] : NULL;

	if (last && !borrow && !last->borrow) {
		last->length += length;
		return last;
	}
	if (!stream->segments || stream->last == stream->segment_capacity)
		stream->segments =
			grown(stream->segments, &stream->segment_capacity, stream->last + 1, sizeof(*stream->segments));
	stream->segments[stream->last] = (struct segment){.length = length, .borrow = borrow};
	return &stream->segments[stream->last++];
}

void stream_add(struct stream *stream, const void *bytes, size_t length)
{
	if (stream->has_ended || length == 0)
		return;
	if (stream->tail + length > stream->capacity)
		stream->bytes = grown(stream->bytes, &stream->capacity, stream->tail + length, 1);
	memcpy(stream->bytes + stream->tail, bytes, length);
	stream->tail += length;
	stream->queued += length;
	(void)segment_add(stream, 0, (uint32_t)length);
}

void stream_add_borrow(struct stream *stream, uint32_t borrow, uint32_t length)
{
	if (stream->has_ended)
		return;
	stream->queued += length;
	(void)segment_add(stream, borrow, length);
}

/* Takes `length` bytes, sampling what is borrowed. */
static void stream_take(struct world *world, struct conn *conn, struct stream *stream, uint8_t *out, size_t length)
{
	stream->queued -= length;
	while (length) {
		struct segment *segment = &stream->segments[stream->first];
		uint32_t left = segment->length - segment->done;
		uint32_t n = left < length ? left : (uint32_t)length;

		if (segment->borrow) {
			gateway_sample(world, conn->gateway, segment->borrow, segment->done, out, n);
		} else {
			memcpy(out, stream->bytes + stream->head, n);
			stream->head += n;
		}
		segment->done += n;
		out += n;
		length -= n;
		if (segment->done < segment->length)
			return;
		if (segment->borrow)
			gateway_sent(world, conn->gateway, segment->borrow);
		stream->first++;
	}
	if (stream->queued == 0)
		stream_clear(stream);
}

static bool receiver_is_open(const struct conn *conn, enum direction direction)
{
	return direction == TO_SERVER ? conn->server_open : conn->gateway_open;
}

static void schedule(struct world *world, struct conn *conn, enum direction direction, uint64_t delay_ns)
{
	struct stream *stream = &conn->streams[direction];
	uint32_t process = direction == TO_SERVER ? PROCESS_SERVER(conn->server) : PROCESS_GATEWAY(conn->gateway);

	if (stream->not_before_ns > world->now_ns + delay_ns)
		delay_ns = stream->not_before_ns - world->now_ns;
	stream->is_scheduled = true;
	world_post(world, delay_ns,
		   (struct event){.kind = EVENT_DELIVER,
				  .process = process,
				  .a = net_index(world, conn),
				  .b = direction,
				  .serial = conn->serial});
}

void net_kick(struct world *world, struct conn *conn, enum direction direction)
{
	struct stream *stream = &conn->streams[direction];

	if (stream->is_scheduled || stream->is_full || !receiver_is_open(conn, direction))
		return;
	if (stream->queued || stream->has_ended)
		schedule(world, conn, direction, world_delay(world, world->options.net_us));
}

static size_t piece(struct world *world, const struct conn *conn, enum direction direction)
{
	uint64_t n = conn->streams[direction].queued;
	size_t room = direction == TO_SERVER ? server_room(world, conn) : SIM_DELIVER_MAX;

	if (n > SIM_DELIVER_MAX)
		n = SIM_DELIVER_MAX;
	if (n && random_chance(&world->random, world->options.chop_pm))
		n = 1 + random_below(&world->random, n);
	return n < room ? (size_t)n : room;
}

static void tell_end(struct world *world, struct conn *conn, enum direction direction)
{
	if (direction == TO_SERVER)
		server_peer_closed(world, conn);
	else
		gateway_peer_closed(world, conn);
}

void net_deliver(struct world *world, struct conn *conn, enum direction direction)
{
	struct stream *stream = &conn->streams[direction];
	uint8_t *scratch = world->net.scratch;
	uint64_t serial = conn->serial;
	size_t n;

	stream->is_scheduled = false;
	if (!receiver_is_open(conn, direction) || world->net.is_blocked[conn->gateway][conn->server][direction])
		return;
	if (stream->not_before_ns > world->now_ns) {
		schedule(world, conn, direction, 0);
		return;
	}
	n = piece(world, conn, direction);
	stream->is_full = n == 0 && stream->queued;
	if (n) {
		stream_take(world, conn, stream, scratch, n);
		if (direction == TO_SERVER)
			server_receive(world, conn, scratch, n);
		else
			gateway_receive(world, conn, scratch, n);
	}
	if (!conn->is_used || conn->serial != serial || !receiver_is_open(conn, direction) || stream->is_full)
		return;
	if (stream->queued == 0 && stream->has_ended)
		tell_end(world, conn, direction);
	else if (!stream->is_scheduled && stream->queued)
		schedule(world, conn, direction, world_delay(world, world->options.net_us / 8));
}

static void free_if_over(struct conn *conn)
{
	if (conn->gateway_open || conn->server_open)
		return;
	conn->is_used = false;
	conn->serial = 0;
}

/* How much of what is on its way gets there: nothing, everything, or up to any byte. */
static uint64_t prefix(struct world *world, uint64_t queued)
{
	uint64_t dice = random_below(&world->random, 4);

	return dice == 0 ? 0 : dice == 1 ? queued : random_below(&world->random, queued + 1);
}

/* Borrowed payloads become bytes: nobody may look at the request's memory later. */
static void keep_prefix(struct world *world, struct conn *conn, struct stream *stream)
{
	uint64_t keep = prefix(world, stream->queued);
	uint8_t *bytes = keep ? malloc(keep) : NULL;

	if (keep && !bytes)
		abort();
	if (keep)
		stream_take(world, conn, stream, bytes, keep);
	stream_clear(stream);
	stream_add(stream, bytes, keep);
	free(bytes);
}

static void delay_tail(struct world *world, struct stream *stream)
{
	stream->has_ended = true;
	if (!random_chance(&world->random, world->options.zombie_pm))
		return;
	world->counters.frames_zombie += stream->queued > 0;
	stream->not_before_ns = world->now_ns + random_below(&world->random, 4 * world->options.outage_ms * SIM_MS + 1);
}

void net_gateway_leaves(struct world *world, struct conn *conn)
{
	struct stream *stream = &conn->streams[TO_SERVER];

	if (!conn->gateway_open)
		return;
	if (conn->server_open && !stream->has_ended) {
		keep_prefix(world, conn, stream);
		delay_tail(world, stream);
	} else if (conn->server_open) {
		keep_prefix(world, conn, stream); /* cut before: what is left of it is sampled now */
	} else {
		stream_clear(stream);
	}
	stream->has_ended = true;
	conn->gateway_open = false;
	stream_clear(&conn->streams[TO_GATEWAY]);
	if (conn->server_open)
		net_kick(world, conn, TO_SERVER);
	free_if_over(conn);
}

void net_server_leaves(struct world *world, struct conn *conn, bool keep_all)
{
	struct stream *stream = &conn->streams[TO_GATEWAY];

	if (!conn->server_open)
		return;
	conn->server_open = false;
	stream_clear(&conn->streams[TO_SERVER]);
	if (conn->gateway_open && !stream->has_ended) {
		if (!keep_all)
			keep_prefix(world, conn, stream);
		stream->has_ended = true;
		net_kick(world, conn, TO_GATEWAY);
	}
	free_if_over(conn);
}

void net_server_vanishes(struct world *world, struct conn *conn)
{
	conn->server_open = false;
	stream_clear(&conn->streams[TO_SERVER]);
	stream_clear(&conn->streams[TO_GATEWAY]);
	free_if_over(conn);
}

void net_host_is_back(struct world *world, unsigned server)
{
	for (unsigned i = 0; i < SIM_CONNS_MAX; i++) {
		struct conn *conn = &world->net.conns[i];

		if (!conn->is_used || conn->server != server || conn->server_open)
			continue;
		conn->streams[TO_GATEWAY].has_ended = true;
		net_kick(world, conn, TO_GATEWAY);
	}
}

/* The streams end early. What is borrowed stays so until the gateway learns of the end. */
static void cut_stream(struct world *world, struct stream *stream)
{
	uint64_t keep = prefix(world, stream->queued), seen = 0;

	if (stream->has_ended)
		return;
	for (size_t i = stream->first; i < stream->last; i++) {
		struct segment *segment = &stream->segments[i];
		uint64_t left = segment->length - segment->done;

		if (seen + left > keep) {
			segment->length = segment->done + (uint32_t)(keep - seen);
			stream->last = i + (segment->length > segment->done);
			break;
		}
		seen += left;
	}
	stream->queued = keep;
	delay_tail(world, stream);
}

void net_cut(struct world *world, struct conn *conn)
{
	if (conn->server_open)
		cut_stream(world, &conn->streams[TO_SERVER]);
	if (conn->gateway_open)
		cut_stream(world, &conn->streams[TO_GATEWAY]);
	net_kick(world, conn, TO_SERVER);
	net_kick(world, conn, TO_GATEWAY);
}

void net_block(struct world *world, unsigned gateway, unsigned server, enum direction direction, bool blocked)
{
	world->net.is_blocked[gateway][server][direction] = blocked;
	for (unsigned i = 0; !blocked && i < SIM_CONNS_MAX; i++) {
		struct conn *conn = &world->net.conns[i];

		if (conn->is_used && conn->gateway == gateway && conn->server == server)
			net_kick(world, conn, direction);
	}
}
