/* One region compared, under its range lock, and made equal (R3.7, R7, verify.c): digests of the source and of the
 * others, then the pieces that differ, read from the source into a slot of the engine's own and written to those that
 * differ. Where comparing does not pay (comparing.h), a rejoin takes all pieces for different.
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

#include "common/mutant.h"
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

unsigned copy_active(const struct engine *engine, const struct set *set, unsigned purposes)
{
	unsigned count = 0;

	for (unsigned i = 0; i < RESYNC_SLOTS; i++) {
		const struct copy *copy = &engine->copies[i];

		count += copy->phase != COPY_IDLE && copy->purpose & purposes && (!set || copy->set == set->index);
	}
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
		enum copy_purpose purpose)
{
	uint64_t set_bytes = volume_set_bytes(&engine->spec, set->index), start = region * REGION_BYTES;
	struct copy *copy = NULL;
	struct layout_part at;

	for (unsigned i = 0; i < RESYNC_SLOTS && !copy; i++)
		copy = engine->copies[i].phase == COPY_IDLE ? &engine->copies[i] : NULL;
	if (!copy)
		return false;
	pace_began(engine);
	copy->phase = COPY_LOCKING;
	copy->set = set->index;
	copy->region = region;
	copy->bytes = set_bytes - start < REGION_BYTES ? set_bytes - start : REGION_BYTES;
	copy->source = source;
	copy->targets = targets;
	copy->legs = targets | (uint8_t)(1u << source);
	copy->purpose = purpose;
	copy->is_read_only = purpose == COPY_VERIFY && !engine->verify.order.repair && !MUTANT(verify_repairs_unasked);
	copy->is_stopped = copy->is_unseen = false;
	copy->round++;
	copy->digests_asked = copy->digests_held = 0;
	pace_spend(purpose == COPY_VERIFY ? &engine->verify.pace : &engine->resync_pace, copy->bytes);
	at = (struct layout_part){.set = set->index, .set_offset = start, .length = copy->bytes};
	if (slot_take_copy(engine, copy, &at))
		copy_locked(engine, copy);
	return true;
}

static void finish(struct engine *engine, struct copy *copy, bool is_done)
{
	copy->phase = COPY_IDLE;
	engine->sets[copy->set].needs_look = true;
	slot_free_copy(engine, copy);
	pace_ended(engine);
	if (copy->purpose == COPY_VERIFY && is_done)
		verify_region_done(engine, copy);
	else if (copy->purpose == COPY_VERIFY)
		verify_region_stopped(engine, copy);
	else if (is_done)
		resync_copied(engine, copy);
}

static bool is_outstanding(const struct copy *copy)
{
	return part_is_outstanding(part_of(copy)) || copy->slot->borrows > 0 || part_of(copy)->state == PART_ZEROING;
}

/* Stopped: over as soon as nobody works on it any more. */
static void end_if_idle(struct engine *engine, struct copy *copy)
{
	if (!is_outstanding(copy))
		finish(engine, copy, false);
}

static void stop(struct engine *engine, struct copy *copy)
{
	copy->is_stopped = true;
	end_if_idle(engine, copy);
}

unsigned copy_pieces(const struct copy *copy)
{
	assert(copy->bytes <= REGION_BYTES);
	return (unsigned)((copy->bytes + DIGEST_PIECE_BYTES - 1) / DIGEST_PIECE_BYTES);
}

/* The source is right. */
static void compare(struct copy *copy)
{
	copy->undecided = 0;
	for (unsigned piece = 0; piece < copy_pieces(copy); piece++) {
		copy->right[piece] = copy->source;
		copy->wrong[piece] = 0;
		for (unsigned leg = 0; leg < SET_VOTERS_MAX; leg++) {
			if (copy->targets & 1u << leg &&
			    memcmp(copy->digests[leg][piece], copy->digests[copy->source][piece], DIGEST_BYTES) != 0 &&
			    !(MUTANT(last_piece_not_copied) && piece + 1 == copy_pieces(copy)))
				copy->wrong[piece] |= (uint8_t)(1u << leg);
		}
	}
}

static uint16_t differing(const struct copy *copy)
{
	uint16_t pieces = 0;

	for (unsigned piece = 0; piece < copy_pieces(copy); piece++)
		pieces |= (uint16_t)((unsigned)(copy->wrong[piece] != 0) << piece);
	return pieces;
}

/* A run of pieces that the same legs get from the same one. */
static void choose_run(struct copy *copy)
{
	unsigned first = (unsigned)__builtin_ctz(copy->differ), piece = first;

	while (piece < copy_pieces(copy) && copy->differ & 1u << piece && copy->wrong[piece] == copy->wrong[first] &&
	       copy->right[piece] == copy->right[first])
		piece++;
	copy->first_piece = first;
	copy->piece_count = piece - first;
	copy->differing_legs = copy->wrong[first];
	copy->source = copy->right[first];
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
	return copy->is_stopped || (copy->legs & ~engine->sets[copy->set].up_legs) != 0;
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

/* Of a rejoin. */
static struct leg *joiner_of(struct engine *engine, const struct copy *copy)
{
	return set_leg(engine, &engine->sets[copy->set], (unsigned)__builtin_ctz(copy->targets));
}

static bool is_worth_comparing(struct engine *engine, const struct copy *copy)
{
	return copy->purpose != COPY_REJOIN ||
	       comparing_pays(&joiner_of(engine, copy)->rejoin.comparing, engine->options.unseen_below_percent);
}

/* As if every piece were another. */
static void copy_unseen(struct engine *engine, struct copy *copy)
{
	copy->is_unseen = true;
	for (unsigned piece = 0; piece < copy_pieces(copy); piece++) {
		copy->right[piece] = copy->source;
		copy->wrong[piece] = MUTANT(unseen_not_copied) ? 0 : copy->targets;
	}
	copy->differ = differing(copy);
	next_run(engine, copy);
}

void copy_locked(struct engine *engine, struct copy *copy)
{
	struct set *set = &engine->sets[copy->set];

	copy->phase = COPY_DIGEST;
	if (copy->is_stopped || (copy->legs & ~set->up_legs)) {
		stop(engine, copy);
		return;
	}
	if (!is_worth_comparing(engine, copy)) {
		copy_unseen(engine, copy);
		return;
	}
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(copy->legs & leg_bit(leg)))
			continue;
		copy->digests_asked |= leg_bit(leg);
		engine->message.digest =
			(struct message_digest){engine->ballot, copy->region * REGION_BYTES, (uint32_t)copy->bytes};
		attach_ask(engine, leg, MESSAGE_DIGEST, (uint32_t)copy->round << COPY_BITS | index_of(engine, copy));
	}
}

static void note_comparison(struct engine *engine, const struct copy *copy)
{
	unsigned pieces = copy_pieces(copy);

	if (copy->purpose == COPY_REJOIN)
		comparing_note(&joiner_of(engine, copy)->rejoin.comparing, pieces,
			       pieces - (unsigned)__builtin_popcount(copy->differ));
}

void copy_digested(struct engine *engine, struct leg *leg, uint32_t tag, const struct message_digested *digested)
{
	unsigned index = tag & ((1u << COPY_BITS) - 1);
	struct copy *copy = index < RESYNC_SLOTS ? &engine->copies[index] : NULL;

	if (!copy || copy->phase != COPY_DIGEST || copy->set != leg->set || tag >> COPY_BITS != copy->round ||
	    !(copy->digests_asked & leg_bit(leg)))
		return; /* of a copy that was stopped */
	if (digested->offset != copy->region * REGION_BYTES || digested->count != copy_pieces(copy)) {
		link_abort(engine, leg, "digested another range than it was asked for");
		return;
	}
	memcpy(copy->digests[leg->in_set], digested->digests, sizeof(digested->digests));
	copy->digests_held |= leg_bit(leg);
	if (copy->digests_held != copy->digests_asked)
		return;
	if (copy->purpose == COPY_VERIFY)
		verify_judge(engine, copy);
	else
		compare(copy);
	copy->differ = copy->is_read_only ? 0 : differing(copy);
	note_comparison(engine, copy);
	next_run(engine, copy);
}

static void count_copied(struct engine *engine, struct copy *copy, uint64_t bytes)
{
	struct set *set = &engine->sets[copy->set];

	if (copy->purpose == COPY_RECONCILE) {
		set->reconcile_bytes += bytes;
		engine->counters.reconciled_bytes += bytes;
	}
	if (copy->purpose != COPY_REJOIN)
		return;
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
		/* A joiner's stamps were raised before, a verified one's stay; the reconciled keep the higher of theirs
		 * and the attach's. */
		.gen = copy->purpose == COPY_RECONCILE ? set->members.stamp_gen : 1,
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

		if (copy->purpose == COPY_REJOIN && copy->targets & leg_bit(joiner) &&
		    joiner->rejoin.phase == REJOIN_COPY)
			joiner->rejoin.retry_ns = engine->now_ns;
	}
	stop(engine, copy);
}

static void step_after_write(struct engine *engine, struct copy *copy)
{
	if (copy->phase != COPY_WRITE || is_outstanding(copy))
		return;
	/* A member's share of it needs a SYNC as any write does. */
	engine->sets[copy->set].completed_writes += copy->purpose != COPY_REJOIN;
	if (!copy->is_stopped) {
		for (unsigned i = 0; i < copy->piece_count; i++)
			copy->differ &= (uint16_t) ~(1u << (copy->first_piece + i));
	}
	next_run(engine, copy);
}

/* `reply` NULL: a send let go of the memory. */
void copy_written(struct engine *engine, struct copy *copy, struct leg *leg, const struct frame *reply)
{
	if (reply && reply->status != WIRE_OK && !MUTANT(copy_write_error_ignored)) {
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
		if (copy->legs & leg_bit(leg))
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

/* What holds its range may wait for it: below min-in-sync writes complete after the rejoin that it is for, and another
 * set's rejoin may wait for those. */
void copy_tick(struct engine *engine)
{
	for (unsigned i = 0; i < RESYNC_SLOTS; i++) {
		struct copy *copy = &engine->copies[i];

		if (copy->phase == COPY_LOCKING && slot_pass_copy(engine, copy))
			copy_locked(engine, copy);
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
