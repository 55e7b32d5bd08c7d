/* READ: from one replica, from another when that one fails or is lost, zeros where it has less than was asked (P7).
 * Knows nothing of how bytes travel beyond the choice of lane.
 * On a read's path: from the held range to the last byte in place. */
#include <errno.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"
#include "proto/status.h"

bool read_is_certain(const struct engine *engine, const struct set *set, const struct part *part)
{
	return (!engine->is_recovering || MUTANT(recovery_reads_at_once)) &&
	       (!region_map_has_bytes(&set->uncertain, part->at.set_offset, part->at.length) ||
		MUTANT(uncertain_is_read));
}

static bool may_ask(const struct set *set, const struct part *part, unsigned in_set)
{
	return (set_readable(set) & ~part->tried & 1u << in_set) != 0;
}

static struct leg *least_loaded(struct engine *engine, const struct set *set, const struct part *part)
{
	struct leg *best = NULL;

	/* From the one after the last choice, so that equals take turns. */
	for (unsigned i = 1; i <= set->leg_count; i++) {
		unsigned in_set = (set->read_leg + i) % set->leg_count;
		struct leg *leg = set_leg(engine, set, in_set);

		if (may_ask(set, part, in_set) && (!best || leg->outstanding_bytes < best->outstanding_bytes))
			best = leg;
	}
	return best;
}

/* Small reads stay on one replica in runs: alternating would halve what one reply's system call carries. Each large
 * reply has its own, and moving one keeps a replica-server's thread busy: they are shared out as they come. */
static struct leg *choose_leg(struct engine *engine, struct set *set, const struct part *part, enum lane lane)
{
	struct leg *leg;

	if (lane == LANE_BULK) {
		leg = least_loaded(engine, set, part);
		if (leg && set->read_left == 0)
			set->read_leg = leg->in_set;
		return leg;
	}
	if (set->read_left > 0 && may_ask(set, part, set->read_leg)) {
		set->read_left--;
		return set_leg(engine, set, set->read_leg);
	}
	leg = least_loaded(engine, set, part);
	if (leg) {
		set->read_leg = leg->in_set;
		set->read_left = engine->options.read_run - 1;
	}
	return leg;
}

/* EIO reaches the application only then. */
static bool has_failed_everywhere(const struct set *set, const struct part *part)
{
	return (part->tried & set->members.in) == set->members.in;
}

void read_start(struct engine *engine, struct part *part)
{
	struct set *set = set_of(engine, part);
	enum lane lane = part->at.length > engine->options.bulk_min_bytes ? LANE_BULK : LANE_MAIN;
	struct leg *leg;

	/* The set was attached anew since it got its range (R3.7). */
	if (!read_is_certain(engine, set, part)) {
		part_hold(engine, part);
		return;
	}
	/* R9: asked whenever a read starts, also when it starts again. */
	leg = lease_is_held(engine, set) ? choose_leg(engine, set, part, lane) : NULL;
	/* The one that it waited for is out by now. */
	if (!leg && has_failed_everywhere(set, part)) {
		part_done(engine, part, -EIO);
		return;
	}
	if (!leg) {
		part_wait(engine, part);
		return;
	}
	/* A new id each time: what an earlier replica may still say must not match. */
	part->id = slot_new_id(engine, part->slot->request.slot, (unsigned)(part - part->slot->parts));
	part->state = PART_SENT;
	part->read_leg = (uint8_t)leg->in_set;
	leg_op_sent(leg, lane, &part->legs[leg->in_set].op, (uint32_t)part->at.length, engine->now_ns);
	engine->ops->send_frame(engine->ctx, leg->index, lane,
				&(struct frame){
					.type = FRAME_READ,
					.epoch = engine->ballot.epoch,
					.session = leg->session,
					.length = (uint32_t)part->at.length,
					.id = part->id,
					.offset = part->at.set_offset,
					.stable_upto = set->stable_upto,
				});
}

void read_reissue(struct engine *engine, struct part *part)
{
	engine->counters.reissued_reads++;
	if (engine->state == VOLUME_FAILED || !set_is_open(engine, set_of(engine, part)))
		part_wait(engine, part);
	else
		read_start(engine, part);
}

static void read_end(struct engine *engine, struct part *part, int error)
{
	struct copy *copy = slot_copy(engine, part->slot);

	if (!copy)
		part_done(engine, part, error);
	else if (error && !MUTANT(copy_read_error_ignored))
		copy_read_failed(engine, copy, set_leg(engine, set_of(engine, part), part->read_leg));
	else
		copy_read_done(engine, copy);
}

static void read_failed(struct engine *engine, struct leg *leg, struct part *part)
{
	part->tried |= leg_bit(leg);
	if (has_failed_everywhere(set_of(engine, part), part) || MUTANT(read_error_is_success))
		part_done(engine, part, MUTANT(read_error_is_success) ? 0 : -EIO);
	else
		read_reissue(engine, part);
}

static void zero_rest(struct engine *engine, struct part *part)
{
	struct read_target target = {
		.slot = part->slot->request.slot,
		.buf_offset = part->at.buf_offset + part->arrived_bytes,
		.length = (uint32_t)part->at.length - part->arrived_bytes,
		.id = part->id,
	};

	part->state = PART_ZEROING;
	engine->counters.short_reads++;
	engine->counters.zeroed_bytes += target.length;
	engine->ops->zero(engine->ctx, &target);
}

void read_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply,
		   struct read_target *ret)
{
	struct leg_op *op = &part->legs[leg->in_set].op;

	part->arrived_bytes = reply->length;
	if (reply->length > 0) {
		leg_op_arriving(leg, op);
		*ret = (struct read_target){
			.slot = part->slot->request.slot,
			.buf_offset = part->at.buf_offset,
			.length = reply->length,
			.id = part->id,
		};
		return;
	}
	leg_op_done(leg, op);
	if (reply->status == WIRE_OK)
		zero_rest(engine, part);
	else if (slot_copy(engine, part->slot))
		read_end(engine, part, -EIO);
	else
		read_failed(engine, leg, part);
}

void read_placed(struct engine *engine, struct leg *leg, uint64_t id)
{
	struct part *part = slot_find_part(engine, id);
	struct leg_op *op;

	if (!part || part->state != PART_SENT || part->at.set != leg->set || part->read_leg != leg->in_set)
		return;
	op = &part->legs[leg->in_set].op;
	assert(leg_op_is_outstanding(op));
	leg_op_done(leg, op);
	if (part->arrived_bytes < part->at.length && !MUTANT(short_read_not_zeroed))
		zero_rest(engine, part);
	else
		read_end(engine, part, 0);
}

void read_zeroed(struct engine *engine, uint64_t id, int error)
{
	struct part *part = slot_find_part(engine, id);

	if (!part || part->state != PART_ZEROING)
		return;
	part->state = PART_SENT;
	read_end(engine, part, error ? -EIO : 0);
}
