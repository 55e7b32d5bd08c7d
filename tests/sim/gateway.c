/* The life of a simulated gateway: start, death, the end of its loop turns, what comes back to it. The actions of its
 * engine and the parsing of what replicas answer are gateway_lane.c. */
#include "tests/sim/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/verify.h"
#include "tests/sim/world.h"

void gateway_init(struct world *world, unsigned index)
{
	struct gateway *gateway = &world->gateways[index];

	gateway->index = index;
	gateway->world = world;
	app_init(&gateway->device);
}

void gateway_fini(struct gateway *gateway)
{
	engine_free(gateway->engine);
	gateway->engine = NULL;
	free(gateway->process.waiting);
	app_fini(&gateway->device);
}

static void forget(struct gateway *gateway)
{
	engine_free(gateway->engine);
	gateway->engine = NULL;
	gateway->is_attached = gateway->is_refused = gateway->is_detaching = gateway->is_detached = false;
	gateway->flush_posted = gateway->resume_posted = false;
	gateway->deferred_count = 0;
	for (unsigned i = 0; i < SIM_SERVERS_MAX; i++) {
		for (unsigned j = 0; j < LANE_COUNT; j++) {
			gateway->lanes[i][j].state = GATEWAY_LANE_CLOSED;
			gateway->lanes[i][j].staged_count = 0;
			gateway->lanes[i][j].staged_used = 0;
		}
	}
	for (unsigned i = 0; i < SIM_BORROWS_MAX; i++)
		gateway->borrows[i].is_used = false;
	for (unsigned i = 0; i < SIM_BATCHES_MAX; i++)
		gateway->batches[i].is_used = false;
	for (unsigned i = 0; i < SIM_SETS_MAX; i++)
		gateway->last_wseq[i] = gateway->stable_upto[i] = 0;
	memset(gateway->own, 0, sizeof(gateway->own));
	gateway->took_over_ns = 0;
}

void gateway_reset(struct world *world, unsigned index)
{
	struct gateway *gateway = &world->gateways[index];

	forget(gateway);
	gateway->process.is_up = gateway->process.is_paused = false;
	gateway->process.incarnation = 0;
	gateway->process.waiting_count = 0;
	gateway->is_wanted = false;
	gateway->nonce = gateway->last_outlived = 0;
	gateway->drift_ppm = random_drift(&world->random, world->options.drift_pm);
	gateway->epoch = 0;
	gateway->attach_failures = gateway->verify_ns = 0;
	gateway->borrow_serial = 0;
	app_reset(world, gateway);
}

/* Tells later whose device it was, and which of its lives. */
static uint64_t new_nonce(struct world *world, const struct gateway *gateway)
{
	return random_next(&world->random) << 24 | (gateway->device.life & 0xffff) << 8 |
	       (uint64_t)gateway->index << 1 | 1;
}

unsigned gateway_of_nonce(const struct world *world, uint64_t nonce)
{
	unsigned index = nonce >> 1 & 1;

	return (nonce >> 8 & 0xffff) == (world->gateways[index].device.life & 0xffff) ? index : SIM_NO_OWNER;
}

static struct engine_options engine_options_of(struct world *world, struct gateway *gateway)
{
	const struct options *o = &world->options;

	return (struct engine_options){
		.queue_depth = o->queue_depth,
		.bulk_min_bytes = o->bulk_min,
		.read_run = o->read_run,
		.answer_deadline_ns = o->deadline_ms * SIM_MS,
		.reconnect_ns = o->reconnect_ms * SIM_MS,
		.sync_interval_ns = o->sync_ms * SIM_MS,
		.attach_wait_ns = o->attach_wait_ms * SIM_MS,
		.attach_limit_ns = o->attach_limit_ms * SIM_MS,
		.min_in_sync = o->min_in_sync,
		.fails_without_quorum = o->fails,
		.quorum_wait_ns = o->quorum_ms * SIM_MS,
		.resync_bytes_per_s = o->resync_kib * KIB,
		.unseen_below_percent = o->unseen,
		.slow_factor = o->slow_factor,
		.slow_ns = o->slow_ms * SIM_MS,
		.slow_rest_ns = o->slow_rest_ms * SIM_MS,
		.memory_is_pinned = o->pinned,
		/* R11: the device lived on. */
		.is_recovery = gateway->device.is_served,
		/* R3.6: this host knows that its last process is dead; sometimes it has forgotten. */
		.predecessor_nonce = random_below(&world->random, 4) ? gateway->last_outlived : 0,
		.nonce = gateway->nonce,
		.client = "sim",
	};
}

/* What a device that lives on remembers is who may have configured the sets on its behalf. */
static void note_attempt(struct gateway *gateway, struct engine_options *options)
{
	uint64_t *nonces = gateway->device.nonces;
	unsigned count = 0;

	memcpy(options->device_nonces, nonces, sizeof(options->device_nonces));
	if (!gateway->device.is_served)
		return;
	while (count < DEVICE_NONCES_MAX && nonces[count])
		count++;
	if (count == DEVICE_NONCES_MAX)
		memmove(&nonces[1], &nonces[2], (--count - 1) * sizeof(*nonces));
	nonces[count] = gateway->nonce;
}

void gateway_start(struct world *world, struct gateway *gateway)
{
	struct engine_options options;
	struct err err = {0};

	if (gateway->process.is_up)
		return;
	gateway->nonce = new_nonce(world, gateway);
	options = engine_options_of(world, gateway);
	note_attempt(gateway, &options);
	gateway->engine = engine_new(&world->geometry.spec, &options, &gateway_engine_ops, gateway, &err);
	if (!gateway->engine)
		world_violation(world, "engine_new(): %s", err.text);
	gateway->process.is_up = true;
	gateway->started_ns = world->now_ns;
	gateway->failed_ns = 0;
	gateway->epoch = 0;
	world->counters.restarts++;
	TRACE(world, "gateway % starts with % requests to issue again (recovery %)", gateway->index,
	      gateway->device.active, options.is_recovery);
	gateway_set_clock(world, gateway);
	engine_attach(gateway->engine);
	world_post(world, world->options.tick_ms * SIM_MS,
		   (struct event){.kind = EVENT_TICK, .process = PROCESS_GATEWAY(gateway->index)});
	if (options.is_recovery)
		world_post(world, world_delay(world, 5000),
			   (struct event){.kind = EVENT_RECOVERED, .process = PROCESS_GATEWAY(gateway->index)});
}

void gateway_recovered(struct world *world, struct gateway *gateway)
{
	app_give_all(world, gateway);
	gateway_set_clock(world, gateway);
	engine_recovered(gateway->engine);
}

void gateway_kill(struct world *world, struct gateway *gateway)
{
	if (!gateway->process.is_up)
		return;
	TRACE(world, "gateway % dies", gateway->index);
	for (unsigned i = 0; i < SIM_CONNS_MAX; i++) {
		struct conn *conn = &world->net.conns[i];

		if (conn->is_used && conn->gateway == gateway->index)
			net_gateway_leaves(world, conn);
	}
	for (unsigned i = 0; i < SIM_BORROWS_MAX; i++) {
		if (gateway->borrows[i].is_used)
			gateway_release(world, gateway, &gateway->borrows[i], false);
	}
	for (unsigned i = 0; i < gateway->deferred_count; i++)
		app_payload_put(world, gateway, gateway->deferred[i].payload);
	process_die(world, PROCESS_GATEWAY(gateway->index));
	forget(gateway);
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++)
		gateway->device.slots[i].is_given = false;
}

const struct engine_status *gateway_status(struct gateway *gateway)
{
	engine_status(gateway->engine, &gateway->status);
	return &gateway->status;
}

bool gateway_is_owner(const struct world *world, const struct gateway *gateway)
{
	return gateway->engine && gateway->is_attached && truth_is_owner(world, gateway);
}

void gateway_set_clock(struct world *world, struct gateway *gateway)
{
	engine_set_now(gateway->engine, drifted(world->now_ns, gateway->drift_ppm));
}

/* ---- events ---- */

static void refuse_connect(struct world *world, struct gateway *gateway, unsigned leg, enum lane which)
{
	struct gateway_lane *lane = &gateway->lanes[leg][which];

	lane->state = GATEWAY_LANE_BREAKING;
	lane->error = -ECONNREFUSED;
	world_post(world, 0,
		   (struct event){.kind = EVENT_LANE_CLOSED,
				  .process = PROCESS_GATEWAY(gateway->index),
				  .a = leg,
				  .b = which,
				  .serial = lane->attempt});
}

void gateway_connected(struct world *world, struct gateway *gateway, unsigned leg, enum lane which, uint64_t attempt)
{
	struct gateway_lane *lane = &gateway->lanes[leg][which];
	struct server *server = &world->servers[leg];
	const bool *blocked = world->net.is_blocked[gateway->index][leg];
	struct conn *conn = NULL;

	if (lane->state != GATEWAY_LANE_CONNECTING || lane->attempt != attempt)
		return;
	if (!server->host_is_up || blocked[TO_SERVER] || blocked[TO_GATEWAY])
		return; /* no answer at all: the engine loses patience */
	if (server->process.is_up && !server->refuses)
		conn = net_connect(world, gateway->index, leg, which);
	if (!conn || !server_accept(world, server, conn)) {
		if (conn)
			conn->is_used = conn->gateway_open = conn->server_open = false;
		refuse_connect(world, gateway, leg, which);
		return;
	}
	lane->state = GATEWAY_LANE_OPEN;
	lane->conn = net_index(world, conn);
	TRACE(world, "gateway %: leg % lane % is connection %", gateway->index, leg, which, lane->conn);
	gateway_set_clock(world, gateway);
	engine_lane_connected(gateway->engine, leg, which);
}

static void drop_staged(struct gateway *gateway, struct gateway_lane *lane)
{
	for (unsigned i = 0; i < lane->staged_count; i++) {
		struct sim_batch *batch;

		if (lane->staged[i].kind != STAGED_BATCH)
			continue;
		batch = &gateway->batches[lane->staged[i].at];
		batch->is_used = --batch->refs > 0;
	}
	lane->staged_count = lane->staged_used = 0;
}

/* True: there was one. */
static bool drop_borrows(struct world *world, struct gateway *gateway, unsigned leg)
{
	bool any = false;

	for (unsigned i = 0; i < SIM_BORROWS_MAX; i++) {
		if (!gateway->borrows[i].is_used || gateway->borrows[i].leg != leg)
			continue;
		gateway_release(world, gateway, &gateway->borrows[i], true);
		any = true;
	}
	return any;
}

static bool drop_deferred(struct world *world, struct gateway *gateway, unsigned leg)
{
	unsigned kept = 0, count = gateway->deferred_count;
	uint64_t ids[SIM_DEFERRED_MAX];
	unsigned id_count = 0;

	for (unsigned i = 0; i < count; i++) {
		struct deferred it = gateway->deferred[i];

		if (it.order.legs & 1ull << leg)
			ids[id_count++] = it.order.frame.id;
		it.order.legs &= ~(1ull << leg);
		if (it.order.legs)
			gateway->deferred[kept++] = it;
		else
			app_payload_put(world, gateway, it.payload);
	}
	gateway->deferred_count = kept;
	for (unsigned i = 0; i < id_count; i++)
		engine_payload_released(gateway->engine, leg, ids[i]);
	return id_count > 0;
}

/* Until the connection was reaped the kernel may still put bytes of it where they were to go. */
static void stray_bytes(struct world *world, struct gateway *gateway, struct gateway_lane *lane)
{
	static const uint8_t stray[64] = {0xee, 0xee, 0xee, 0xee};

	if (lane->take != TAKE_PAYLOAD || lane->have >= lane->want || random_below(&world->random, 2))
		return;
	app_fill(world, gateway, lane->target.slot, lane->target.buf_offset + lane->have, stray,
		 lane->want - lane->have < sizeof(stray) ? lane->want - lane->have : (uint32_t)sizeof(stray));
}

void gateway_lane_closed(struct world *world, struct gateway *gateway, unsigned leg, enum lane which, uint64_t attempt)
{
	struct gateway_lane *lane = &gateway->lanes[leg][which];

	if (lane->state != GATEWAY_LANE_BREAKING || lane->attempt != attempt)
		return;
	gateway_set_clock(world, gateway);
	stray_bytes(world, gateway, lane);
	lane->take = TAKE_HEADER;
	drop_staged(gateway, lane);
	/* A release may complete a request and so let the next one be ordered, for this lane too. */
	while (which == LANE_MAIN && (drop_borrows(world, gateway, leg) || drop_deferred(world, gateway, leg)))
		continue;
	lane->state = GATEWAY_LANE_CLOSED;
	TRACE(world, "gateway %: leg % lane % is closed", gateway->index, leg, which);
	engine_lane_closed(gateway->engine, leg, which, lane->error, "sim");
}

static void send_batch(struct world *world, struct gateway *gateway, unsigned leg, struct stream *stream,
		       const struct sim_batch *batch)
{
	uint8_t header[FRAME_BYTES];
	struct frame frame;

	engine_batch_frame(gateway->engine, leg, batch->used, &frame);
	gateway_check_stable(world, gateway, leg, frame.stable_upto);
	frame_encode(&frame, header);
	stream_add(stream, header, sizeof(header));
	stream_add(stream, batch->bytes, batch->used);
}

static void send_staged(struct world *world, struct gateway *gateway, unsigned leg, enum lane which)
{
	struct gateway_lane *lane = &gateway->lanes[leg][which];
	struct conn *conn = &world->net.conns[lane->conn];
	struct stream *stream = &conn->streams[TO_SERVER];

	for (unsigned i = 0; i < lane->staged_count; i++) {
		const struct staged *it = &lane->staged[i];

		if (it->kind == STAGED_BYTES)
			stream_add(stream, lane->staged_bytes + it->at, it->length);
		else if (it->kind == STAGED_BORROW)
			stream_add_borrow(stream, it->at + 1, it->length);
		else
			send_batch(world, gateway, leg, stream, &gateway->batches[it->at]);
	}
	drop_staged(gateway, lane);
	net_kick(world, conn, TO_SERVER);
}

void gateway_end_turn(struct world *world, struct gateway *gateway)
{
	gateway->flush_posted = false;
	for (unsigned i = 0; i < world->geometry.servers; i++) {
		for (unsigned j = 0; j < LANE_COUNT; j++) {
			if (gateway->lanes[i][j].state == GATEWAY_LANE_OPEN && gateway->lanes[i][j].staged_count)
				send_staged(world, gateway, i, (enum lane)j);
		}
	}
	for (unsigned i = 0; i < SIM_BATCHES_MAX; i++)
		gateway->batches[i].is_open = false;
}

void gateway_released(struct world *world, struct gateway *gateway, unsigned index, uint64_t serial)
{
	struct borrow *borrow = &gateway->borrows[index];

	if (!borrow->is_used || borrow->serial != serial)
		return;
	gateway_set_clock(world, gateway);
	gateway_release(world, gateway, borrow, true);
}

void gateway_tick(struct world *world, struct gateway *gateway)
{
	gateway_set_clock(world, gateway);
	engine_tick(gateway->engine);
	app_check_deadline(world, gateway);
	if (engine_outlived_leases(gateway->engine))
		gateway->last_outlived = gateway->nonce;
	truth_settle(world, gateway);
	sim_verify_tick(world, gateway);
	world_post(world, world->options.tick_ms * SIM_MS,
		   (struct event){.kind = EVENT_TICK, .process = PROCESS_GATEWAY(gateway->index)});
}

void gateway_zeroed(struct world *world, struct gateway *gateway, uint64_t id)
{
	gateway_set_clock(world, gateway);
	engine_zeroed(gateway->engine, id, 0);
}
