/* FLUSH and the background SYNC: to every required leg of a set; what all of them answered is stable (R5). Also the
 * last SYNCs of a detach, and the books of what is not durable yet. On a flush's path: from submit to the last answer.
 */
#include <errno.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"
#include "proto/status.h"

/* Every write up to here was acknowledged by all required legs before now. */
static uint64_t flush_acknowledged_upto(const struct set *set)
{
	const struct part *oldest = list_first(&set->writes, struct part, node);
	uint64_t below = oldest && !MUTANT(stable_too_high) ? oldest->wseq : set->next_wseq;

	return (below < set->failed_from ? below : set->failed_from) - 1;
}

/* Nobody is left whose FLUSH could be believed (P1). */
static int sticky_error(struct engine *engine, const struct set *set)
{
	int error = 0;

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (!(set->members.in & leg_bit(leg)))
			continue;
		if (!leg->flush_error)
			return 0;
		error = leg->flush_error;
	}
	return error;
}

static void send_to(struct engine *engine, struct part *part, struct leg *leg)
{
	struct frame frame = {
		.type = FRAME_FLUSH,
		.epoch = engine->ballot.epoch,
		.session = leg->session,
		.id = part->id,
		.stable_upto = MUTANT(last_writes_stay_listed) ? 0 : set_of(engine, part)->stable_upto,
	};

	leg_op_sent(leg, LANE_MAIN, &part->legs[leg->in_set].op, 0, engine->now_ns);
	engine->ops->send_frame(engine->ctx, leg->index, LANE_MAIN, &frame);
}

/* The older window of what is not durable becomes this FLUSH's; what it does not cover is marked again. */
static void take_window(struct engine *engine, struct set *set, struct part *part)
{
	struct list *it, *next;

	part->owns_window = unsynced_begin_flush(&set->unsynced);
	if (!part->owns_window)
		return;
	list_for_each (it, next, &set->writes) {
		if (MUTANT(flush_covers_what_is_under_way))
			break;
		const struct part *write = container_of(it, struct part, node);

		unsynced_mark(&set->unsynced, write->at.set_offset, write->at.length);
	}
	copy_mark_unsynced(engine, set);
}

void flush_start(struct engine *engine, struct part *part)
{
	struct set *set = set_of(engine, part);
	uint8_t legs = (MUTANT(flush_without_the_joiner) ? set->members.in_union : set_required(set)) & set->up_legs;
	int error = sticky_error(engine, set);

	if (error) {
		part_done(engine, part, error);
		return;
	}
	part->state = PART_SENT;
	/* Taken when it is sent, and kept when it is sent again to a leg that was lost: lower is safe. */
	part->flush_upto = flush_acknowledged_upto(set);
	part->flush_writes = set->completed_writes;
	part->told_upto = set->stable_upto;
	part->is_reconciled =
		region_map_is_empty(&set->uncertain) && copy_active(engine, set, COPY_REJOIN | COPY_RECONCILE) == 0;
	take_window(engine, set, part);
	list_add_tail(&set->flushes, &part->node);
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (legs & 1u << i)
			send_to(engine, part, set_leg(engine, set, i));
	}
}

void flush_resend(struct engine *engine, struct leg *leg)
{
	struct set *set = &engine->sets[leg->set];
	struct list *it, *next;

	if (!(set_required(set) & leg_bit(leg)) ||
	    (MUTANT(flush_without_the_joiner) && set->members.barrier & leg_bit(leg)))
		return;
	list_for_each (it, next, &set->flushes) {
		struct part *part = container_of(it, struct part, node);

		if (part->acked & leg_bit(leg) || leg_op_is_outstanding(&part->legs[leg->in_set].op))
			continue;
		part->failed &= (uint8_t)~leg_bit(leg);
		send_to(engine, part, leg);
	}
}

static void end_window(struct set *set, struct part *part, bool is_durable)
{
	if (part->owns_window)
		unsynced_end_flush(&set->unsynced, is_durable);
	part->owns_window = false;
}

static void flush_complete(struct engine *engine, struct set *set, struct part *part)
{
	if (MUTANT(stable_taken_late))
		part->flush_upto = flush_acknowledged_upto(set);
	end_window(set, part, true);
	set->can_forget |= part->is_reconciled || MUTANT(lists_forgotten_early);
	if (part->flush_upto > set->stable_upto)
		set->stable_upto = part->flush_upto;
	if (part->flush_writes > set->synced_writes)
		set->synced_writes = part->flush_writes;
	if (part->told_upto > set->told_upto)
		set->told_upto = part->told_upto;
	part_done(engine, part, 0);
}

void flush_fail(struct engine *engine, struct part *part, int error)
{
	end_window(set_of(engine, part), part, false);
	part_done(engine, part, error);
}

/* Some could and some could not: an fsync error is never retried into success, so these leave. */
static void evict_failed(struct engine *engine, struct set *set, uint8_t failed)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (failed & set->up_legs & leg_bit(leg))
			evict_faulty(engine, leg, "its FLUSH failed: %s", err_name(leg->flush_error));
	}
}

static void check(struct engine *engine, struct set *set, struct part *part)
{
	uint8_t required = MUTANT(flush_without_the_joiner) ? set->members.in_union : set_required(set);

	/* Of a volume that failed nobody is told that anything is durable: slots_fail_all(). */
	if (part_is_outstanding(part) || set->phase != SET_SERVING || part->state != PART_SENT ||
	    engine->state == VOLUME_FAILED)
		return;
	if (((part->acked | part->failed) & required) != required && !(MUTANT(flush_of_one_copy) && part->acked))
		return;
	if ((part->failed & required) == required)
		flush_fail(engine, part, sticky_error(engine, set) ? sticky_error(engine, set) : -EIO);
	else if (part->failed & required)
		evict_failed(engine, set, part->failed & required);
	else
		flush_complete(engine, set, part);
}

void flush_recheck(struct engine *engine, struct set *set)
{
	struct list *it, *next;

	list_for_each (it, next, &set->flushes)
		check(engine, set, container_of(it, struct part, node));
}

void flush_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply)
{
	struct set *set = set_of(engine, part);

	leg_op_done(leg, &part->legs[leg->in_set].op);
	if (reply->status != WIRE_OK && !MUTANT(flush_error_ignored)) {
		leg->flush_error = wire_status_to_errno((enum wire_status)reply->status);
		part->failed |= leg_bit(leg);
	} else {
		part->acked |= leg_bit(leg);
		if (part->flush_writes > leg->durable_writes)
			leg->durable_writes = part->flush_writes;
	}
	check(engine, set, part);
}

void flush_unsynced(struct engine *engine, const struct set *set, const struct leg *leg, struct region_map *ret)
{
	bool has_flushed = MUTANT(evict_trusts_a_running_flush);
	struct list *it, *next;

	list_for_each (it, next, &set->flushes) {
		const struct part *part = container_of(it, struct part, node);

		has_flushed |= part->owns_window && part->acked & leg_bit(leg);
	}
	unsynced_collect(&set->unsynced, has_flushed, ret);
}

bool flush_is_due(const struct set *set)
{
	return set->completed_writes != set->synced_writes;
}

/* The replicas' lists still name what is equal and durable everywhere, and the next attach would compare all of it. A
 * later frame prunes what this attachment wrote (R3.4, R5); older lists end when all that they had was compared, and a
 * FLUSH after it was answered. */
static bool lists_are_too_long(const struct set *set)
{
	bool was_compared = set->reconcile_total > 0 && region_map_is_empty(&set->uncertain);

	return set->told_upto < set->stable_upto || (was_compared && !set->can_forget);
}

void flush_tick(struct engine *engine, struct set *set)
{
	if (engine->state != VOLUME_SERVING || slot_of_sync(engine, set)->in_use)
		return;
	if (!flush_is_due(set) && !lists_are_too_long(set))
		return;
	if (engine->now_ns - set->sync_ns < engine->options.sync_interval_ns)
		return;
	if (sticky_error(engine, set))
		return;
	set->sync_ns = engine->now_ns;
	slot_submit_sync(engine, set);
}

static void detach_end(struct engine *engine, int error)
{
	engine->is_detached = true;
	link_abort_all(engine, "detached");
	engine->ops->detached(engine->ctx, error);
}

/* Twice at most, for what is durable is durable whether or not the replicas hear of it: to be allowed to say FORGET,
 * and after it. FORGET goes first over the same connection, so that the last FLUSH is answered when both were heard. */
static bool must_tell_last(struct engine *engine, struct set *set)
{
	bool has_asked;

	if (set->last_syncs == 2 || set->phase != SET_SERVING || sticky_error(engine, set) ||
	    (set_required(set) & ~set->up_legs))
		return false;
	set->last_syncs++;
	has_asked = set->can_forget && resync_forget_lists(engine, set);
	return has_asked || lists_are_too_long(set);
}

void flush_detach_progress(struct engine *engine)
{
	bool is_busy = false, is_due = false;

	if (engine->state != VOLUME_DETACHING || engine->is_detached)
		return;
	for (unsigned i = 0; engine->is_attached && i < engine->spec.set_count; i++) {
		struct set *set = &engine->sets[i];

		if (flush_is_due(set) && sticky_error(engine, set)) {
			detach_end(engine, sticky_error(engine, set));
			return;
		}
		is_due |= flush_is_due(set);
		if (!slot_of_sync(engine, set)->in_use && (flush_is_due(set) || must_tell_last(engine, set)))
			slot_submit_sync(engine, set);
		is_busy |= slot_of_sync(engine, set)->in_use;
	}
	if (!is_busy)
		detach_end(engine, 0);
	else if (engine->now_ns - engine->detach_ns > engine->options.answer_deadline_ns)
		detach_end(engine, is_due ? -ETIMEDOUT : 0);
}

void flush_sync_done(struct engine *engine, struct set *set, int error)
{
	/* An error stands in the leg's flush_error; the application's next FLUSH reports it. */
	(void)error;
	flush_detach_progress(engine);
}
