/* WRITE, DISCARD and ZEROES: to every leg with a session, those being taken back included; complete when every required
 * one has acknowledged and none still works on it (P1, R4); sent again to a leg whose session is new. Knows nothing of
 * how bytes travel beyond the choice of path. On a write's path: from the held range to the last acknowledgement. */
#include <errno.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"
#include "proto/status.h"

#define CHECKSUM_RESENDS_MAX 2u
#define NO_SPACE_REST_NS 10000000000ull /* before a replica without space is tried again */

static enum write_path choose_path(const struct engine *engine, const struct part *part)
{
	/* Legs that disagree saw different bytes: only a private copy is the same for all of them. */
	if (part->checksum_resends > 0 && !MUTANT(repeat_without_copy))
		return part->at.length <= BULK_MIN_BYTES_MAX ? WRITE_GATHER : WRITE_PRIVATE;
	if (part->at.length <= engine->options.bulk_min_bytes)
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
		.gen = set->members.stamp_gen,
		.length = (uint32_t)part->at.length,
		.id = part->id,
		.offset = part->at.set_offset,
		.wseq = part->wseq,
		.stable_upto = set->stable_upto,
	};

	/* Somebody is out, or may soon be: what he misses must be findable (R4, R6). */
	if (membership_stamps(&set->members) && !(MUTANT(discards_not_stamped) && request->op == REQUEST_DISCARD))
		frame.flags |= FRAME_F_STAMP;
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

	part->range.is_settled = false;
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
	unsynced_mark(&set->unsynced, part->at.set_offset, part->at.length);
	send_to(engine, part, set->up_legs & ~(MUTANT(joiner_misses_new_writes) ? set->syncing : 0));
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
		part->failed &= (uint8_t)~leg_bit(leg);
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

bool write_is_stored(const struct set *set, uint64_t start, uint64_t length, uint8_t legs)
{
	struct list *it, *next;

	list_for_each (it, next, &set->writes) {
		const struct part *part = container_of(it, struct part, node);

		if (part->range.blockers > 0 || (part->acked & legs) == legs)
			continue;
		if (part->at.set_offset < start + length && start < part->at.set_offset + part->at.length)
			return false;
	}
	return true;
}

/* The checksum that most of `legs` answered; the lowest-numbered leg's among equals. */
static uint32_t common_checksum(const struct set *set, const struct part *part, uint8_t legs)
{
	unsigned best = 0;
	uint32_t ret = 0;

	for (unsigned i = 0; i < set->leg_count; i++) {
		unsigned count = 0;

		for (unsigned j = 0; legs & 1u << i && j < set->leg_count; j++)
			count += legs & 1u << j && part->legs[j].checksum == part->legs[i].checksum;
		if (count > best) {
			best = count;
			ret = part->legs[i].checksum;
		}
	}
	return ret;
}

/* Those in sync say what is right; who is being taken back only differs from it. */
static uint8_t checksum_losers(const struct set *set, const struct part *part, uint8_t legs)
{
	uint32_t checksum = common_checksum(set, part, legs & set_required(set));
	uint8_t losers = 0;

	for (unsigned i = 0; i < set->leg_count; i++) {
		if (legs & 1u << i && part->legs[i].checksum != checksum)
			losers |= (uint8_t)(1u << i);
	}
	return losers;
}

/* Those being taken back may have it, and their copy of the region may be over. */
static void copy_again(struct engine *engine, struct set *set, const struct part *part)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (set->syncing & ~set_required(set) & leg_bit(leg))
			region_map_add_bytes(&leg->to_copy, part->at.set_offset, part->at.length);
	}
}

/* R12: what failed may differ between the legs, or from what an older gateway still reads (R9): nobody reads it before
 * it was made equal, or that gateway's lease is over; and nothing from here on counts as stable. */
static void fail_write(struct engine *engine, struct set *set, struct part *part, int error)
{
	if (part->wseq < set->failed_from && !MUTANT(failed_write_is_stable))
		set->failed_from = part->wseq;
	if ((__builtin_popcount(set_required(set)) > 1 || !set_may_reveal(engine, set)) &&
	    !MUTANT(failed_write_is_read))
		region_map_add_bytes(&set->uncertain, part->at.set_offset, part->at.length);
	copy_again(engine, set, part);
	/* Who has it is read from now on: it is something to be made durable, and to be lost (P4, R8). While nobody is
	 * there to be read, nor has come back as far as that he will be, it is counted when he does: let_return(). */
	if (((set->up_legs | (uint8_t)~set->evicting) & set->members.in_union || set->phase != SET_SERVING) &&
	    !MUTANT(failed_write_not_counted))
		set->completed_writes++;
	set->needs_look = true;
	part_done(engine, part, error);
}

/* R13. The legs that still disagree about a private copy: most against few; between two nothing tells who is right but
 * that one of them answered differently to the same bytes before. */
static void evict_checksum_losers(struct engine *engine, struct set *set, struct part *part, uint8_t legs)
{
	uint8_t losers = checksum_losers(set, part, legs), in = legs & set_required(set), unsteady = 0;

	for (unsigned i = 0; i < set->leg_count; i++) {
		if (in & 1u << i && part->legs[i].checksum != part->legs[i].last_checksum)
			unsteady |= (uint8_t)(1u << i);
	}
	if (losers & in && __builtin_popcount(in) == 2 && __builtin_popcount(unsteady) == 1)
		losers = unsteady;
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (losers & set->up_legs & 1u << i)
			evict_faulty(engine, set_leg(engine, set, i),
				     "it stored other bytes than the others, %u times in a row",
				     part->checksum_resends + 1);
	}
}

/* The application changed its buffer while it was sent (R13). */
static void repeat(struct engine *engine, struct set *set, struct part *part)
{
	engine->counters.checksum_mismatches++;
	part->checksum_resends++;
	for (unsigned i = 0; i < set->leg_count; i++)
		part->legs[i].last_checksum = part->legs[i].checksum;
	part->acked = 0;
	/* A leg that is down gets it when it is back, as everything that it has not acknowledged. */
	engine->counters.resent_writes += (unsigned)__builtin_popcount(set->up_legs);
	if (set->up_legs)
		send_to(engine, part, set->up_legs);
}

static void complete_write(struct engine *engine, struct set *set, struct part *part)
{
	engine->counters.checksum_repairs += part->checksum_resends > 0;
	if (part->checksum_resends > 0)
		engine_tell(engine, EVENT_CHECKSUM_REPAIRED, set, NULL, 0,
			    "%llu bytes at %llu changed while they were sent", (unsigned long long)part->at.length,
			    (unsigned long long)part->at.set_offset);
	set->completed_writes++;
	part_done(engine, part, 0);
}

static int error_of(const struct set *set, const struct part *part)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (part->failed & 1u << i)
			return wire_status_to_errno((enum wire_status)part->legs[i].status);
	}
	return -EIO;
}

/* Some could and some could not: those that could not leave. */
static void evict_failed(struct engine *engine, struct set *set, struct part *part)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);
		enum wire_status status = (enum wire_status)part->legs[i].status;

		if (!(part->failed & set->up_legs & leg_bit(leg)))
			continue;
		if (status == WIRE_ENOSPC) {
			leg->rest_until_ns = engine->now_ns + NO_SPACE_REST_NS;
			link_abort(engine, leg, "a write failed: %s", wire_status_name(status));
		} else {
			evict_faulty(engine, leg, "a write failed: %s", wire_status_name(status));
		}
	}
}

/* P1: every replica that is or may be in sync, and nobody still works on it (R4). */
static void check(struct engine *engine, struct set *set, struct part *part)
{
	uint8_t required = set_required(set);
	/* Who is being taken back will be read as well. */
	uint8_t legs = part->acked & (required | set->syncing);

	if (MUTANT(range_released_before_the_last) && part->range.is_present && legs == required)
		range_lock_release(&set->lock, &part->range, &engine->ready);
	if (part_is_outstanding(part) || set->phase != SET_SERVING || part->state != PART_SENT)
		return;
	/* Nobody works on it: a rejoin that it waits for may pass. */
	part->range.is_settled = true;
	/* Not one that is only being taken back. */
	if (part->failed & ~required)
		evict_failed(engine, set, part);
	if (((part->acked | part->failed) & required) != required && !(MUTANT(ack_after_one_copy) && part->acked))
		return;
	if ((part->failed & required) == required) {
		fail_write(engine, set, part, error_of(set, part));
		return;
	}
	if (part->failed & required && !MUTANT(write_error_ignored)) {
		evict_failed(engine, set, part);
		return;
	}
	if (part->slot->request.op == REQUEST_WRITE && checksum_losers(set, part, legs) &&
	    !MUTANT(checksum_mismatch_ignored)) {
		/* A copy must not overwrite it. */
		if (range_lock_is_passed(&set->lock, &part->range)) {
			set->has_put_off = true;
			return;
		}
		if (part->checksum_resends < CHECKSUM_RESENDS_MAX)
			repeat(engine, set, part);
		else
			evict_checksum_losers(engine, set, part, legs);
		return;
	}
	/* R3.6; and min-in-sync. */
	if ((!evict_is_short(engine, set) || MUTANT(min_in_sync_ignored)) && set_has_outlived(engine, set))
		complete_write(engine, set, part);
}

void write_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply)
{
	struct set *set = set_of(engine, part);
	struct part_leg *owed = &part->legs[leg->in_set];
	struct copy *copy = slot_copy(engine, part->slot);

	leg_op_done(leg, &owed->op);
	if (copy) { /* of a size and to a leg of its own: its latency is not to be compared */
		copy_written(engine, copy, leg, reply);
		return;
	}
	evict_note_latency(engine, leg, engine->now_ns - owed->op.sent_ns);
	owed->checksum = reply->checksum;
	owed->status = reply->status;
	if (reply->status == WIRE_OK)
		part->acked |= leg_bit(leg);
	else
		part->failed |= leg_bit(leg);
	check(engine, set, part);
}

void write_recheck(struct engine *engine, struct set *set)
{
	struct list *it, *next;

	list_for_each (it, next, &set->writes)
		check(engine, set, container_of(it, struct part, node));
}

void write_fail_all(struct engine *engine, struct set *set)
{
	struct list *const lists[] = {&set->writes, &set->flushes, &set->waiting, &set->held};
	struct list *it, *next;

	for (unsigned i = 0; i < ARRAY_COUNT(lists); i++) {
		list_for_each (it, next, lists[i]) {
			struct part *part = container_of(it, struct part, node);

			if (part_is_outstanding(part) || part->slot->borrows > 0)
				continue;
			if (lists[i] == &set->writes)
				fail_write(engine, set, part, -EIO);
			else if (lists[i] == &set->flushes)
				flush_fail(engine, part, -EIO);
			else
				part_done(engine, part, -EIO);
		}
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
	if (slot_copy(engine, part->slot))
		copy_written(engine, slot_copy(engine, part->slot), leg, NULL);
	else
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
