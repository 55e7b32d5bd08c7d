/* The engine's driver and replicas, as a test wants them. Knows the engine by its public header alone.
 * In place of everything below the engine on a request's path. */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/engine_harness_messages.h"
#include "tests/unit/sample.h"

#define SET_BYTES (8 * MIB)

struct volume_spec harness_spec(unsigned set_count, unsigned replica_count)
{
	struct volume_spec spec = {
		.name = "vol",
		.uuid = sample_uuid(1),
		.size_bytes = set_count * SET_BYTES,
		.block_bytes = 4096,
		.chunk_bytes = 1 * MIB,
		.set_count = set_count,
	};

	for (unsigned i = 0; i < set_count; i++) {
		spec.sets[i].uuid = sample_uuid((uint8_t)(40 + i));
		spec.sets[i].replica_count = replica_count;
		for (unsigned j = 0; j < replica_count; j++) {
			struct replica_spec *replica = &spec.sets[i].replicas[j];
			unsigned leg = i * replica_count + j;

			replica->uuid = sample_uuid((uint8_t)(80 + leg));
			replica->kind = VOTER_REPLICA;
			snprintf(replica->name, sizeof(replica->name), "r%u", leg);
			snprintf(replica->address, sizeof(replica->address), "10.0.0.%u:7420", leg + 1);
		}
	}
	return spec;
}

struct volume_spec harness_spec_with_witness(unsigned set_count, unsigned replica_count)
{
	struct volume_spec spec = harness_spec(set_count, replica_count + 1);

	for (unsigned i = 0; i < set_count; i++)
		spec.sets[i].replicas[replica_count].kind = VOTER_WITNESS;
	return spec;
}

/* As `volume create` stores it. */
static struct config first_config(const struct volume_spec *spec, unsigned set)
{
	struct config config = {
		.volume_uuid = spec->uuid,
		.set_uuid = spec->sets[set].uuid,
		.set_index = set,
		.set_count = spec->set_count,
		.block_bytes = spec->block_bytes,
		.chunk_bytes = spec->chunk_bytes,
		.set_bytes = volume_set_bytes(spec, set),
		.volume_bytes = spec->size_bytes,
		.gen = 1,
		.voter_count = spec->sets[set].replica_count,
	};

	for (unsigned i = 0; i < config.voter_count; i++) {
		bool has_data = spec->sets[set].replicas[i].kind == VOTER_REPLICA;

		config.voters[i].uuid = spec->sets[set].replicas[i].uuid;
		config.voters[i].kind = spec->sets[set].replicas[i].kind;
		config.voters[i].state = has_data ? VOTER_IN : VOTER_OUT;
		config.voters[i].compare = COMPARE_STAMPS;
		config.voters[i].in_sync_gen = has_data;
		memcpy(config.voters[i].address, spec->sets[set].replicas[i].address, sizeof(config.voters[i].address));
	}
	return config;
}

static void init_replicas(struct harness *harness)
{
	for (unsigned i = 0; i < volume_leg_count(&harness->spec); i++) {
		unsigned set;

		(void)volume_leg_replica(&harness->spec, i, &set);
		harness->replicas[i] = (struct harness_replica){
			.config = first_config(&harness->spec, set),
			.incarnation = 100 + i,
			.boot_id = sample_uuid((uint8_t)(160 + i)),
			.is_reachable = true,
			.version = PROTOCOL_VERSION,
			.payload_max_bytes = IO_BYTES_MAX,
		};
	}
}

void harness_replace(struct harness *harness, unsigned leg)
{
	struct harness_replica *replica = &harness->replicas[leg];
	unsigned set;

	if (harness->lanes[leg][LANE_MAIN].state != HARNESS_CLOSED)
		harness_kill(harness, leg);
	(void)volume_leg_replica(&harness->spec, leg, &set);
	replica->config = first_config(&harness->spec, set);
	replica->promised = (struct ballot){0};
	replica->life = 0;
	replica->is_blank = replica->is_reachable = true;
	replica->session = 0;
	memset(replica->stamps, 0, sizeof(replica->stamps));
	memset(replica->list, 0, sizeof(replica->list));
}

struct engine_options harness_options(void)
{
	struct engine_options options;

	engine_options_default(&options);
	options.nonce = 77;
	return options;
}

static struct harness_lane *lane_of(struct harness *harness, unsigned leg, enum lane lane)
{
	CHECK_TRUE(leg < volume_leg_count(&harness->spec));
	return &harness->lanes[leg][lane];
}

static void on_connect(void *ctx, unsigned leg, enum lane lane)
{
	struct harness_lane *it = lane_of(ctx, leg, lane);

	CHECK_EQ_INT(HARNESS_CLOSED, it->state);
	*it = (struct harness_lane){.state = HARNESS_CONNECTING};
}

static void on_abort(void *ctx, unsigned leg, enum lane lane, const char *reason)
{
	struct harness_lane *it = lane_of(ctx, leg, lane);

	CHECK_TRUE(it->state != HARNESS_CLOSED);
	CHECK_FALSE(it->is_aborted);
	it->is_aborted = true;
	snprintf(it->reason, sizeof(it->reason), "%s", reason);
}

static void on_send_message(void *ctx, unsigned leg, enum lane lane, const struct message *message)
{
	struct harness *harness = ctx;
	struct harness_message *it = &harness->messages[harness->message_count++];

	CHECK_TRUE(harness->message_count < HARNESS_MESSAGES_MAX);
	CHECK_EQ_INT(HARNESS_OPEN, lane_of(harness, leg, lane)->state);
	*it = (struct harness_message){.leg = leg, .lane = lane, .kind = message->kind};
	if (message->kind == MESSAGE_HELLO)
		it->hello = message->hello;
	if (message->kind == MESSAGE_PROMISE || message->kind == MESSAGE_CLAIM || message->kind == MESSAGE_HEARTBEAT ||
	    message->kind == MESSAGE_FORGET)
		it->ballot = message->promise.ballot;
	if (message->kind == MESSAGE_LIST_REGIONS || message->kind == MESSAGE_STAMPED_REGIONS) {
		it->ballot = message->regions_ask.ballot;
		it->regions_ask = message->regions_ask;
	}
	if (message->kind == MESSAGE_STAMP) {
		it->ballot = message->stamp.ballot;
		it->stamp = message->stamp;
	}
	if (message->kind == MESSAGE_DIGEST) {
		it->ballot = message->digest.ballot;
		it->digest = message->digest;
	}
	if (message->kind == MESSAGE_OPEN || message->kind == MESSAGE_JOIN) {
		it->ballot = message->open.ballot;
		it->session = message->open.session;
	}
	if (message->kind == MESSAGE_ACCEPT || message->kind == MESSAGE_SEED) {
		it->ballot = message->accept.ballot;
		it->config = message->accept.config;
	}
}

static struct harness_sent *queue(struct harness *harness, unsigned leg, enum lane lane, const struct frame *frame)
{
	struct harness_sent *sent = &harness->sent[harness->sent_count++];

	CHECK_TRUE(harness->sent_count < HARNESS_SENT_MAX);
	CHECK_EQ_INT(HARNESS_OPEN, lane_of(harness, leg, lane)->state);
	CHECK_FALSE(lane_of(harness, leg, lane)->is_aborted);
	*sent = (struct harness_sent){.leg = leg, .lane = lane, .frame = *frame};
	sent->frame.session = engine_leg_session(harness->engine, leg);
	CHECK_EQ_U64(harness->replicas[leg].session, sent->frame.session);
	return sent;
}

static void on_send_frame(void *ctx, unsigned leg, enum lane lane, const struct frame *frame)
{
	struct harness *harness = ctx;
	struct harness_sent *sent = queue(harness, leg, lane, frame);

	CHECK_EQ_U64(sent->frame.session, frame->session);
	if (harness->on_sent)
		harness->on_sent(harness, sent);
}

static bool on_send_write(void *ctx, const struct write_order *order)
{
	struct harness *harness = ctx;
	bool is_copied = harness->copies_bulk || order->path == WRITE_GATHER || order->path == WRITE_PRIVATE;

	CHECK_TRUE(order->legs != 0);
	for (unsigned leg = 0; leg < volume_leg_count(&harness->spec); leg++) {
		struct harness_sent *sent;

		if (!(order->legs & 1ull << leg))
			continue;
		sent = queue(harness, leg, LANE_MAIN, &order->frame);
		sent->path = order->path;
		sent->slot = order->slot;
		sent->buf_offset = order->buf_offset;
		sent->is_borrowed = !is_copied;
		if (harness->on_sent)
			harness->on_sent(harness, sent);
	}
	return is_copied;
}

static void on_zero(void *ctx, const struct read_target *target)
{
	struct harness *harness = ctx;

	CHECK_TRUE(harness->zero_count < HARNESS_ZEROS_MAX);
	harness->zeros[harness->zero_count++] = *target;
}

static void on_complete(void *ctx, unsigned slot, int error)
{
	struct harness *harness = ctx;

	CHECK_TRUE(harness->is_pending[slot]);
	harness->is_pending[slot] = false;
	harness->pending--;
	harness->completions[slot]++;
	harness->errors[slot] = error;
	if (harness->on_complete)
		harness->on_complete(harness, slot, error);
}

static void on_attached(void *ctx, int error, const char *text)
{
	struct harness *harness = ctx;

	harness->attached_count++;
	harness->attached_error = error;
	snprintf(harness->attached_text, sizeof(harness->attached_text), "%s", text);
}

static void on_detached(void *ctx, int error)
{
	struct harness *harness = ctx;

	harness->detached_count++;
	harness->detached_error = error;
}

static void on_event(void *ctx, const struct engine_event *event)
{
	struct harness *harness = ctx;

	harness->event_count[event->kind]++;
	harness->last_event[event->kind] = *event;
	snprintf(harness->last_event_text[event->kind], sizeof(harness->last_event_text[0]), "%s", event->text);
}

static const struct engine_ops ops = {
	.event = on_event,
	.connect = on_connect,
	.abort = on_abort,
	.send_message = on_send_message,
	.send_frame = on_send_frame,
	.send_write = on_send_write,
	.zero = on_zero,
	.complete = on_complete,
	.attached = on_attached,
	.detached = on_detached,
};

void harness_init(struct harness *harness, const struct volume_spec *spec, const struct engine_options *options)
{
	struct err err = {0};

	memset(harness, 0, sizeof(*harness));
	harness->spec = *spec;
	harness->options = options ? *options : harness_options();
	harness->now_ns = 1000000000;
	init_replicas(harness);
	harness->engine = engine_new(spec, &harness->options, &ops, harness, &err);
	if (!harness->engine)
		CHECK_FAIL("engine_new: %s", err.text);
	engine_set_now(harness->engine, harness->now_ns);
}

void harness_restart(struct harness *harness, const struct engine_options *options)
{
	struct err err = {0};

	engine_free(harness->engine);
	harness->options = *options;
	memset(harness->lanes, 0, sizeof(harness->lanes));
	memset(harness->is_pending, 0, sizeof(harness->is_pending));
	harness->message_count = harness->sent_count = harness->zero_count = harness->pending = 0;
	harness->attached_count = harness->detached_count = 0;
	harness->engine = engine_new(&harness->spec, options, &ops, harness, &err);
	if (!harness->engine)
		CHECK_FAIL("engine_new: %s", err.text);
	engine_set_now(harness->engine, harness->now_ns);
}

void harness_fini(struct harness *harness)
{
	engine_free(harness->engine);
	harness->engine = NULL;
}

void harness_tick(struct harness *harness, uint64_t ns)
{
	harness->now_ns += ns;
	engine_set_now(harness->engine, harness->now_ns);
	engine_tick(harness->engine);
}

/* The driver's duty before it reports a lane closed: nothing borrows any more, and nothing more arrives. */
static void drop_sent(struct harness *harness, unsigned leg, enum lane lane)
{
	for (unsigned i = 0; i < harness->sent_count; i++) {
		struct harness_sent *sent = &harness->sent[i];

		if (sent->leg != leg || sent->lane != lane)
			continue;
		sent->is_answered = true;
		sent->is_arriving = false;
		if (sent->is_borrowed)
			harness_release(harness, sent);
	}
	for (unsigned i = 0; i < harness->message_count; i++) {
		if (harness->messages[i].leg == leg && harness->messages[i].lane == lane)
			harness->messages[i].kind = 0;
	}
}

static void close_lane(struct harness *harness, unsigned leg, enum lane lane, int error, const char *reason)
{
	struct harness_lane *it = lane_of(harness, leg, lane);

	drop_sent(harness, leg, lane);
	it->state = HARNESS_CLOSED;
	it->is_aborted = false;
	engine_lane_closed(harness->engine, leg, lane, error, reason);
}

void harness_break(struct harness *harness, unsigned leg, enum lane lane)
{
	CHECK_TRUE(lane_of(harness, leg, lane)->state != HARNESS_CLOSED);
	close_lane(harness, leg, lane, -ECONNRESET, "closed by the peer");
}

static bool pump_lane(struct harness *harness, unsigned leg, enum lane lane)
{
	struct harness_lane *it = lane_of(harness, leg, lane);

	if (it->is_aborted) {
		close_lane(harness, leg, lane, 0, "aborted");
		return true;
	}
	if (it->state != HARNESS_CONNECTING)
		return false;
	if (!harness->replicas[leg].is_reachable) {
		close_lane(harness, leg, lane, -ECONNREFUSED, "connect");
		return true;
	}
	it->state = HARNESS_OPEN;
	engine_lane_connected(harness->engine, leg, lane);
	return true;
}

bool harness_step(struct harness *harness)
{
	if (harness_pump_message(harness))
		return true;
	for (unsigned leg = 0; leg < volume_leg_count(&harness->spec); leg++) {
		if (pump_lane(harness, leg, LANE_MAIN) || pump_lane(harness, leg, LANE_BULK))
			return true;
	}
	return false;
}

void harness_pump(struct harness *harness)
{
	unsigned steps = 0;

	while (harness_step(harness))
		CHECK_TRUE(++steps < 10000);
}

void harness_attach(struct harness *harness)
{
	engine_attach(harness->engine);
	harness_pump(harness);
	CHECK_EQ_U64(1, harness->attached_count);
	if (harness->attached_error)
		CHECK_FAIL("attach: %s", harness->attached_text);
}

void harness_kill(struct harness *harness, unsigned leg)
{
	harness->replicas[leg].is_reachable = false;
	harness_break(harness, leg, LANE_MAIN);
	harness_pump(harness);
}

void harness_raise(struct harness *harness, unsigned leg)
{
	harness->replicas[leg].is_reachable = true;
	harness_tick(harness, 16 * harness->options.reconnect_ns);
	harness_pump(harness);
	CHECK_EQ_INT(LEG_UP, harness_status(harness).legs[leg].state);
}

void harness_submit(struct harness *harness, unsigned slot, enum request_op op, unsigned flags, uint64_t offset,
		    uint64_t length)
{
	struct request request = {.slot = slot, .op = op, .flags = flags, .offset = offset, .length = length};

	CHECK_FALSE(harness->is_pending[slot]);
	harness->is_pending[slot] = true;
	harness->pending++;
	engine_submit(harness->engine, &request);
}

struct harness_sent *harness_find(struct harness *harness, unsigned leg, uint8_t type)
{
	for (unsigned i = 0; i < harness->sent_count; i++) {
		struct harness_sent *sent = &harness->sent[i];

		if (sent->leg == leg && sent->frame.type == type && !sent->is_answered)
			return sent;
	}
	return NULL;
}

unsigned harness_count(const struct harness *harness, uint8_t type)
{
	unsigned count = 0;

	for (unsigned i = 0; i < harness->sent_count; i++)
		count += harness->sent[i].frame.type == type && !harness->sent[i].is_answered;
	return count;
}

struct frame harness_reply(const struct harness *harness, const struct harness_sent *sent)
{
	return (struct frame){
		.type = sent->frame.type | FRAME_REPLY,
		.epoch = sent->frame.epoch,
		.session = sent->frame.session,
		.id = sent->frame.id,
		.length = sent->frame.type == FRAME_READ ? sent->frame.length : 0,
		.checksum = sent->frame.type == FRAME_WRITE ? 0x1234 : 0,
	};
}

int harness_raw_reply(struct harness *harness, unsigned leg, enum lane lane, const struct frame *reply)
{
	struct read_target target;

	return engine_reply(harness->engine, leg, lane, reply, &target);
}

void harness_answer_read(struct harness *harness, struct harness_sent *sent, uint32_t bytes)
{
	struct frame reply = harness_reply(harness, sent);

	CHECK_FALSE(sent->is_answered);
	CHECK_EQ_INT(FRAME_READ, sent->frame.type);
	sent->is_answered = true;
	sent->is_arriving = bytes > 0;
	reply.length = bytes;
	CHECK_OK(engine_reply(harness->engine, sent->leg, sent->lane, &reply, &sent->target));
	CHECK_EQ_U64(bytes, sent->target.length);
}

void harness_place(struct harness *harness, struct harness_sent *sent)
{
	CHECK_TRUE(sent->is_arriving);
	sent->is_arriving = false;
	engine_read_placed(harness->engine, sent->leg, sent->lane, sent->target.id);
}

void harness_answer(struct harness *harness, struct harness_sent *sent, enum wire_status status)
{
	struct frame reply = harness_reply(harness, sent);
	struct read_target target;

	if (sent->frame.type == FRAME_READ && status == WIRE_OK) {
		harness_answer_read(harness, sent, sent->frame.length);
		harness_place(harness, sent);
		return;
	}
	sent->is_answered = true;
	/* R4: the stamp is there before the acknowledgement. */
	if (status == WIRE_OK && sent->frame.flags & FRAME_F_STAMP)
		harness_stamp_frame(&harness->replicas[sent->leg], &sent->frame);
	reply.status = status;
	reply.length = 0;
	CHECK_OK(engine_reply(harness->engine, sent->leg, sent->lane, &reply, &target));
	CHECK_EQ_U64(0, target.length);
}

void harness_release(struct harness *harness, struct harness_sent *sent)
{
	CHECK_TRUE(sent->is_borrowed);
	sent->is_borrowed = false;
	engine_payload_released(harness->engine, sent->leg, sent->frame.id);
}

void harness_zero(struct harness *harness, int error)
{
	uint64_t id;

	CHECK_TRUE(harness->zero_count > 0);
	id = harness->zeros[0].id;
	memmove(harness->zeros, harness->zeros + 1, --harness->zero_count * sizeof(harness->zeros[0]));
	engine_zeroed(harness->engine, id, error);
}

void harness_sweep(struct harness *harness)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < harness->sent_count; i++) {
		const struct harness_sent *sent = &harness->sent[i];

		if (!sent->is_answered || sent->is_arriving || sent->is_borrowed)
			harness->sent[kept++] = *sent;
	}
	harness->sent_count = kept;
}

void harness_answer_all(struct harness *harness)
{
	while (harness->sent_count > 0 || harness->zero_count > 0) {
		for (unsigned i = 0; i < harness->sent_count; i++) {
			if (harness->sent[i].is_arriving)
				harness_place(harness, &harness->sent[i]);
			if (!harness->sent[i].is_answered)
				harness_answer(harness, &harness->sent[i], WIRE_OK);
			if (harness->sent[i].is_borrowed)
				harness_release(harness, &harness->sent[i]);
		}
		harness_sweep(harness);
		while (harness->zero_count > 0)
			harness_zero(harness, 0);
	}
}

struct engine_status harness_status(const struct harness *harness)
{
	struct engine_status status;

	engine_status(harness->engine, &status);
	return status;
}
