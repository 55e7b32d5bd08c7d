/* The engine's public face: memory for its life, events in, and the loop that starts what became free. Decides nothing
 * itself: slot.c takes requests in, attach.c and link.c keep the legs, read.c, write.c and flush.c move the data.
 * On every request's path: engine_submit(), engine_reply(), and what follows them. */
#include "gateway/core/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/core/engine_state.h"

void engine_options_default(struct engine_options *ret)
{
	*ret = (struct engine_options){
		.queue_depth = QUEUE_DEPTH_DEFAULT,
		.bulk_min_bytes = BULK_MIN_BYTES_DEFAULT,
		.read_run = 8,
		.answer_deadline_ns = 3000000000ull,
		.reconnect_ns = 100000000ull,
		.sync_interval_ns = 1000000000ull,
		.attach_wait_ns = 3000000000ull,
		.attach_limit_ns = 30000000000ull,
		.min_in_sync = 1,
		.quorum_wait_ns = 30000000000ull,
		.unseen_below_percent = 25,
		.slow_factor = 16,
		.slow_ns = 10000000000ull,
		.slow_rest_ns = 60000000000ull,
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
	if (options->min_in_sync == 0 || options->min_in_sync > SET_REPLICAS_MAX)
		return err_set(err, -EINVAL, "min-in-sync %u: must be 1 to %u", options->min_in_sync, SET_REPLICAS_MAX);
	if (options->nonce == 0)
		return err_set(err, -EINVAL, "nonce 0: must be random and not 0");
	return 0;
}

static void set_init(struct set *set, unsigned index, unsigned first_leg, const struct set_spec *spec)
{
	*set = (struct set){
		.index = index,
		.first_leg = first_leg,
		.leg_count = spec->replica_count,
		.all_legs = (uint8_t)((1u << spec->replica_count) - 1),
		.next_wseq = 1,
		.failed_from = UINT64_MAX,
	};
	for (unsigned i = 0; i < spec->replica_count; i++) {
		if (spec->replicas[i].kind != VOTER_WITNESS)
			set->data_legs |= (uint8_t)(1u << i);
	}
	membership_init(&set->members, set->leg_count, set->data_legs);
	list_init(&set->held);
	list_init(&set->waiting);
	list_init(&set->writes);
	list_init(&set->flushes);
}

static void init_sets_and_legs(struct engine *engine)
{
	unsigned leg = 0;

	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		const struct set_spec *spec = &engine->spec.sets[i];

		set_init(&engine->sets[i], i, leg, spec);
		for (unsigned j = 0; j < spec->replica_count; j++, leg++) {
			leg_init(&engine->legs[leg], leg, i, j);
			engine->legs[leg].is_witness = spec->replicas[j].kind == VOTER_WITNESS;
		}
	}
}

#define SET_MAPS 4u /* uncertain, stamp_map and the two windows */

static uint64_t regions_of(const struct volume_spec *spec, unsigned set)
{
	return region_count_of(volume_set_bytes(spec, set));
}

static size_t map_words_needed(const struct volume_spec *spec)
{
	size_t words = 0;

	for (unsigned i = 0; i < spec->set_count; i++)
		words += (SET_MAPS + spec->sets[i].replica_count) * region_map_words(regions_of(spec, i));
	return words;
}

static void init_maps(struct engine *engine)
{
	uint64_t *words = engine->map_words;

	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		struct set *set = &engine->sets[i];
		uint64_t regions = regions_of(&engine->spec, i);
		size_t each = region_map_words(regions);

		region_map_init(&set->uncertain, words, regions);
		region_map_init(&set->stamp_map, words + each, regions);
		unsynced_init(&set->unsynced, words + 2 * each, words + 3 * each, regions);
		words += SET_MAPS * each;
		for (unsigned j = 0; j < set->leg_count; j++, words += each)
			region_map_init(&set_leg(engine, set, j)->to_copy, words, regions);
	}
}

static void part_init(struct part *part, struct slot *slot)
{
	part->slot = slot;
	range_entry_init(&part->range);
	list_init(&part->node);
	for (unsigned i = 0; i < SET_VOTERS_MAX; i++)
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
	for (unsigned i = 0; i < RESYNC_SLOTS; i++)
		engine->copies[i].slot = &engine->slots[engine_resync_slot(engine, i)];
}

/* Any part of any slot may fall on the set, a copy's too. */
static bool take_lock_memory(struct engine *engine)
{
	unsigned capacity = engine->slot_count * engine->parts_per_slot;
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
	engine->map_words = calloc(map_words_needed(&engine->spec), sizeof(*engine->map_words));
	return engine->legs && engine->sets && engine->slots && engine->parts && engine->map_words;
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
	engine->slot_count = options->queue_depth + spec->set_count + RESYNC_SLOTS;
	engine->is_recovering = options->is_recovery;
	engine->resync_pace.bytes_per_s = options->resync_bytes_per_s;
	list_init(&engine->ready);
	if (!take_memory(engine))
		goto err_memory;
	init_sets_and_legs(engine);
	if (!take_lock_memory(engine))
		goto err_memory;
	init_maps(engine);
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
	free(engine->map_words);
	free(engine->parts);
	free(engine->slots);
	for (unsigned i = 0; engine->sets && i < engine->spec.set_count; i++)
		range_lock_fini(&engine->sets[i].lock);
	free(engine->sets);
	free(engine->legs);
	free(engine);
}

unsigned engine_resync_slot(const struct engine *engine, unsigned nth)
{
	return engine->options.queue_depth + engine->spec.set_count + nth;
}

static void start_granted(struct engine *engine)
{
	struct range_entry *entry;

	while ((entry = list_first(&engine->ready, struct range_entry, granted))) {
		list_del(&entry->granted);
		part_start(engine, container_of(entry, struct part, range));
	}
}

/* False: nothing happened to any set. */
static bool look_at_sets(struct engine *engine)
{
	bool has_looked = false;

	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		struct set *set = &engine->sets[i];

		if (!set->needs_look)
			continue;
		set->needs_look = false;
		has_looked = true;
		if (engine->state == VOLUME_FAILED || engine->is_detached || engine->phase != PHASE_BOUND)
			continue;
		assemble_set(engine, set);
		evict_progress(engine, set);
		resync_progress(engine, set);
	}
	return has_looked;
}

/* Every set is served for the first time. */
static void report_attached(struct engine *engine)
{
	uint64_t took_ns = engine->now_ns - engine->state_ns;

	engine->is_attached = true;
	engine_set_state(engine, VOLUME_SERVING);
	engine->ops->attached(engine->ctx, 0, "");
	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		struct set *set = &engine->sets[i];

		engine_tell(engine, EVENT_ATTACHED, set, NULL, took_ns, "epoch %" PRIu32 ", %d of %d replicas in sync",
			    engine->ballot.epoch, __builtin_popcount(set->members.in),
			    __builtin_popcount(set->data_legs));
		set->needs_look = true;
		set_drain(engine, set);
	}
}

void engine_run(struct engine *engine)
{
	bool has_more = true;

	pace_wake(engine);
	while (has_more) {
		start_granted(engine);
		if (engine->is_reattaching)
			assemble_restart(engine);
		has_more = look_at_sets(engine) || !list_is_empty(&engine->ready) || engine->is_reattaching;
		if (engine->state == VOLUME_ATTACHING && !engine->is_attached && engine->phase == PHASE_BOUND &&
		    assemble_is_complete(engine)) {
			report_attached(engine);
			has_more = true;
		}
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
		if (engine->sets[i].phase != SET_SERVING || engine->sets[i].is_suspended)
			state = VOLUME_SUSPENDED;
	}
	engine_set_state(engine, state);
}

const char *engine_event_name(enum engine_event_kind kind)
{
	static const char *const names[] = {
		[EVENT_ATTACHED] = "attached",
		[EVENT_REATTACHING] = "reattaching",
		[EVENT_EVICTING] = "evicting",
		[EVENT_EVICTED] = "evicted",
		[EVENT_REJOINING] = "rejoining",
		[EVENT_REJOIN_STOPPED] = "rejoin-stopped",
		[EVENT_REJOINED] = "rejoined",
		[EVENT_RECONCILING] = "reconciling",
		[EVENT_RECONCILED] = "reconciled",
		[EVENT_SUSPENDED] = "suspended",
		[EVENT_RESUMED] = "resumed",
		[EVENT_FAILED] = "failed",
		[EVENT_LOSS_RECORDED] = "loss-recorded",
		[EVENT_CHECKSUM_REPAIRED] = "checksum-repaired",
		[EVENT_VERIFYING] = "verifying",
		[EVENT_VERIFIED] = "verified",
		[EVENT_VERIFY_ENDED] = "verify-ended",
		[EVENT_DIFFERENCE] = "difference",
		[EVENT_REPLACED] = "replaced",
	};

	return (unsigned)kind < ARRAY_COUNT(names) && names[kind] ? names[kind] : "?";
}

static uint64_t copied_by(enum engine_event_kind kind, const struct set *set, const struct leg *leg)
{
	if (kind == EVENT_REJOINED && leg)
		return leg->rejoin.copied_bytes;
	return kind == EVENT_RECONCILED && set ? set->reconcile_bytes : 0;
}

void engine_tell(struct engine *engine, enum engine_event_kind kind, const struct set *set, const struct leg *leg,
		 uint64_t duration_ns, const char *format, ...)
{
	char text[320];
	struct engine_event event = {
		.kind = kind,
		.set = set ? set->index : 0,
		.leg = leg ? leg->index : EVENT_NO_LEG,
		.gen = set ? set->members.highest_gen : 0,
		.duration_ns = duration_ns,
		.bytes = copied_by(kind, set, leg),
		.text = text,
	};
	va_list args;

	if (!engine->ops->event)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	engine->ops->event(engine->ctx, &event);
}

void engine_fail(struct engine *engine, int error, const char *text)
{
	if (engine->state == VOLUME_FAILED || engine->is_detached)
		return;
	snprintf(engine->failure, sizeof(engine->failure), "%s", text);
	engine_set_state(engine, VOLUME_FAILED);
	verify_end(engine, "the volume failed");
	if (engine->is_attached)
		engine_tell(engine, EVENT_FAILED, NULL, NULL, 0, "%s", text);
	else
		engine->ops->attached(engine->ctx, error, text);
	link_abort_all(engine, "the volume failed");
	if (links_are_down(engine))
		slots_fail_all(engine);
}

void engine_set_now(struct engine *engine, uint64_t now_ns)
{
	engine->now_ns = now_ns;
}

void engine_tick(struct engine *engine)
{
	pace_refill(&engine->resync_pace, engine->now_ns);
	verify_tick(engine);
	for (unsigned i = 0; i < engine->leg_count; i++)
		link_tick(engine, &engine->legs[i]);
	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		struct set *set = &engine->sets[i];

		/* Deadlines of an attach, rests of a leg. */
		set->needs_look |= set->phase != SET_SERVING || set->members.in != set->data_legs || set->evicting ||
				   set->copies_rest_ns;
		flush_tick(engine, set);
		evict_tick(engine, set);
		resync_tick(engine, set);
	}
	copy_tick(engine);
	assemble_progress(engine);
	flush_detach_progress(engine);
	engine_run(engine);
}

void engine_attach(struct engine *engine)
{
	assert(engine->phase == PHASE_IDLE);
	engine->phase = PHASE_PROBE;
	engine->state_ns = engine->phase_ns = engine->now_ns;
	for (unsigned i = 0; i < engine->spec.set_count; i++)
		engine->sets[i].sync_ns = engine->now_ns; /* the first SYNC is due an interval from here as well */
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
	verify_end(engine, "the volume is being detached");
	engine->detach_ns = engine->now_ns;
	flush_detach_progress(engine);
	engine_run(engine);
}

void engine_recovered(struct engine *engine)
{
	engine->is_recovering = false;
	for (unsigned i = 0; i < engine->spec.set_count; i++)
		set_unhold(engine, &engine->sets[i]);
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

bool engine_outlived_leases(const struct engine *engine)
{
	bool has_outlived = engine->is_attached;

	for (unsigned i = 0; i < engine->spec.set_count; i++)
		has_outlived &= engine->sets[i].phase == SET_SERVING && set_has_outlived(engine, &engine->sets[i]);
	return has_outlived;
}

unsigned engine_outstanding(const struct engine *engine)
{
	return engine->outstanding;
}

uint64_t engine_outstanding_bytes(const struct engine *engine)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < engine->leg_count; i++)
		if (engine->legs[i].outstanding_bytes > most)
			most = engine->legs[i].outstanding_bytes;
	return most;
}

unsigned engine_answers_due(const struct engine *engine)
{
	unsigned due;

	if (engine->outstanding != 1 || engine->outstanding_reads || engine->spec.set_count != 1)
		return 1;
	due = (unsigned)__builtin_popcount(engine->sets[0].up_legs);
	return due ? due : 1;
}
