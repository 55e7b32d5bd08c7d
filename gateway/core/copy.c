/* One region made equal, under its range lock (R3.7, R7): digests of the source and of the others, then the pieces that
 * differ, read from the source into a slot of the engine's own and written to those that differ.
 *
 *	IDLE -> LOCKING -> DIGEST -+-> IDLE (equal)
 *			     ^     |
 *			     |     +-> READ -> WRITE -+-> IDLE (all pieces done)
 *			     |		^-------------+
 *
 * A lost source or target stops it; it ends when nothing of it is outstanding any more, and the region stays marked, so
 * that whoever is the next source is read only after what was on its way to it was answered.
 * Beside a request's path: client writes to the region wait for the lock. */
#include <errno.h>
#include <string.h>

#include "gateway/core/engine_state.h"
#include "proto/status.h"

#define COPY_BITS 3

static_assert(RESYNC_SLOTS <= 1u << COPY_BITS, "a copy's number fits its bits");

static struct part *part_of(const struct copy *copy)
{
	return &copy->slot->parts[0];
}

static unsigned index_of(const struct engine *engine, const struct copy *copy)
{
	return (unsigned)(copy - engine->copies);
}

unsigned copy_active(const struct engine *engine, const struct set *set)
{
	unsigned count = 0;

	for (unsigned i = 0; i < RESYNC_SLOTS; i++)
		count += engine->copies[i].phase != COPY_IDLE && (!set || engine->copies[i].set == set->index);
	return count;
}

bool copy_is_of(const struct engine *engine, const struct set *set, uint64_t region)
{
	for (unsigned i = 0; i < RESYNC_SLOTS; i++) {
		const struct copy *copy = &engine->copies[i];

		if (copy->phase != COPY_IDLE && copy->set == set->index && copy->region == region)
			return true;
	}
	return false;
}

bool copy_begin(struct engine *engine, struct set *set, uint64_t region, uint8_t source, uint8_t targets,
		bool is_reconcile)
{
	uint64_t set_bytes = volume_set_bytes(&engine->spec, set->index), start = region * REGION_BYTES;
	struct copy *copy = NULL;
	struct layout_part at;

	for (unsigned i = 0; i < RESYNC_SLOTS && !copy; i++)
		copy = engine->copies[i].phase == COPY_IDLE ? &engine->copies[i] : NULL;
	if (!copy)
		return false;
	copy->phase = COPY_LOCKING;
	copy->set = set->index;
	copy->region = region;
	copy->bytes = set_bytes - start < REGION_BYTES ? set_bytes - start : REGION_BYTES;
	copy->source = source;
	copy->targets = targets;
	copy->is_reconcile = is_reconcile;
	copy->is_stopped = false;
	copy->round++;
	copy->digests_asked = copy->digests_held = 0;
	engine->resync_budget -= engine->resync_budget < copy->bytes ? engine->resync_budget : copy->bytes;
	at = (struct layout_part){.set = set->index, .set_offset = start, .length = copy->bytes};
	if (slot_take_copy(engine, copy, &at))
		copy_locked(engine, copy);
	return true;
}

static void finish(struct engine *engine, struct copy *copy, bool is_equal)
{
	copy->phase = COPY_IDLE;
	engine->sets[copy->set].needs_look = true;
	slot_free_copy(engine, copy);
	if (is_equal)
		resync_copied(engine, copy);
}

static bool is_outstanding(const struct copy *copy)
{
	return part_is_outstanding(part_of(copy)) || copy->slot->borrows > 0 || part_of(copy)->state == PART_ZEROING;
}

/* Stopped: over as soon as nobody works on it any more. */
static void end_if_idle(struct engine *engine, struct copy *copy)
{
	if (copy->phase == COPY_LOCKING || is_outstanding(copy))
		return;
	finish(engine, copy, false);
}

static void stop(struct engine *engine, struct copy *copy)
{
	copy->is_stopped = true;
	end_if_idle(engine, copy);
}

void copy_locked(struct engine *engine, struct copy *copy)
{
	struct set *set = &engine->sets[copy->set];
	uint8_t legs = copy->targets | (uint8_t)(1u << copy->source);

	copy->phase = COPY_DIGEST;
	if (copy->is_stopped || (legs & ~set->up_legs)) {
		stop(engine, copy);
		return;
	}
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(legs & leg_bit(leg)))
			continue;
		copy->digests_asked |= leg_bit(leg);
		engine->message.digest =
			(struct message_digest){engine->ballot, copy->region * REGION_BYTES, (uint32_t)copy->bytes};
		attach_ask(engine, leg, MESSAGE_DIGEST, (uint32_t)copy->round << COPY_BITS | index_of(engine, copy));
	}
}

static unsigned pieces_of(const struct copy *copy)
{
	return (unsigned)((copy->bytes + DIGEST_PIECE_BYTES - 1) / DIGEST_PIECE_BYTES);
}

static bool is_different(const struct copy *copy, unsigned leg, unsigned piece)
{
	return memcmp(copy->digests[leg][piece], copy->digests[copy->source][piece], DIGEST_BYTES) != 0;
}

static void compare(struct copy *copy)
{
	copy->differ = 0;
	for (unsigned leg = 0; leg < SET_VOTERS_MAX; leg++) {
		for (unsigned piece = 0; copy->targets & 1u << leg && piece < pieces_of(copy); piece++) {
			if (is_different(copy, leg, piece))
				copy->differ |= (uint16_t)(1u << piece);
		}
	}
}

/* The legs that differ in the first of a run of pieces, and how many pieces the same legs differ in. */
static void choose_run(struct copy *copy)
{
	unsigned piece = (unsigned)__builtin_ctz(copy->differ);
	uint8_t legs;

	copy->first_piece = piece;
	copy->piece_count = 0;
	for (; piece < pieces_of(copy) && copy->differ & 1u << piece; piece++, copy->piece_count++) {
		legs = 0;
		for (unsigned leg = 0; leg < SET_VOTERS_MAX; leg++) {
			if (copy->targets & 1u << leg && is_different(copy, leg, piece))
				legs |= (uint8_t)(1u << leg);
		}
		if (copy->piece_count > 0 && legs != copy->differing_legs)
			return;
		copy->differing_legs = legs;
	}
}

static void read_run(struct engine *engine, struct copy *copy)
{
	struct part *part = part_of(copy);
	struct leg *leg = set_leg(engine, &engine->sets[copy->set], copy->source);
	uint64_t start = copy->first_piece * DIGEST_PIECE_BYTES, length = copy->piece_count * DIGEST_PIECE_BYTES;
	enum lane lane;

	if (start + length > copy->bytes)
		length = copy->bytes - start;
	lane = length > engine->options.bulk_min_bytes ? LANE_BULK : LANE_MAIN;
	copy->phase = COPY_READ;
	copy->slot->request.op = REQUEST_READ;
	part->at = (struct layout_part){copy->set, copy->region * REGION_BYTES + start, length, (uint32_t)start};
	part->id = slot_new_id(engine, slot_index(engine, copy->slot), 0);
	part->state = PART_SENT;
	part->arrived_bytes = 0;
	part->read_leg = copy->source;
	leg_op_sent(leg, lane, &part->legs[leg->in_set].op, (uint32_t)length, engine->now_ns);
	engine->ops->send_frame(engine->ctx, leg->index, lane,
				&(struct frame){
					.type = FRAME_READ,
					.epoch = engine->ballot.epoch,
					.session = leg->session,
					.length = (uint32_t)length,
					.id = part->id,
					.offset = part->at.set_offset,
					.stable_upto = engine->sets[copy->set].stable_upto,
				});
}

/* Somebody that it is about is on his way out, and will be reported lost. */
static bool is_interrupted(const struct engine *engine, const struct copy *copy)
{
	return copy->is_stopped || ((copy->targets | 1u << copy->source) & ~engine->sets[copy->set].up_legs) != 0;
}

static void next_run(struct engine *engine, struct copy *copy)
{
	if (is_interrupted(engine, copy)) {
		stop(engine, copy);
		return;
	}
	if (copy->differ == 0) {
		finish(engine, copy, true);
		return;
	}
	choose_run(copy);
	read_run(engine, copy);
}

void copy_digested(struct engine *engine, struct leg *leg, uint32_t tag, const struct message_digested *digested)
{
	unsigned index = tag & ((1u << COPY_BITS) - 1);
	struct copy *copy = index < RESYNC_SLOTS ? &engine->copies[index] : NULL;

	if (!copy || copy->phase != COPY_DIGEST || copy->set != leg->set || tag >> COPY_BITS != copy->round ||
	    !(copy->digests_asked & leg_bit(leg)))
		return; /* of a copy that was stopped */
	if (digested->offset != copy->region * REGION_BYTES || digested->count != pieces_of(copy)) {
		link_abort(engine, leg, "digested another range than it was asked for");
		return;
	}
	memcpy(copy->digests[leg->in_set], digested->digests, sizeof(digested->digests));
	copy->digests_held |= leg_bit(leg);
	if (copy->digests_held != copy->digests_asked)
		return;
	compare(copy);
	next_run(engine, copy);
}

static void count_copied(struct engine *engine, struct copy *copy, uint64_t bytes)
{
	struct set *set = &engine->sets[copy->set];

	if (copy->is_reconcile) {
		set->reconcile_bytes += bytes;
		engine->counters.reconciled_bytes += bytes;
		return;
	}
	engine->counters.resynced_bytes += bytes;
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (copy->differing_legs & 1u << i)
			set_leg(engine, set, i)->rejoin.copied_bytes += bytes;
	}
}

static void write_run(struct engine *engine, struct copy *copy)
{
	struct set *set = &engine->sets[copy->set];
	struct part *part = part_of(copy);
	struct write_order order = {
		.set = copy->set,
		.legs = (uint64_t)copy->differing_legs << set->first_leg,
		.path = part->at.length <= engine->options.bulk_min_bytes ? WRITE_GATHER : WRITE_BULK_COPY,
		.slot = copy->slot->request.slot,
		.buf_offset = part->at.buf_offset,
	};
	bool is_copied;

	copy->phase = COPY_WRITE;
	copy->slot->request.op = REQUEST_WRITE;
	part->id = slot_new_id(engine, slot_index(engine, copy->slot), 0);
	part->state = PART_SENT;
	part->acked = 0;
	order.frame = (struct frame){
		.type = FRAME_WRITE,
		.flags = FRAME_F_COPY | FRAME_F_STAMP,
		.epoch = engine->ballot.epoch,
		/* A joiner's stamps were raised before; the reconciled keep the higher of theirs and the attach's. */
		.gen = copy->is_reconcile ? set->members.stamp_gen : 1,
		.length = (uint32_t)part->at.length,
		.id = part->id,
		.offset = part->at.set_offset,
		.stable_upto = set->stable_upto,
	};
	/* On a member it counts as a write that only the next FLUSH makes durable. */
	unsynced_mark(&set->unsynced, part->at.set_offset, part->at.length);
	count_copied(engine, copy, part->at.length);
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (copy->differing_legs & 1u << i)
			leg_op_sent(set_leg(engine, set, i), LANE_MAIN, &part->legs[i].op, order.frame.length,
				    engine->now_ns);
	}
	is_copied = engine->ops->send_write(engine->ctx, &order);
	for (unsigned i = 0; !is_copied && i < set->leg_count; i++) {
		if (copy->differing_legs & 1u << i) {
			part->legs[i].borrows++;
			copy->slot->borrows++;
		}
	}
}

void copy_read_done(struct engine *engine, struct copy *copy)
{
	part_of(copy)->state = PART_SENT;
	if (is_interrupted(engine, copy))
		stop(engine, copy);
	else
		write_run(engine, copy);
}

void copy_read_failed(struct engine *engine, struct copy *copy, struct leg *leg)
{
	struct set *set = &engine->sets[copy->set];

	/* Not at once, and not from the same one if there is another. */
	set->read_leg = leg->in_set;
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *joiner = set_leg(engine, set, i);

		if (!copy->is_reconcile && copy->targets & leg_bit(joiner) && joiner->rejoin.phase == REJOIN_COPY)
			joiner->rejoin.retry_ns = engine->now_ns;
	}
	stop(engine, copy);
}

static void step_after_write(struct engine *engine, struct copy *copy)
{
	if (copy->phase != COPY_WRITE || is_outstanding(copy))
		return;
	/* A member's share of it needs a SYNC as any write does. */
	engine->sets[copy->set].completed_writes += copy->is_reconcile;
	if (!copy->is_stopped) {
		for (unsigned i = 0; i < copy->piece_count; i++)
			copy->differ &= (uint16_t) ~(1u << (copy->first_piece + i));
	}
	next_run(engine, copy);
}

/* `reply` NULL: a send let go of the memory. */
void copy_written(struct engine *engine, struct copy *copy, struct leg *leg, const struct frame *reply)
{
	if (reply && reply->status != WIRE_OK) {
		copy->is_stopped = true;
		if (reply->status == WIRE_ENOSPC)
			leg->rest_until_ns = engine->now_ns + 10000000000ull;
		if (reply->status == WIRE_ENOSPC)
			link_abort(engine, leg, "a resync found no space");
		else
			evict_faulty(engine, leg, "a resync could not write: %s",
				     wire_status_name((enum wire_status)reply->status));
	}
	step_after_write(engine, copy);
}

void copy_leg_lost(struct engine *engine, struct leg *leg)
{
	for (unsigned i = 0; i < RESYNC_SLOTS; i++) {
		struct copy *copy = &engine->copies[i];

		if (copy->phase == COPY_IDLE || copy->set != leg->set)
			continue;
		if (copy->source == leg->in_set || copy->targets & leg_bit(leg))
			stop(engine, copy);
	}
}

void copy_stop_all(struct engine *engine, struct set *set)
{
	for (unsigned i = 0; i < RESYNC_SLOTS; i++) {
		if (engine->copies[i].phase != COPY_IDLE && engine->copies[i].set == set->index)
			stop(engine, &engine->copies[i]);
	}
}

void copy_mark_unsynced(struct engine *engine, struct set *set)
{
	for (unsigned i = 0; i < RESYNC_SLOTS; i++) {
		const struct copy *copy = &engine->copies[i];

		if (copy->phase != COPY_IDLE && copy->set == set->index)
			unsynced_mark(&set->unsynced, copy->region * REGION_BYTES, copy->bytes);
	}
}
