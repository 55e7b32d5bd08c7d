/* The actions of the engine, and what its replicas answer: gateway/drivers' peer*.c and lane*.c as far as the core can
 * tell. No action calls back into the engine; everything it leads to is an event. */
#include <errno.h>
#include <string.h>

#include "common/crc32c.h"
#include "proto/codec.h"
#include "tests/sim/verify.h"
#include "tests/sim/world.h"

static void post_end_of_turn(struct gateway *gateway)
{
	struct world *world = gateway->world;

	if (gateway->flush_posted)
		return;
	gateway->flush_posted = true;
	world_post(world, random_below(&world->random, world->options.turn_us * SIM_US + 1),
		   (struct event){.kind = EVENT_FLUSH, .process = PROCESS_GATEWAY(gateway->index)});
}

static void stage(struct gateway *gateway, struct gateway_lane *lane, struct staged staged)
{
	assert(lane->staged_count < SIM_STAGED_MAX);
	lane->staged[lane->staged_count++] = staged;
	post_end_of_turn(gateway);
}

static void stage_bytes(struct gateway *gateway, struct gateway_lane *lane, const void *bytes, uint32_t length)
{
	assert(length <= SIM_STAGED_BYTES - lane->staged_used);
	memcpy(lane->staged_bytes + lane->staged_used, bytes, length);
	stage(gateway, lane, (struct staged){STAGED_BYTES, lane->staged_used, length});
	lane->staged_used += length;
}

/* ---- connections ---- */

static void op_connect(void *ctx, unsigned leg, enum lane which)
{
	struct gateway *gateway = ctx;
	struct gateway_lane *lane = &gateway->lanes[leg][which];
	struct world *world = gateway->world;

	if (lane->state != GATEWAY_LANE_CLOSED)
		world_violation(world, "the engine connects leg %u lane %d, which is not closed", leg, (int)which);
	lane->state = GATEWAY_LANE_CONNECTING;
	lane->attempt++;
	lane->take = TAKE_HEADER;
	lane->have = 0;
	world_post(world, world_delay(world, world->options.net_us),
		   (struct event){.kind = EVENT_CONNECT,
				  .process = PROCESS_GATEWAY(gateway->index),
				  .a = leg,
				  .b = which,
				  .serial = lane->attempt});
}

void gateway_lane_break(struct world *world, struct gateway *gateway, unsigned leg, enum lane which, int error)
{
	struct gateway_lane *lane = &gateway->lanes[leg][which];

	if (lane->state != GATEWAY_LANE_OPEN && lane->state != GATEWAY_LANE_CONNECTING)
		return;
	if (lane->state == GATEWAY_LANE_OPEN)
		net_gateway_leaves(world, &world->net.conns[lane->conn]);
	lane->state = GATEWAY_LANE_BREAKING;
	lane->error = error;
	world_post(world, world_delay(world, 50),
		   (struct event){.kind = EVENT_LANE_CLOSED,
				  .process = PROCESS_GATEWAY(gateway->index),
				  .a = leg,
				  .b = which,
				  .serial = lane->attempt});
}

static void op_abort(void *ctx, unsigned leg, enum lane which, const char *reason)
{
	struct gateway *gateway = ctx;

	(void)reason;
	TRACE(gateway->world, "gateway % aborts leg % lane %", gateway->index, leg, which);
	gateway_lane_break(gateway->world, gateway, leg, which, -ECONNABORTED);
}

void gateway_peer_closed(struct world *world, struct conn *conn)
{
	gateway_lane_break(world, &world->gateways[conn->gateway], conn->leg, conn->lane, -ECONNRESET);
}

/* ---- sending ---- */

static void op_send_message(void *ctx, unsigned leg, enum lane which, const struct message *message)
{
	struct gateway *gateway = ctx;
	struct gateway_lane *lane = &gateway->lanes[leg][which];
	struct frame frame = {.type = FRAME_CONTROL};
	uint8_t header[FRAME_BYTES];
	int length;

	if (lane->state != GATEWAY_LANE_OPEN)
		return;
	length = codec_pack(message, gateway->packed, sizeof(gateway->packed));
	if (length < 0)
		world_violation(gateway->world, "%s cannot be packed", message_kind_name(message->kind));
	frame.length = (uint32_t)length;
	frame.checksum = crc32c(0, gateway->packed, frame.length);
	frame_encode(&frame, header);
	stage_bytes(gateway, lane, header, sizeof(header));
	stage_bytes(gateway, lane, gateway->packed, frame.length);
}

unsigned gateway_payload_of(struct gateway *gateway, unsigned slot)
{
	unsigned first = engine_resync_slot(gateway->engine, 0);

	return slot < first ? gateway->device.slots[slot % SIM_SLOTS_MAX].payload : SIM_RESYNC_PAYLOAD + slot - first;
}

static bool is_change(const struct frame *frame)
{
	return frame->type == FRAME_WRITE || frame->type == FRAME_DISCARD || frame->type == FRAME_ZEROES;
}

/* The engine's own ids name the slot. */
static unsigned slot_of(const struct frame *frame)
{
	return (unsigned)(frame->id >> 5 & 0x7ff);
}

static void op_send_frame(void *ctx, unsigned leg, enum lane which, const struct frame *frame)
{
	struct gateway *gateway = ctx;
	struct gateway_lane *lane = &gateway->lanes[leg][which];
	uint8_t header[FRAME_BYTES];

	if (is_change(frame))
		gateway_check_change(gateway->world, gateway, leg, frame, slot_of(frame));
	gateway_check_stable(gateway->world, gateway, leg, frame->stable_upto);
	if (lane->state != GATEWAY_LANE_OPEN)
		return;
	frame_encode(frame, header);
	stage_bytes(gateway, lane, header, sizeof(header));
}

static struct sim_batch *open_batch(struct gateway *gateway, const struct write_order *order)
{
	struct sim_batch *spare = NULL;

	for (unsigned i = 0; i < SIM_BATCHES_MAX; i++) {
		struct sim_batch *batch = &gateway->batches[i];

		if (!batch->is_used)
			spare = batch;
		else if (batch->is_open && batch->set == order->set && batch->legs == order->legs &&
			 batch->used + FRAME_BYTES + order->frame.length <= SIM_BATCH_BYTES)
			return batch;
	}
	if (spare) {
		spare->refs = spare->used = 0;
		spare->set = order->set;
		spare->legs = order->legs;
	}
	return spare;
}

/* False: no buffer. The payload is copied now. */
static bool send_in_batch(struct gateway *gateway, const struct write_order *order, unsigned payload)
{
	struct sim_batch *batch = open_batch(gateway, order);
	struct frame frame = order->frame;
	const struct payload *memory = app_payload(gateway, payload);

	if (!batch)
		return false;
	if (!memory->is_live)
		world_violation(gateway->world, "a payload is copied after its request completed");
	frame.session = 0;
	frame_encode(&frame, batch->bytes + batch->used);
	memcpy(batch->bytes + batch->used + FRAME_BYTES, memory->bytes + order->buf_offset, frame.length);
	batch->used += FRAME_BYTES + frame.length;
	if (batch->is_used)
		return true;
	for (unsigned leg = 0; leg < gateway->world->geometry.servers; leg++) {
		struct gateway_lane *lane = &gateway->lanes[leg][LANE_MAIN];

		if (!(order->legs & 1ull << leg) || lane->state != GATEWAY_LANE_OPEN)
			continue;
		stage(gateway, lane, (struct staged){STAGED_BATCH, (uint32_t)(batch - gateway->batches), 0});
		batch->refs++;
	}
	batch->is_used = batch->is_open = batch->refs > 0;
	return true;
}

static struct borrow *take_borrow(struct gateway *gateway, unsigned leg, const struct write_order *order)
{
	for (unsigned i = 0; i < SIM_BORROWS_MAX; i++) {
		struct borrow *borrow = &gateway->borrows[i];

		if (borrow->is_used)
			continue;
		*borrow = (struct borrow){
			.is_used = true,
			.leg = leg,
			.serial = ++gateway->borrow_serial,
			.id = order->frame.id,
			.payload = gateway_payload_of(gateway, order->slot),
			.offset = order->buf_offset,
		};
		app_payload(gateway, borrow->payload)->refs++;
		return borrow;
	}
	world_violation(gateway->world, "more payloads are borrowed than a volume has requests");
}

static void send_borrowed(struct gateway *gateway, unsigned leg, const struct write_order *order)
{
	struct gateway_lane *lane = &gateway->lanes[leg][LANE_MAIN];
	struct borrow *borrow = take_borrow(gateway, leg, order);
	struct frame frame = order->frame;
	uint8_t header[FRAME_BYTES];

	if (lane->state != GATEWAY_LANE_OPEN)
		return; /* released with the lane */
	frame.session = engine_leg_session(gateway->engine, leg);
	frame_encode(&frame, header);
	stage_bytes(gateway, lane, header, sizeof(header));
	stage(gateway, lane,
	      (struct staged){STAGED_BORROW, (uint32_t)(borrow - gateway->borrows), order->frame.length});
}

static void defer(struct gateway *gateway, const struct write_order *order)
{
	struct world *world = gateway->world;
	unsigned payload = gateway_payload_of(gateway, order->slot);

	assert(gateway->deferred_count < SIM_DEFERRED_MAX);
	gateway->deferred[gateway->deferred_count++] = (struct deferred){*order, payload};
	app_payload(gateway, payload)->refs++;
	if (gateway->resume_posted)
		return;
	gateway->resume_posted = true;
	world_post(world, world_delay(world, 200),
		   (struct event){.kind = EVENT_RESUME_WRITES, .process = PROCESS_GATEWAY(gateway->index)});
}

static bool op_send_write(void *ctx, const struct write_order *order)
{
	struct gateway *gateway = ctx;
	struct world *world = gateway->world;

	for (unsigned leg = 0; leg < world->geometry.servers; leg++) {
		enum gateway_lane_state state = gateway->lanes[leg][LANE_MAIN].state;

		if (!(order->legs & 1ull << leg))
			continue;
		if (state != GATEWAY_LANE_OPEN && state != GATEWAY_LANE_BREAKING)
			world_violation(world, "a write is ordered for leg %u, which has no connection", leg);
		gateway_check_change(world, gateway, leg, &order->frame, order->slot);
		gateway_check_stable(world, gateway, leg, order->frame.stable_upto);
		if (order->path != WRITE_GATHER)
			send_borrowed(gateway, leg, order);
	}
	if (order->path != WRITE_GATHER)
		return false;
	if (!gateway->deferred_count && !random_chance(&world->random, world->options.defer_pm) &&
	    send_in_batch(gateway, order, gateway_payload_of(gateway, order->slot)))
		return true;
	defer(gateway, order);
	return false;
}

/* Oldest first. The reports may bring new orders, which queue behind. */
void gateway_resume_writes(struct world *world, struct gateway *gateway)
{
	gateway->resume_posted = false;
	gateway_set_clock(world, gateway);
	while (gateway->deferred_count) {
		struct deferred it = gateway->deferred[0];

		if (!send_in_batch(gateway, &it.order, it.payload))
			break;
		gateway->deferred_count--;
		memmove(gateway->deferred, gateway->deferred + 1, gateway->deferred_count * sizeof(it));
		app_payload_put(world, gateway, it.payload);
		for (unsigned leg = 0; leg < world->geometry.servers; leg++) {
			if (it.order.legs & 1ull << leg)
				engine_payload_released(gateway->engine, leg, it.order.frame.id);
		}
	}
	if (!gateway->deferred_count || gateway->resume_posted)
		return;
	gateway->resume_posted = true;
	world_post(world, world_delay(world, 200),
		   (struct event){.kind = EVENT_RESUME_WRITES, .process = PROCESS_GATEWAY(gateway->index)});
}

void gateway_sample(struct world *world, unsigned index, uint32_t borrow_no, uint32_t at, uint8_t *out, uint32_t length)
{
	struct gateway *gateway = &world->gateways[index];
	const struct borrow *borrow = &gateway->borrows[borrow_no - 1];
	const struct payload *payload = app_payload(gateway, borrow->payload);

	assert(borrow->is_used && payload->is_used);
	if (!payload->is_live && !world->options.pinned)
		world_violation(world, "gateway %u: the payload of slot %u is read after its request completed", index,
				payload->slot);
	memcpy(out, payload->bytes + borrow->offset + at, length);
}

void gateway_sent(struct world *world, unsigned index, uint32_t borrow_no)
{
	uint64_t delay_us =
		random_chance(&world->random, world->options.late_release_pm) ? 20 * world->options.net_us : 10;

	world_post(world, world_delay(world, delay_us),
		   (struct event){.kind = EVENT_RELEASED,
				  .process = PROCESS_GATEWAY(index),
				  .a = borrow_no - 1,
				  .serial = world->gateways[index].borrows[borrow_no - 1].serial});
}

void gateway_release(struct world *world, struct gateway *gateway, struct borrow *borrow, bool tell)
{
	borrow->is_used = false;
	app_payload_put(world, gateway, borrow->payload);
	if (tell)
		engine_payload_released(gateway->engine, borrow->leg, borrow->id);
}

/* ---- the rest ---- */

static void op_zero(void *ctx, const struct read_target *target)
{
	struct gateway *gateway = ctx;

	app_fill(gateway->world, gateway, target->slot, target->buf_offset, NULL, target->length);
	world_post(gateway->world, world_delay(gateway->world, 10),
		   (struct event){.kind = EVENT_ZEROED, .process = PROCESS_GATEWAY(gateway->index), .a = target->id});
}

static void op_complete(void *ctx, unsigned slot, int error)
{
	struct gateway *gateway = ctx;

	app_completed(gateway->world, gateway, slot, error);
}

static void op_attached(void *ctx, int error, const char *text)
{
	struct gateway *gateway = ctx;
	struct world *world = gateway->world;

	(void)text;
	if (error) {
		TRACE(world, "gateway %: attach is refused (%)", gateway->index, (uint64_t)-error);
		gateway->is_refused = true;
		return;
	}
	gateway->is_attached = true;
	gateway->epoch = gateway_status(gateway)->epoch;
	memset(gateway->device.nonces, 0, sizeof(gateway->device.nonces));
	gateway->device.nonces[0] = gateway->nonce;
	gateway->device.is_served = true;
	world->counters.attaches++;
	TRACE(world, "gateway % is attached: epoch %", gateway->index, gateway->epoch);
	/* Who was superseded meanwhile does not know it yet: it is refused when it first asks for something. */
	if (truth_is_owner(world, gateway))
		world->in_use = gateway->index;
	app_begin(world, gateway);
}

#define EVENT_TEXT(words) "gateway % set % leg % gen %: " words " "
static const char *const event_texts[EVENT_KIND_COUNT] = {
	[EVENT_ATTACHED] = EVENT_TEXT("attached"),
	[EVENT_REATTACHING] = EVENT_TEXT("attaches again:"),
	[EVENT_EVICTING] = EVENT_TEXT("evicting:"),
	[EVENT_EVICTED] = EVENT_TEXT("evicted:"),
	[EVENT_REJOINING] = EVENT_TEXT("rejoining:"),
	[EVENT_REJOIN_STOPPED] = EVENT_TEXT("rejoin stopped:"),
	[EVENT_REJOINED] = EVENT_TEXT("rejoined:"),
	[EVENT_RECONCILING] = EVENT_TEXT("reconciling:"),
	[EVENT_RECONCILED] = EVENT_TEXT("reconciled:"),
	[EVENT_SUSPENDED] = EVENT_TEXT("suspended:"),
	[EVENT_RESUMED] = EVENT_TEXT("resumed"),
	[EVENT_FAILED] = EVENT_TEXT("failed:"),
	[EVENT_LOSS_RECORDED] = EVENT_TEXT("loss:"),
	[EVENT_CHECKSUM_REPAIRED] = EVENT_TEXT("repaired:"),
	[EVENT_VERIFYING] = EVENT_TEXT("verifying:"),
	[EVENT_VERIFIED] = EVENT_TEXT("verified:"),
	[EVENT_VERIFY_ENDED] = EVENT_TEXT("verify ended:"),
	[EVENT_DIFFERENCE] = EVENT_TEXT("difference:"),
	[EVENT_REPLACED] = EVENT_TEXT("replaced:"),
};

static void op_event(void *ctx, const struct engine_event *event)
{
	struct gateway *gateway = ctx;
	struct world *world = gateway->world;

	world->counters.evictions += event->kind == EVENT_EVICTED;
	world->counters.rejoins += event->kind == EVENT_REJOINED;
	world->counters.reattaches += event->kind == EVENT_REATTACHING;
	world->counters.reconciles += event->kind == EVENT_RECONCILED;
	world->counters.suspensions += event->kind == EVENT_SUSPENDED;
	trace_words(&world->trace, world->now_ns, event_texts[event->kind],
		    (const uint64_t[TRACE_NUMBERS]){gateway->index, event->set, event->leg, event->gen}, event->text);
	if (event->kind == EVENT_DIFFERENCE)
		sim_verify_found(world, gateway, event);
}

static void op_detached(void *ctx, int error)
{
	struct gateway *gateway = ctx;

	TRACE(gateway->world, "gateway % is detached (%)", gateway->index, (uint64_t)-error);
	gateway->is_detached = true;
	gateway->detach_error = error;
}

const struct engine_ops gateway_engine_ops = {
	.connect = op_connect,
	.abort = op_abort,
	.send_message = op_send_message,
	.send_frame = op_send_frame,
	.send_write = op_send_write,
	.zero = op_zero,
	.complete = op_complete,
	.attached = op_attached,
	.detached = op_detached,
	.event = op_event,
};

/* ---- receiving ---- */

static bool take_message(struct world *world, struct gateway *gateway, struct conn *conn, struct gateway_lane *lane)
{
	const char *reason = "checksum";

	lane->take = TAKE_HEADER;
	lane->have = 0;
	if (crc32c(0, lane->message, lane->want) != lane->frame.checksum ||
	    codec_unpack(lane->message, lane->want, &gateway->message, &reason))
		world_violation(world, "server %u sent a control message that cannot be unpacked: %s", conn->leg,
				reason);
	if (gateway->message.kind != MESSAGE_BEAT)
		TRACE_NAME(world, message_kind_name(gateway->message.kind), "gateway %: leg % says @", gateway->index,
			   conn->leg);
	engine_message(gateway->engine, conn->leg, conn->lane, &gateway->message);
	return lane->state == GATEWAY_LANE_OPEN;
}

static bool take_reply(struct world *world, struct gateway *gateway, struct conn *conn, struct gateway_lane *lane)
{
	lane->target = (struct read_target){0};
	if (engine_reply(gateway->engine, conn->leg, conn->lane, &lane->frame, &lane->target)) {
		if (lane->frame.status == WIRE_OK && !conn->is_lying)
			world_violation(world, "gateway %u finds nonsense in an honest reply of server %u",
					gateway->index, conn->leg);
		gateway_lane_break(world, gateway, conn->leg, conn->lane, -EPROTO);
		return false;
	}
	if (lane->state != GATEWAY_LANE_OPEN)
		return false;
	if (frame_payload_bytes(&lane->frame) != lane->target.length) {
		gateway_lane_break(world, gateway, conn->leg, conn->lane, -EPROTO);
		return false;
	}
	lane->want = lane->target.length;
	if (lane->want)
		lane->take = TAKE_PAYLOAD;
	return true;
}

static bool take_header(struct world *world, struct gateway *gateway, struct conn *conn, struct gateway_lane *lane)
{
	const char *reason = NULL;

	lane->have = 0;
	if (frame_decode(lane->header, &lane->frame, &reason))
		world_violation(world, "server %u sent a frame that cannot be decoded: %s", conn->leg, reason);
	if (lane->frame.type != FRAME_CONTROL)
		return take_reply(world, gateway, conn, lane);
	lane->take = TAKE_MESSAGE;
	lane->want = lane->frame.length;
	return lane->want > 0 && lane->want <= SIM_MESSAGE_MAX;
}

static bool take_payload_end(struct gateway *gateway, struct conn *conn, struct gateway_lane *lane)
{
	lane->take = TAKE_HEADER;
	lane->have = 0;
	engine_read_placed(gateway->engine, conn->leg, conn->lane, lane->target.id);
	return lane->state == GATEWAY_LANE_OPEN;
}

/* Up to `length` bytes of what the lane waits for. False: the lane is broken. */
static bool take_some(struct world *world, struct conn *conn, const uint8_t *bytes, size_t length, size_t *ret_taken)
{
	struct gateway *gateway = &world->gateways[conn->gateway];
	struct gateway_lane *lane = &gateway->lanes[conn->leg][conn->lane];
	uint32_t want = lane->take == TAKE_HEADER ? FRAME_BYTES : lane->want, n = want - lane->have;

	n = n < length ? n : (uint32_t)length;
	*ret_taken = n;
	if (lane->take == TAKE_HEADER)
		memcpy(lane->header + lane->have, bytes, n);
	else if (lane->take == TAKE_MESSAGE)
		memcpy(lane->message + lane->have, bytes, n);
	else
		app_fill(world, gateway, lane->target.slot, lane->target.buf_offset + lane->have, bytes, n);
	lane->have += n;
	if (lane->have < want)
		return true;
	if (lane->take == TAKE_HEADER)
		return take_header(world, gateway, conn, lane);
	if (lane->take == TAKE_MESSAGE)
		return take_message(world, gateway, conn, lane);
	return take_payload_end(gateway, conn, lane);
}

void gateway_receive(struct world *world, struct conn *conn, const uint8_t *bytes, size_t length)
{
	struct gateway *gateway = &world->gateways[conn->gateway];
	size_t taken;

	if (gateway->lanes[conn->leg][conn->lane].state != GATEWAY_LANE_OPEN)
		return;
	gateway_set_clock(world, gateway);
	while (length && take_some(world, conn, bytes, length, &taken)) {
		bytes += taken;
		length -= taken;
	}
}
