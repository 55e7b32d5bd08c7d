/* FLUSH and the background SYNC: to every leg of a set; what all of them answered is stable (R5). Also the last SYNC of
 * a detach. On a flush's path: from submit to the last answer. */
#include <errno.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"
#include "proto/status.h"

/* Every write up to here was acknowledged by all legs before now. */
static uint64_t acknowledged_upto(const struct set *set)
{
	const struct part *oldest = list_first(&set->writes, struct part, node);
	uint64_t below = oldest ? oldest->wseq : set->next_wseq;

	if (MUTANT(stable_too_high))
		return set->next_wseq - 1;
	return (below < set->failed_from ? below : set->failed_from) - 1;
}

static int sticky_error(struct engine *engine, const struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (set_leg(engine, set, i)->flush_error)
			return set_leg(engine, set, i)->flush_error;
	}
	return 0;
}

static void send_to(struct engine *engine, struct part *part, struct leg *leg)
{
	struct frame frame = {
		.type = FRAME_FLUSH,
		.epoch = engine->ballot.epoch,
		.session = leg->session,
		.id = part->id,
		.stable_upto = set_of(engine, part)->stable_upto,
	};

	leg_op_sent(leg, LANE_MAIN, &part->legs[leg->in_set].op, 0, engine->now_ns);
	engine->ops->send_frame(engine->ctx, leg->index, LANE_MAIN, &frame);
}

void flush_start(struct engine *engine, struct part *part)
{
	struct set *set = set_of(engine, part);
	int error = sticky_error(engine, set);

	if (error) {
		part_done(engine, part, error);
		return;
	}
	part->state = PART_SENT;
	/* Taken when it is sent, and kept when it is sent again to a leg that was lost: lower is safe. */
	part->flush_upto = acknowledged_upto(set);
	part->flush_writes = set->completed_writes;
	list_add_tail(&set->flushes, &part->node);
	for (unsigned i = 0; i < set->leg_count; i++)
		send_to(engine, part, set_leg(engine, set, i));
}

void flush_resend(struct engine *engine, struct leg *leg)
{
	struct set *set = &engine->sets[leg->set];
	struct list *it, *next;

	list_for_each (it, next, &set->flushes) {
		struct part *part = container_of(it, struct part, node);

		if (!(part->acked & leg_bit(leg)))
			send_to(engine, part, leg);
	}
}

static void flush_complete(struct engine *engine, struct set *set, struct part *part)
{
	if (MUTANT(flush_error_ignored))
		part->error = 0;
	if (MUTANT(stable_taken_late))
		part->flush_upto = acknowledged_upto(set);
	if (!part->error) {
		if (part->flush_upto > set->stable_upto)
			set->stable_upto = part->flush_upto;
		if (part->flush_writes > set->synced_writes)
			set->synced_writes = part->flush_writes;
	}
	part_done(engine, part, part->error);
}

void flush_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply)
{
	struct set *set = set_of(engine, part);

	leg_op_done(leg, &part->legs[leg->in_set].op);
	part->acked |= leg_bit(leg);
	if (reply->status != WIRE_OK) {
		leg->flush_error = wire_status_to_errno((enum wire_status)reply->status);
		part->error = part->error ? part->error : leg->flush_error;
	} else if (part->flush_upto > leg->durable_upto) {
		leg->durable_upto = part->flush_upto;
	}
	if (part->acked == set->all_legs || MUTANT(flush_of_one_copy))
		flush_complete(engine, set, part);
}

bool flush_is_due(const struct set *set)
{
	return set->completed_writes != set->synced_writes;
}

void flush_tick(struct engine *engine, struct set *set)
{
	if (engine->state != VOLUME_SERVING || !flush_is_due(set) || slot_of_sync(engine, set)->in_use)
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

void flush_detach_progress(struct engine *engine)
{
	bool is_busy = false;

	if (engine->state != VOLUME_DETACHING || engine->is_detached)
		return;
	for (unsigned i = 0; engine->is_attached && i < engine->spec.set_count; i++) {
		struct set *set = &engine->sets[i];

		if (flush_is_due(set) && sticky_error(engine, set)) {
			detach_end(engine, sticky_error(engine, set));
			return;
		}
		if (flush_is_due(set) && !slot_of_sync(engine, set)->in_use)
			slot_submit_sync(engine, set);
		is_busy |= slot_of_sync(engine, set)->in_use;
	}
	if (!is_busy)
		detach_end(engine, 0);
	else if (engine->now_ns - engine->detach_ns > engine->options.answer_deadline_ns)
		detach_end(engine, -ETIMEDOUT);
}

void flush_sync_done(struct engine *engine, struct set *set, int error)
{
	/* An error stands in the leg's flush_error; the application's next FLUSH reports it. */
	(void)error;
	flush_detach_progress(engine);
}
