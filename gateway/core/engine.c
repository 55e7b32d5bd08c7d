/* The engine's public face: memory for its life, events in, and the loop that starts what became free. Decides nothing
 * itself: slot.c takes requests in, attach.c and link.c keep the legs, read.c, write.c and flush.c move the data.
 * On every request's path: engine_submit(), engine_reply(), and what follows them. */
#include "gateway/core/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/core/engine_state.h"

void engine_options_default(struct engine_options *ret)
{
	*ret = (struct engine_options){
		.queue_depth = QUEUE_DEPTH_DEFAULT,
		.bulk_min_bytes = BULK_MIN_BYTES_DEFAULT,
		.read_run = 32,
		.answer_deadline_ns = 3000000000ull,
		.reconnect_ns = 100000000ull,
		.sync_interval_ns = 1000000000ull,
	};
}

static int check_options(const struct engine_options *options, struct err *err)
{
	if (options->queue_depth == 0 || options->queue_depth > QUEUE_DEPTH_MAX)
		return err_set(err, -EINVAL, "queue depth %u: must be 1 to %u", options->queue_depth, QUEUE_DEPTH_MAX);
	if (options->bulk_min_bytes > BULK_MIN_BYTES_MAX)
		return err_set(err, -EINVAL, "bulk boundary %" PRIu32 ": must be at most %llu bytes",
			       options->bulk_min_bytes, BULK_MIN_BYTES_MAX);
	if (options->read_run == 0)
		return err_set(err, -EINVAL, "read run 0: must be at least 1");
	if (options->answer_deadline_ns == 0 || options->reconnect_ns == 0)
		return err_set(err, -EINVAL, "deadlines: must be above 0");
	if (options->nonce == 0)
		return err_set(err, -EINVAL, "nonce 0: must be random and not 0");
	return 0;
}

static void set_init(struct set *set, unsigned index, unsigned first_leg, unsigned leg_count)
{
	*set = (struct set){
		.index = index,
		.first_leg = first_leg,
		.leg_count = leg_count,
		.all_legs = (uint8_t)((1u << leg_count) - 1),
		.readable_legs = (uint8_t)((1u << leg_count) - 1),
		.next_wseq = 1,
		.failed_from = UINT64_MAX,
	};
	list_init(&set->waiting);
	list_init(&set->writes);
	list_init(&set->flushes);
}

static void init_sets_and_legs(struct engine *engine)
{
	unsigned leg = 0;

	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		unsigned count = engine->spec.sets[i].replica_count;

		set_init(&engine->sets[i], i, leg, count);
		for (unsigned j = 0; j < count; j++, leg++)
			leg_init(&engine->legs[leg], leg, i, j);
	}
}

static void part_init(struct part *part, struct slot *slot)
{
	part->slot = slot;
	range_entry_init(&part->range);
	list_init(&part->node);
	for (unsigned i = 0; i < SET_REPLICAS_MAX; i++)
		leg_op_init(&part->legs[i].op, part);
}

static void init_slots(struct engine *engine)
{
	for (unsigned i = 0; i < engine->slot_count; i++) {
		struct slot *slot = &engine->slots[i];

		slot->parts = engine->parts + (size_t)i * engine->parts_per_slot;
		for (unsigned j = 0; j < engine->parts_per_slot; j++)
			part_init(&slot->parts[j], slot);
	}
}

/* Any part of any slot may fall on the set. */
static bool take_lock_memory(struct engine *engine)
{
	unsigned capacity = engine->options.queue_depth * engine->parts_per_slot;
	bool is_taken = true;

	for (unsigned i = 0; i < engine->spec.set_count; i++)
		is_taken &= range_lock_init(&engine->sets[i].lock, capacity) == 0;
	return is_taken;
}

static bool take_memory(struct engine *engine)
{
	engine->legs = calloc(engine->leg_count, sizeof(*engine->legs));
	engine->sets = calloc(engine->spec.set_count, sizeof(*engine->sets));
	engine->slots = calloc(engine->slot_count, sizeof(*engine->slots));
	engine->parts = calloc((size_t)engine->slot_count * engine->parts_per_slot, sizeof(*engine->parts));
	return engine->legs && engine->sets && engine->slots && engine->parts;
}

struct engine *engine_new(const struct volume_spec *spec, const struct engine_options *options,
			  const struct engine_ops *ops, void *ctx, struct err *err)
{
	struct engine *engine;

	if (volume_spec_check(spec, err) || check_options(options, err))
		return NULL;
	engine = calloc(1, sizeof(*engine));
	if (!engine)
		goto err_memory;
	engine->spec = *spec;
	engine->options = *options;
	engine->options.client[sizeof(engine->options.client) - 1] = '\0';
	engine->ops = ops;
	engine->ctx = ctx;
	engine->layout = (struct layout){spec->size_bytes, spec->chunk_bytes, spec->set_count};
	engine->leg_count = volume_leg_count(spec);
	engine->parts_per_slot = layout_parts_max(&engine->layout);
	engine->slot_count = options->queue_depth + spec->set_count;
	list_init(&engine->ready);
	if (!take_memory(engine))
		goto err_memory;
	init_sets_and_legs(engine);
	if (!take_lock_memory(engine))
		goto err_memory;
	init_slots(engine);
	return engine;

err_memory:
	engine_free(engine);
	(void)err_set(err, -ENOMEM, "volume %s: no memory for the engine", spec->name);
	return NULL;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	free(engine->parts);
	free(engine->slots);
	for (unsigned i = 0; engine->sets && i < engine->spec.set_count; i++)
		range_lock_fini(&engine->sets[i].lock);
	free(engine->sets);
	free(engine->legs);
	free(engine);
}

void engine_run(struct engine *engine)
{
	struct range_entry *entry;

	while ((entry = list_first(&engine->ready, struct range_entry, granted))) {
		list_del(&entry->granted);
		part_start(engine, container_of(entry, struct part, range));
	}
}

void engine_set_state(struct engine *engine, enum volume_state state)
{
	if (engine->state == state)
		return;
	engine->state = state;
	engine->state_ns = engine->now_ns;
}

void engine_refresh_state(struct engine *engine)
{
	enum volume_state state = VOLUME_SERVING;

	if (engine->state != VOLUME_SERVING && engine->state != VOLUME_SUSPENDED)
		return;
	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		if (!set_is_open(engine, &engine->sets[i]))
			state = VOLUME_SUSPENDED;
	}
	engine_set_state(engine, state);
}

void engine_attached(struct engine *engine)
{
	engine->is_attached = true;
	engine_set_state(engine, VOLUME_SERVING);
	engine->ops->attached(engine->ctx, 0, "");
	for (unsigned i = 0; i < engine->spec.set_count; i++)
		set_drain(engine, &engine->sets[i]);
}

void engine_fail(struct engine *engine, int error, const char *text)
{
	if (engine->state == VOLUME_FAILED || engine->is_detached)
		return;
	snprintf(engine->failure, sizeof(engine->failure), "%s", text);
	engine_set_state(engine, VOLUME_FAILED);
	if (!engine->is_attached)
		engine->ops->attached(engine->ctx, error, text);
	/* Requests fail when the last lane is closed: until then something may still touch their memory. */
	link_abort_all(engine, "the volume failed");
}

void engine_set_now(struct engine *engine, uint64_t now_ns)
{
	engine->now_ns = now_ns;
}

void engine_tick(struct engine *engine)
{
	for (unsigned i = 0; i < engine->leg_count; i++)
		link_tick(engine, &engine->legs[i]);
	for (unsigned i = 0; i < engine->spec.set_count; i++)
		flush_tick(engine, &engine->sets[i]);
	flush_detach_progress(engine);
	engine_run(engine);
}

void engine_attach(struct engine *engine)
{
	assert(engine->phase == PHASE_IDLE);
	engine->phase = PHASE_PROBE;
	engine->state_ns = engine->now_ns;
	for (unsigned i = 0; i < engine->leg_count; i++)
		link_connect(engine, &engine->legs[i]);
}

void engine_detach(struct engine *engine)
{
	assert(engine->outstanding == 0);
	if (engine->is_detached || engine->state == VOLUME_DETACHING)
		return;
	if (engine->state == VOLUME_FAILED) {
		engine->is_detached = true;
		engine->ops->detached(engine->ctx, engine->is_attached ? -EIO : 0);
		return;
	}
	engine_set_state(engine, VOLUME_DETACHING);
	engine->detach_ns = engine->now_ns;
	flush_detach_progress(engine);
	engine_run(engine);
}

void engine_submit(struct engine *engine, const struct request *request)
{
	slot_submit(engine, request);
	engine_run(engine);
}

static struct leg *leg_at(struct engine *engine, unsigned leg)
{
	assert(leg < engine->leg_count);
	return &engine->legs[leg];
}

void engine_lane_connected(struct engine *engine, unsigned leg, enum lane lane)
{
	link_connected(engine, leg_at(engine, leg), lane);
	engine_run(engine);
}

void engine_lane_closed(struct engine *engine, unsigned leg, enum lane lane, int error, const char *reason)
{
	link_closed(engine, leg_at(engine, leg), lane, error, reason);
	engine_run(engine);
}

void engine_message(struct engine *engine, unsigned leg, enum lane lane, const struct message *message)
{
	struct leg *it = leg_at(engine, leg);

	if (it->lanes[lane].state != LANE_STATE_OPEN)
		return;
	attach_message(engine, it, lane, message);
	engine_run(engine);
}

int engine_reply(struct engine *engine, unsigned leg, enum lane lane, const struct frame *reply,
		 struct read_target *ret)
{
	int error = reply_dispatch(engine, leg_at(engine, leg), lane, reply, ret);

	engine_run(engine);
	return error;
}

void engine_read_placed(struct engine *engine, unsigned leg, enum lane lane, uint64_t id)
{
	(void)lane; /* the id says it */
	read_placed(engine, leg_at(engine, leg), id);
	engine_run(engine);
}

void engine_payload_released(struct engine *engine, unsigned leg, uint64_t id)
{
	write_released(engine, leg_at(engine, leg), id);
	engine_run(engine);
}

void engine_zeroed(struct engine *engine, uint64_t id, int error)
{
	read_zeroed(engine, id, error);
	engine_run(engine);
}

uint32_t engine_leg_session(const struct engine *engine, unsigned leg)
{
	assert(leg < engine->leg_count);
	return engine->legs[leg].session;
}

void engine_batch_frame(const struct engine *engine, unsigned leg, uint32_t length, struct frame *ret)
{
	assert(leg < engine->leg_count);
	*ret = (struct frame){
		.type = FRAME_BATCH,
		.epoch = engine->ballot.epoch,
		.session = engine->legs[leg].session,
		.length = length,
		.stable_upto = engine->sets[engine->legs[leg].set].stable_upto,
	};
}

unsigned engine_outstanding(const struct engine *engine)
{
	return engine->outstanding;
}
