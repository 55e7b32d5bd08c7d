/* How a write's payload gets on its way to the legs: copied into a batch, in pieces, or borrowed. Step 4 of a write's
 * path: after engine_submit() ordered it, before lane_send.c. Does not know what a request is beyond its payload
 * handle.
 *
 * Without a free batch buffer an order waits here, oldest first; everything that is to be copied waits behind it. */
#include <errno.h>
#include <stdlib.h>

#include "gateway/drivers/peer_private.h"

enum route { ROUTE_BATCH, ROUTE_PIECES, ROUTE_BORROW };

/* An order for one leg may come back for it alone while it still waits for others: once a leg at worst. */
int peers_write_init(struct peers *peers)
{
	unsigned legs = peers->options.leg_count < SET_REPLICAS_MAX ? peers->options.leg_count : SET_REPLICAS_MAX;
	struct deferred_writes *deferred = &peers->deferred;

	deferred->capacity = legs * peers_parts_of_volume(&peers->options);
	deferred->orders = calloc(deferred->capacity, sizeof(*deferred->orders));
	return deferred->orders ? 0 : -ENOMEM;
}

void peers_write_fini(struct peers *peers)
{
	free(peers->deferred.orders);
}

/* Kernel buffers cannot be sent copied before Linux 7.2, and some memory no SQE can name: we copy it. */
static enum route route_of(struct peers *peers, const struct write_order *order)
{
	struct payload payload;

	if (order->path == WRITE_GATHER)
		return ROUTE_BATCH;
	if (order->path == WRITE_PRIVATE)
		return ROUTE_PIECES;
	payload = peers_payload(peers, order->slot);
	if (payload.mapped || (payload.fixed && (order->path == WRITE_BULK || peers->send_fixed)))
		return ROUTE_BORROW;
	return ROUTE_PIECES;
}

static struct peer_lane *order_lane(struct peers *peers, unsigned leg)
{
	struct peer_lane *lane = peers_lane(peers, leg, LANE_MAIN);

	assert(lane->state == LANE_OPEN || lane->state == LANE_BREAKING);
	return lane;
}

/* Each lane's part of an order; the queue has room for whatever the engine may have outstanding, and the entry must be
 * made: payloads and batches are given back through it. */
static void queue_ref(struct peer_lane *lane, enum out_kind kind, uint16_t ref)
{
	bool queued = lane_queue_add(&lane->queue, kind, ref);

	assert(queued);
}

static void queue_header(struct peer_lane *lane, const struct write_order *order)
{
	struct frame frame = order->frame;
	uint8_t *bytes = lane_queue_bytes(&lane->queue, FRAME_BYTES);

	assert(bytes);
	frame.session = engine_leg_session(lane->peers->engine, lane->leg);
	frame_encode(&frame, bytes);
}

/* The lowest leg of the mask, which must not be empty; takes it out. */
static unsigned leg_next(uint64_t *mask)
{
	unsigned leg = (unsigned)__builtin_ctzll(*mask);

	*mask &= *mask - 1;
	return leg;
}

static void queue_batch(struct peers *peers, struct batch *batch, enum out_kind kind)
{
	uint64_t rest = batch->legs;

	while (rest)
		queue_ref(order_lane(peers, leg_next(&rest)), kind, batch_index(&peers->pool, batch));
}

/* Memory that cannot be read must not reach a replica as something else. The legs are broken, and the engine will
 * order the write again when they are back. */
static void break_unreadable(struct peers *peers, const struct write_order *order, int error)
{
	uint64_t rest = order->legs;

	while (rest)
		lane_break(peers_lane(peers, leg_next(&rest), LANE_MAIN), error,
			   "the request's payload cannot be read");
}

static int copy_out(struct peers *peers, const struct write_order *order, uint32_t done, uint32_t bytes, void *dst)
{
	return peers_copy_out(peers, order->slot, order->buf_offset + done, bytes, dst);
}

/* Frame and payload at the end of the batch. */
static int batch_append(struct peers *peers, struct batch *batch, const struct write_order *order)
{
	struct frame frame = order->frame;
	uint8_t *bytes = batch->bytes + batch->used_bytes;
	int error = copy_out(peers, order, 0, frame.length, bytes + FRAME_BYTES);

	if (error)
		return error;
	frame.session = 0;
	frame_encode(&frame, bytes);
	batch->used_bytes += FRAME_BYTES + frame.length;
	batch->write_count++;
	return 0;
}

/* False: no buffer. */
static bool send_in_batch(struct peers *peers, const struct write_order *order)
{
	struct batch_pool *pool = &peers->pool;
	uint32_t bytes = FRAME_BYTES + order->frame.length;
	struct batch *batch = batch_find_open(pool, order->set, order->legs, bytes);
	bool is_new = !batch;
	int error;

	assert(bytes <= BATCH_BYTES_MAX);
	if (is_new)
		batch = batch_take(pool, order->set, order->legs);
	if (!batch)
		return false;
	error = batch_append(peers, batch, order);
	if (error)
		break_unreadable(peers, order, error);
	if (error && is_new) {
		batch_discard(pool, batch);
	} else if (is_new) {
		batch_open(pool, batch);
		queue_batch(peers, batch, OUT_BATCH);
	}
	return true;
}

static void queue_pieces(struct peers *peers, const struct write_order *order, struct batch **pieces, unsigned count)
{
	uint64_t rest = order->legs;

	while (rest)
		queue_header(order_lane(peers, leg_next(&rest)), order);
	for (unsigned i = 0; i < count; i++)
		queue_batch(peers, pieces[i], OUT_PIECE);
}

#define PIECES_MAX (IO_BYTES_MAX / BATCH_BYTES_MAX)

/* False: not enough buffers. */
static bool send_in_pieces(struct peers *peers, const struct write_order *order)
{
	struct batch *pieces[PIECES_MAX];
	unsigned count = 0;
	uint32_t done = 0;
	int error = 0;

	assert(order->frame.length <= IO_BYTES_MAX);
	if (peers->pool.free_count < (order->frame.length + BATCH_BYTES_MAX - 1) / BATCH_BYTES_MAX)
		return false;
	while (done < order->frame.length && !error) {
		struct batch *piece = batch_take(&peers->pool, order->set, order->legs);
		uint32_t left = order->frame.length - done;

		piece->used_bytes = left < BATCH_BYTES_MAX ? left : (uint32_t)BATCH_BYTES_MAX;
		error = copy_out(peers, order, done, piece->used_bytes, piece->bytes);
		done += piece->used_bytes;
		pieces[count++] = piece;
	}
	if (!error) {
		queue_pieces(peers, order, pieces, count);
		return true;
	}
	break_unreadable(peers, order, error);
	while (count--)
		batch_discard(&peers->pool, pieces[count]);
	return true;
}

static void send_borrowed(struct peers *peers, const struct write_order *order)
{
	uint64_t rest = order->legs;

	while (rest) {
		struct peer_lane *lane = order_lane(peers, leg_next(&rest));

		queue_header(lane, order);
		queue_ref(lane, OUT_PAYLOAD, lane_bulk_take(lane, order));
	}
}

static bool send_copied(struct peers *peers, const struct write_order *order, enum route route)
{
	return route == ROUTE_BATCH ? send_in_batch(peers, order) : send_in_pieces(peers, order);
}

static void defer(struct peers *peers, const struct write_order *order)
{
	struct deferred_writes *deferred = &peers->deferred;

	assert(deferred->count < deferred->capacity);
	deferred->orders[(deferred->head + deferred->count++) % deferred->capacity] = *order;
	peers->stats.deferred_writes++;
}

bool peers_send_write(struct peers *peers, const struct write_order *order)
{
	enum route route = route_of(peers, order);

	if (route == ROUTE_BORROW) {
		send_borrowed(peers, order);
		return false;
	}
	if (!peers->deferred.count && send_copied(peers, order, route))
		return true;
	defer(peers, order);
	return false;
}

static void report_released(struct peers *peers, uint64_t legs, uint64_t id)
{
	uint64_t rest = legs;

	while (rest)
		engine_payload_released(peers->engine, leg_next(&rest), id);
}

/* Oldest first, until the pool is empty again. The report may bring new orders; they queue behind. */
bool peers_write_resume(struct peers *peers)
{
	struct deferred_writes *deferred = &peers->deferred;
	bool progress = false;

	while (deferred->count) {
		struct write_order order = deferred->orders[deferred->head];

		if (!send_copied(peers, &order, route_of(peers, &order)))
			break;
		deferred->head = (deferred->head + 1) % deferred->capacity;
		deferred->count--;
		report_released(peers, order.legs, order.frame.id);
		progress = true;
	}
	return progress;
}

/* Removes the leg from every order, and orders without legs; reports afterwards, because a report may order anew. */
void peers_write_drop_leg(struct peers *peers, unsigned leg)
{
	struct deferred_writes *deferred = &peers->deferred;
	uint64_t bit = 1ull << leg;

	for (uint32_t left = deferred->count; left; left--) {
		struct write_order order = deferred->orders[deferred->head];

		deferred->head = (deferred->head + 1) % deferred->capacity;
		deferred->count--;
		if (order.legs & bit)
			engine_payload_released(peers->engine, leg, order.frame.id);
		order.legs &= ~bit;
		if (order.legs)
			deferred->orders[(deferred->head + deferred->count++) % deferred->capacity] = order;
	}
}
