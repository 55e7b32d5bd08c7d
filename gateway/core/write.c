/* WRITE, DISCARD and ZEROES: to every leg of the set, complete when every leg has answered (P1), sent again to a leg
 * that was lost meanwhile. Knows nothing of how bytes travel beyond the choice of path. On a write's path: from the
 * held range to the last acknowledgement. */
#include <errno.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"
#include "proto/status.h"

#define CRC_RESENDS_MAX 2u

static enum write_path choose_path(const struct engine *engine, const struct part *part)
{
	uint64_t small = engine->options.bulk_min_bytes;

	/* Legs that disagree saw different bytes: only a private copy is the same for all of them. */
	if (part->crc_resends > 0 && !MUTANT(repeat_without_copy))
		small = BULK_MIN_BYTES_MAX;
	if (part->at.length <= small)
		return WRITE_GATHER;
	return part->slot->request.flags & REQUEST_F_META ? WRITE_BULK_COPY : WRITE_BULK;
}

static struct frame change_frame(struct engine *engine, const struct part *part)
{
	const struct request *request = &part->slot->request;
	const struct set *set = set_of(engine, part);
	struct frame frame = {
		.type = FRAME_WRITE,
		.flags = request->flags & REQUEST_F_FUA ? FRAME_F_FUA : 0,
		.epoch = engine->ballot.epoch,
		.gen = set->config.gen,
		.length = (uint32_t)part->at.length,
		.id = part->id,
		.offset = part->at.set_offset,
		.wseq = part->wseq,
		.stable_upto = set->stable_upto,
	};

	if (request->op == REQUEST_DISCARD)
		frame.type = FRAME_DISCARD;
	if (request->op == REQUEST_ZEROES) {
		frame.type = FRAME_ZEROES;
		frame.flags |= request->flags & REQUEST_F_NO_UNMAP ? FRAME_F_NO_UNMAP : 0;
	}
	return frame;
}

static void send_payload(struct engine *engine, struct part *part, uint8_t legs, const struct frame *frame)
{
	const struct set *set = set_of(engine, part);
	struct write_order order = {
		.set = set->index,
		.legs = (uint64_t)legs << set->first_leg,
		.path = choose_path(engine, part),
		.slot = part->slot->request.slot,
		.buf_offset = part->at.buf_offset,
		.frame = *frame,
	};

	if (engine->ops->send_write(engine->ctx, &order))
		return;
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (legs & 1u << i) {
			part->legs[i].borrows++;
			part->slot->borrows++;
		}
	}
}

static void send_range(struct engine *engine, const struct part *part, uint8_t legs, struct frame frame)
{
	const struct set *set = set_of(engine, part);

	for (unsigned i = 0; i < set->leg_count; i++) {
		if (!(legs & 1u << i))
			continue;
		frame.session = set_leg(engine, set, i)->session;
		engine->ops->send_frame(engine->ctx, set->first_leg + i, LANE_MAIN, &frame);
	}
}

static void send_to(struct engine *engine, struct part *part, uint8_t legs)
{
	const struct set *set = set_of(engine, part);
	struct frame frame = change_frame(engine, part);
	bool has_payload = frame.type == FRAME_WRITE;

	for (unsigned i = 0; i < set->leg_count; i++) {
		if (legs & 1u << i)
			leg_op_sent(set_leg(engine, set, i), LANE_MAIN, &part->legs[i].op,
				    has_payload ? frame.length : 0, engine->now_ns);
	}
	if (has_payload)
		send_payload(engine, part, legs, &frame);
	else
		send_range(engine, part, legs, frame);
}

void write_start(struct engine *engine, struct part *part)
{
	struct set *set = set_of(engine, part);

	part->wseq = set->next_wseq++;
	part->state = PART_SENT;
	list_add_tail(&set->writes, &part->node);
	send_to(engine, part, set->all_legs);
}

void write_resend(struct engine *engine, struct leg *leg)
{
	struct set *set = &engine->sets[leg->set];
	struct list *it, *next;

	list_for_each (it, next, &set->writes) {
		struct part *part = container_of(it, struct part, node);

		if (part->acked & leg_bit(leg) || MUTANT(no_resend))
			continue;
		engine->counters.resent_writes++;
		send_to(engine, part, leg_bit(leg));
	}
}

void write_forget_acks(struct engine *engine, struct leg *leg)
{
	struct set *set = &engine->sets[leg->set];
	struct list *it, *next;

	list_for_each (it, next, &set->writes)
		container_of(it, struct part, node)->acked &= (uint8_t)~leg_bit(leg);
}

static bool crcs_differ(const struct set *set, const struct part *part)
{
	for (unsigned i = 1; i < set->leg_count && !MUTANT(crc_mismatch_ignored); i++) {
		if (part->legs[i].crc != part->legs[0].crc)
			return true;
	}
	return false;
}

/* A failed write may have left its legs different; a read from one and then from another would go back in time (P4). So
 * from here on only legs that took every write are read, or, when there is none, always the same one.
 * NEEDSWORK(eviction): the others leave the set. */
static void distrust(struct set *set, uint8_t failed)
{
	uint8_t left = set->readable_legs & (uint8_t)~failed;

	set->readable_legs = left ? left : set->readable_legs & (uint8_t)-set->readable_legs;
}

/* R12: what failed may differ between the legs, so nothing from here on counts as stable. */
static void fail_write(struct engine *engine, struct set *set, struct part *part, int error)
{
	if (part->wseq < set->failed_from)
		set->failed_from = part->wseq;
	part_done(engine, part, error);
}

/* The application changed its buffer while it was sent (R13). */
static void repeat_or_fail(struct engine *engine, struct set *set, struct part *part)
{
	engine->counters.crc_mismatches++;
	/* NEEDSWORK(eviction): the leg that stays different after the private copies is the one to evict. */
	if (part->crc_resends == CRC_RESENDS_MAX) {
		distrust(set, set->all_legs);
		fail_write(engine, set, part, -EIO);
		return;
	}
	part->crc_resends++;
	part->acked = 0;
	/* A leg that is down gets it when it is back, as everything that it has not acknowledged. */
	engine->counters.resent_writes += (unsigned)__builtin_popcount(set->up_legs);
	if (set->up_legs)
		send_to(engine, part, set->up_legs);
}

static void complete_write(struct engine *engine, struct set *set, struct part *part)
{
	set->completed_writes++;
	if (part->wseq > set->completed_upto)
		set->completed_upto = part->wseq;
	part_done(engine, part, 0);
}

void write_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply)
{
	struct set *set = set_of(engine, part);

	leg_op_done(leg, &part->legs[leg->in_set].op);
	part->acked |= leg_bit(leg);
	part->legs[leg->in_set].crc = reply->crc;
	/* NEEDSWORK(eviction): a leg that cannot write leaves the set instead of failing the request. */
	if (reply->status != WIRE_OK) {
		part->failed |= leg_bit(leg);
		part->error = part->error ? part->error : wire_status_to_errno((enum wire_status)reply->status);
	}
	if (part->acked != set->all_legs && !MUTANT(ack_after_one_copy))
		return;
	if (part->error && !MUTANT(write_error_ignored)) {
		distrust(set, part->failed);
		fail_write(engine, set, part, part->error);
	} else if (part->slot->request.op == REQUEST_WRITE && crcs_differ(set, part)) {
		repeat_or_fail(engine, set, part);
	} else {
		complete_write(engine, set, part);
	}
}

void write_released(struct engine *engine, struct leg *leg, uint64_t id)
{
	struct part *part = slot_find_part(engine, id);
	struct part_leg *owed;

	if (!part || part->at.set != leg->set)
		return; /* completed meanwhile, in pinned memory */
	owed = &part->legs[leg->in_set];
	assert(owed->borrows > 0);
	owed->borrows--;
	part->slot->borrows--;
	slot_released(engine, part->slot);
}

bool write_borrows(const struct engine *engine, const struct leg *leg)
{
	for (unsigned i = 0; i < engine->slot_count; i++) {
		const struct slot *slot = &engine->slots[i];

		for (unsigned j = 0; j < slot->part_count; j++) {
			if (slot->parts[j].at.set == leg->set && slot->parts[j].legs[leg->in_set].borrows > 0)
				return true;
		}
	}
	return false;
}
