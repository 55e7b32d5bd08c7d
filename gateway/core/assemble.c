/* From the first answers to a chosen config (R3), and again in place when that comes to nothing (R10): enough voters
 * probed, an epoch; enough promises, a config to adopt; what was unstable listed, stamped and synced; the new config
 * stored by a majority and by every counted member. Nothing is served before. Sets go their ways one by one.
 * Before any request, and never on its path. */
#include <errno.h>
#include <stdio.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

static void move(struct engine *engine, struct set *set, enum set_phase phase)
{
	set->phase = phase;
	set->phase_ns = engine->now_ns;
	set->needs_look = true;
}

static uint8_t probed_legs(struct engine *engine, const struct set *set)
{
	uint8_t legs = 0;

	for (unsigned i = 0; i < set->leg_count; i++)
		legs |= (uint8_t)((unsigned)set_leg(engine, set, i)->is_probed << i);
	return legs;
}

static const struct leg *refused_leg(const struct engine *engine)
{
	for (unsigned i = 0; i < engine->leg_count; i++) {
		if (engine->legs[i].is_refused)
			return &engine->legs[i];
	}
	return NULL;
}

/* Waiting does not help, or was long enough. Only an attach is refused; a volume that was served waits on. */
static void give_up(struct engine *engine, const struct err *err, bool is_settled)
{
	const struct leg *refused = refused_leg(engine);
	uint64_t limit = engine->options.attach_limit_ns;
	struct err full;

	snprintf(engine->obstacle, sizeof(engine->obstacle), "%.255s", err->text);
	if (engine->is_attached || engine->options.is_recovery)
		return;
	if (is_settled && refused) {
		(void)err_set(&full, refused->refusal_error, "volume %s: replica %s (%s): %s; %s", engine->spec.name,
			      leg_replica(engine, refused)->name, leg_replica(engine, refused)->address,
			      refused->last_error, err->text);
		engine_fail(engine, refused->refusal_error, full.text);
	} else if (limit > 0 && engine->now_ns - engine->phase_ns > limit) {
		engine_fail(engine, -EHOSTUNREACH, err->text);
	}
}

/* They answered for voters whose votes other directories have by now. */
static void refuse_replaced(struct engine *engine, struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (set->replaced & 1u << i)
			replace_refuse_old(engine, set_leg(engine, set, i));
	}
}

static int adopt_all_probed(struct engine *engine, struct err *err)
{
	int error = 0;

	for (unsigned i = 0; !error && i < engine->spec.set_count; i++) {
		struct set *set = &engine->sets[i];

		error = adopt_set(engine, set, probed_legs(engine, set), err);
		for (unsigned j = 0; j < set->leg_count; j++) {
			if (set->rolled_back & 1u << j)
				attach_rolled_back(engine, set_leg(engine, set, j));
		}
		refuse_replaced(engine, set);
	}
	return error;
}

static bool is_probing_again(const struct engine *engine)
{
	for (unsigned i = 0; i < engine->leg_count; i++) {
		if (engine->legs[i].step == STEP_PROBE && engine->legs[i].is_probed_again)
			return true;
	}
	return false;
}

static void bind_epoch(struct engine *engine)
{
	struct err err;
	int error = adopt_epoch(engine, &engine->ballot.epoch, &err);

	if (error) {
		engine_fail(engine, error, err.text);
		return;
	}
	engine->ballot.nonce = engine->options.nonce;
	engine->phase = PHASE_BOUND;
	engine->phase_ns = engine->now_ns;
	for (unsigned i = 0; i < engine->spec.set_count; i++)
		move(engine, &engine->sets[i], SET_PROMISE);
	for (unsigned i = 0; i < engine->leg_count; i++) {
		/* A blank one's is no vote; another gateway may have seeded it since. */
		if (engine->legs[i].step == STEP_PROBED || engine->legs[i].step == STEP_BLANK)
			attach_promise(engine, &engine->legs[i]);
	}
}

void assemble_progress(struct engine *engine)
{
	bool is_settled = true;
	struct err err;
	int error;

	if (engine->phase != PHASE_PROBE || engine->state == VOLUME_FAILED || engine->is_detached)
		return;
	for (unsigned i = 0; i < engine->leg_count; i++)
		is_settled &= engine->legs[i].is_probed || engine->legs[i].is_refused || engine->legs[i].is_blank;
	if ((!is_settled && engine->now_ns - engine->phase_ns < engine->options.attach_wait_ns) ||
	    is_probing_again(engine))
		return;
	error = adopt_all_probed(engine, &err);
	if (is_probing_again(engine))
		return;
	if (!error)
		bind_epoch(engine);
	else if (error == -EAGAIN)
		give_up(engine, &err, is_settled);
	else
		engine_fail(engine, error, err.text);
}

/* R3.6: the longest lease that was reported; not if the process that held it is known to be dead. Attached in place
 * again, the first time's wait goes on: our own lease is no obstacle, but an older one may still be running. And before
 * the first config that a gateway chose there was nobody to grant one to. */
static uint64_t first_ack_ns(struct engine *engine, const struct set *set)
{
	const struct ballot *ballot = &set->adopted.ballot;
	uint64_t latest = 0;

	if (ballot->nonce == engine->options.nonce)
		return set->ack_from_ns;
	if (ballot->epoch == 0 || (ballot->nonce != 0 && ballot->nonce == engine->options.predecessor_nonce))
		return 0;
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (leg->has_promised && leg->lease_end_ns > latest)
			latest = leg->lease_end_ns;
	}
	return MUTANT(lease_not_waited_out) ? 0 : latest;
}

static void begin_list(struct engine *engine, struct set *set)
{
	set->new_gen = MUTANT(attach_keeps_gen) ? set->members.highest_gen : membership_next_gen(&set->members);
	/* Attached in place: a lease that was being waited out is still another's. */
	if (first_ack_ns(engine, set) > set->ack_from_ns)
		set->ack_from_ns = first_ack_ns(engine, set);
	replace_adopted(engine, set);
	region_map_clear(&set->uncertain);
	set->is_whole = set->is_doubtful = set->lost_lists;
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		leg->job = set->lost_lists ? JOB_DONE : JOB_NONE;
		if (!(set->counted & leg_bit(leg)))
			continue;
		leg->incarnation = leg->hello_incarnation;
		leg->boot_id = leg->hello_boot_id;
	}
	move(engine, set, SET_LIST);
}

/* R8 for all members at once: a device that was served must not go on as if nothing had happened. */
static bool has_lost_writes(const struct engine *engine, struct set *set)
{
	if (!set->lost_data)
		return false;
	if (set->was_ours && !flush_is_due(set)) {
		set->lost_data = false; /* everything completed was durable */
		return false;
	}
	return set->was_ours || engine->options.is_recovery;
}

static void fail_for_loss(struct engine *engine, struct set *set)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "volume %s, set %u: every replica in sync lost power, or failed to sync its disk, with completed "
		 "writes that were not flushed; detach and attach to go on with what is left",
		 engine->spec.name, set->index);
	engine_tell(engine, EVENT_LOSS_RECORDED, set, NULL, 0, "%s", text);
	engine_fail(engine, -EIO, text);
}

static void promised(struct engine *engine, struct set *set)
{
	bool is_waiting = false;
	struct err err;
	int error;

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		is_waiting |= leg->is_probed && !leg_has_vote(leg) && !leg->is_refused;
	}
	if (is_waiting && engine->now_ns - set->phase_ns < engine->options.answer_deadline_ns)
		return;
	error = adopt_set(engine, set, set_voting(engine, set), &err);
	refuse_replaced(engine, set);
	if (!error && has_lost_writes(engine, set))
		fail_for_loss(engine, set);
	else if (!error)
		begin_list(engine, set);
	else if (error == -EAGAIN)
		give_up(engine, &err, !is_waiting && refused_leg(engine));
	else
		engine_fail(engine, error, err.text);
}

/* True: every counted leg is there, as the process it was when it was counted. */
static bool counted_are_there(struct engine *engine, struct set *set)
{
	bool all = true;
	struct err err;

	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(set->counted & leg_bit(leg)))
			continue;
		if (leg_has_vote(leg) && !evict_is_same_process(leg) && !MUTANT(restart_in_attach_ignored)) {
			assemble_again(engine, "a replica restarted during the attach");
			return false;
		}
		all &= leg_has_vote(leg);
		if (leg->is_refused && !engine->is_attached && !engine->options.is_recovery) {
			(void)err_set(&err, leg->refusal_error, "volume %s: replica %s (%s): %s", engine->spec.name,
				      leg_replica(engine, leg)->name, leg_replica(engine, leg)->address,
				      leg->last_error);
			engine_fail(engine, leg->refusal_error, err.text);
			return false;
		}
	}
	if (!all && engine->now_ns - set->phase_ns > 2 * engine->options.answer_deadline_ns)
		assemble_again(engine, "a replica was lost during the attach");
	return all;
}

static void ask_list(struct engine *engine, struct leg *leg)
{
	engine->message.regions_ask = (struct message_regions_ask){engine->ballot, leg->job_from, 0};
	leg->job = JOB_LIST;
	leg->is_job_asked = true;
	attach_ask(engine, leg, MESSAGE_LIST_REGIONS, 0);
}

void assemble_got_list(struct engine *engine, struct leg *leg, const struct message_regions *regions)
{
	struct set *set = leg_set(engine, leg);

	if (set->phase != SET_LIST || leg->job != JOB_LIST || !attach_page_fits(engine, leg, regions, leg->job_from))
		return;
	set->needs_look = true;
	set->is_whole |= regions->everything && !MUTANT(everything_is_nothing);
	for (uint32_t i = 0; i < regions->count; i++)
		region_map_add(&set->uncertain, regions->runs[i].first, regions->runs[i].count);
	if (regions->more && !regions->everything) {
		leg->job_from = regions->next;
		ask_list(engine, leg);
		return;
	}
	leg->job = JOB_DONE;
}

static bool jobs_are_done(struct engine *engine, const struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (set->counted & 1u << i && set_leg(engine, set, i)->job != JOB_DONE)
			return false;
	}
	return true;
}

static void begin_stamp(struct engine *engine, struct set *set)
{
	if (set->is_whole)
		region_map_add_all(&set->uncertain);
	region_map_clear(&set->stamp_map);
	/* Lists lost with everybody's memory: nobody is left out by this commit, so nobody needs the stamps. */
	if (!set->lost_lists && !MUTANT(attach_stamps_nothing))
		region_map_union(&set->stamp_map, &set->uncertain);
	for (unsigned i = 0; i < set->leg_count; i++)
		set_leg(engine, set, i)->job = JOB_NONE;
	move(engine, set, SET_STAMP);
}

static void begin_accept(struct engine *engine, struct set *set)
{
	struct config *config = &engine->message.accept.config; /* scratch */

	adopt_config(engine, set, config);
	membership_propose(&set->members, config, set->counted, set->counted);
	move(engine, set, SET_ACCEPT);
}

static void do_jobs(struct engine *engine, struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(set->counted & leg_bit(leg)) || leg->job == JOB_DONE || leg->is_job_asked)
			continue;
		if (leg->job == JOB_NONE)
			leg->job_from = 0;
		if (set->phase == SET_LIST)
			ask_list(engine, leg);
		else
			attach_stamp(engine, leg, &set->stamp_map, set->new_gen, !MUTANT(attach_does_not_sync));
	}
}

static void spread(struct engine *engine, struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (leg_has_vote(leg) && !(set->members.accepted_by & leg_bit(leg)) &&
		    !adopt_may_lack(engine, &set->members.proposed, leg))
			attach_accept(engine, leg, &set->members.proposed);
	}
	/* Its vote may be needed. */
	if (adopt_is_unaware(engine, set, &set->members.proposed) &&
	    engine->now_ns - set->phase_ns > 2 * engine->options.answer_deadline_ns)
		assemble_again(engine, "a replica that must be compared in full came late");
}

void assemble_set(struct engine *engine, struct set *set)
{
	if (set->phase == SET_PROMISE)
		promised(engine, set);
	if (set->phase != SET_LIST && set->phase != SET_STAMP && set->phase != SET_ACCEPT)
		return;
	if (!counted_are_there(engine, set))
		return;
	if (set->phase == SET_LIST) {
		if (!jobs_are_done(engine, set)) {
			do_jobs(engine, set);
			return;
		}
		begin_stamp(engine, set);
	}
	if (set->phase == SET_STAMP) {
		do_jobs(engine, set);
		if (!jobs_are_done(engine, set))
			return;
		begin_accept(engine, set);
	}
	if (set->phase == SET_ACCEPT)
		spread(engine, set);
}

/* What they prove when they are answered is about the attachment before. */
static void doubt_flushes(struct set *set)
{
	struct list *it, *next;

	list_for_each (it, next, &set->flushes)
		container_of(it, struct part, node)->is_reconciled = false;
}

void assemble_chosen(struct engine *engine, struct set *set)
{
	set->members.stamp_gen = set->members.chosen.gen;
	set->was_ours = true;
	set->evicting = set->forgetful = 0;
	set->change = CHANGE_NONE;
	set->can_forget = false;
	doubt_flushes(set);
	if (set->lost_data)
		engine_tell(engine, EVENT_LOSS_RECORDED, set, NULL, 0, "%s",
			    set->is_forced
				    ? "replicas in sync were given up by the operator; what only they had is gone"
				    : "every replica in sync lost power or failed to sync its disk; writes that "
				      "were not flushed may be gone");
	/* One copy is equal to itself; but within an older gateway's lease it is read no sooner than two (R3.7). */
	if ((__builtin_popcount(set->members.in) == 1 && set_may_reveal(engine, set)) || MUTANT(nothing_is_reconciled))
		region_map_clear(&set->uncertain);
	set->reconcile_total = set->uncertain.held;
	set->reconcile_next = 0;
	set->reconcile_bytes = 0;
	set->reconcile_ns = engine->now_ns;
	if (set->reconcile_total > 0)
		engine_tell(engine, EVENT_RECONCILING, set, NULL, 0, "%llu regions may differ: %s",
			    (unsigned long long)set->reconcile_total,
			    set->lost_lists ? "no replica-server remembers what was under way" : "a gateway was lost");
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		leg->has_forgotten = leg->was_opened = false;
		leg->job = JOB_NONE;
		write_forget_acks(engine, leg);
	}
	move(engine, set, SET_SERVING);
	/* evict_progress() says so if it is suspended still, or again. */
	set->unserved_ns = 0;
	set->is_failing = set->is_failing && set->is_suspended;
	lease_refresh(engine, set);
	set_unhold(engine, set);
}

bool assemble_is_complete(const struct engine *engine)
{
	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		const struct set *set = &engine->sets[i];

		if (set->phase != SET_SERVING || (set_required(set) & ~set->up_legs) != 0)
			return false;
	}
	return true;
}

/* A connection is gone: what it said in this round does not count for its successor. */
void assemble_lost(struct engine *engine, struct leg *leg)
{
	if (engine->phase == PHASE_PROBE)
		leg->is_probed = false;
	leg_set(engine, leg)->needs_look = true;
}

void assemble_contended(struct engine *engine, struct leg *leg, const struct ballot *seen)
{
	bool was_ours = false;
	struct err err;

	leg->promised = *seen;
	for (unsigned i = 0; i < engine->spec.set_count; i++)
		was_ours |= engine->sets[i].was_ours;
	if (was_ours || engine->options.is_recovery) {
		assemble_again(engine, "another gateway asked for promises");
		return;
	}
	(void)err_set(&err, -EBUSY,
		      "volume %s: replica %s (%s): was promised to another gateway (epoch %u); detach one of the two",
		      engine->spec.name, leg_replica(engine, leg)->name, leg_replica(engine, leg)->address,
		      (unsigned)seen->epoch);
	engine_fail(engine, -EBUSY, err.text);
}

void assemble_again(struct engine *engine, const char *cause)
{
	if (engine->is_reattaching || engine->state == VOLUME_FAILED || engine->is_detached)
		return;
	engine->is_reattaching = true;
	engine->counters.reattaches++;
	engine_tell(engine, EVENT_REATTACHING, NULL, NULL, 0, "%s", cause);
}

void assemble_restart(struct engine *engine)
{
	engine->is_reattaching = false;
	link_abort_all(engine, "attaching again");
	for (unsigned i = 0; i < engine->leg_count; i++) {
		struct leg *leg = &engine->legs[i];

		leg->is_probed = leg->has_promised = leg->is_refused = false;
		leg->accepted_gen = 0;
		leg->lease_from_ns = leg->beat_ns = 0;
		leg->job = JOB_NONE;
		resync_lost(engine, leg);
	}
	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		struct set *set = &engine->sets[i];

		membership_reset(&set->members);
		set->change = CHANGE_NONE;
		set->evicting = set->syncing = 0;
		set->lease_until_ns = 0;
		copy_stop_all(engine, set);
		if (set->unserved_ns == 0)
			set->unserved_ns = engine->now_ns;
		move(engine, set, SET_WAITING);
	}
	engine->phase = PHASE_PROBE;
	engine->phase_ns = engine->now_ns;
	engine_refresh_state(engine);
}
