/* The config follows who is there (R6, R7's commit, R8). One change at a time: stamp what the leaving replicas may
 * lack, propose, and when a majority has stored it, require less. Until then everybody who was in sync by the chosen
 * config or by any proposal since stays required, and a replica that comes back may be let in again if the others are
 * lost. Beside a request's path: it decides when a write that waits for a lost replica may complete. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

#define REST_NS 10000000000ull	 /* before a replica without space is tried again */
#define SLOW_FLOOR_NS 5000000ull /* nobody is slow below this */
#define SLOW_WRITES_MIN 16u	 /* answered while slow, before it is evicted for it */

bool evict_is_same_process(const struct leg *leg)
{
	return MUTANT(restart_not_noticed) ||
	       (leg->hello_incarnation == leg->incarnation && uuid_equal(&leg->hello_boot_id, &leg->boot_id));
}

unsigned evict_least(const struct engine *engine, const struct set *set)
{
	unsigned data = (unsigned)__builtin_popcount(set->data_legs), least = engine->options.min_in_sync;

	least = least < data ? least : data;
	return least > 0 ? least : 1;
}

bool evict_is_short(const struct engine *engine, const struct set *set)
{
	return (unsigned)__builtin_popcount(set->members.in) < evict_least(engine, set);
}

void evict_faulty(struct engine *engine, struct leg *leg, const char *format, ...)
{
	char reason[sizeof(leg->last_error)];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	leg_blame(leg, reason);
	leg->is_faulty = true;
	leg->faulty_incarnation = leg->hello_incarnation;
	link_abort(engine, leg, "%s", reason);
}

static bool is_opening(const struct leg *leg)
{
	return leg->state == LEG_VOTING && leg->step != STEP_NONE;
}

bool evict_is_fit(const struct engine *engine, const struct leg *leg)
{
	return leg->state == LEG_VOTING && leg->step == STEP_NONE && !leg->is_faulty &&
	       engine->now_ns >= leg->rest_until_ns;
}

static void note_lost_members(struct engine *engine, struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(set->members.in & ~set->evicting & leg_bit(leg)) || leg->state == LEG_UP || is_opening(leg))
			continue;
		/* Its first session after the attach; later ones are not opened without a decision. */
		if (evict_is_fit(engine, leg) && evict_is_same_process(leg) && !leg->was_opened)
			continue;
		set->evicting |= leg_bit(leg);
		engine_tell(engine, EVENT_EVICTING, set, leg, 0, "%s", leg->last_error);
	}
}

/* The page cache of its last session is still there. What it failed to make durable may be gone as after a power loss,
 * whatever the next FLUSH says (P1). */
static bool has_kept(const struct leg *leg)
{
	return uuid_equal(&leg->hello_boot_id, &leg->boot_id) && !leg->flush_error;
}

/* R8: the only copy is back without what it had completed; or all of them are. */
static void check_loss(struct engine *engine, struct set *set, struct leg *leg)
{
	char text[256];

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *other = set_leg(engine, set, i);

		/* Another one may still have it. */
		if (set->members.in & leg_bit(other) && !other->is_blank &&
		    (other->state != LEG_VOTING || has_kept(other)))
			return;
	}
	snprintf(text, sizeof(text),
		 "volume %s: replica %s (%s), the last one in sync, %s and lost writes that were not flushed "
		 "(up to %llu); detach and attach to go on with what is left",
		 engine->spec.name, leg_replica(engine, leg)->name, leg_replica(engine, leg)->address,
		 leg->flush_error ? "failed to make its data durable"
				  : "restarted its machine or failed to sync its disk,",
		 (unsigned long long)(set->completed_writes - leg->durable_writes));
	engine_tell(engine, EVENT_LOSS_RECORDED, set, leg, 0, "%s", text);
	engine_fail(engine, -EIO, text);
}

/* A lost member of the chosen config may be in sync again: with its memory always, without it only alone (R6). */
static bool may_return(struct engine *engine, struct set *set, struct leg *leg, uint8_t keep)
{
	if (!evict_is_fit(engine, leg))
		return false;
	if (evict_is_same_process(leg))
		return true;
	if (keep != 0 && !MUTANT(forgetful_returns_beside_others))
		return false;
	if (has_kept(leg))
		return true;
	if (set->completed_writes <= leg->durable_writes || MUTANT(power_loss_forgiven))
		return true;
	check_loss(engine, set, leg);
	return false;
}

static uint8_t let_return(struct engine *engine, struct set *set, uint8_t keep)
{
	/* Those with their memory first: one without may only be alone. */
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < set->leg_count; i++) {
			struct leg *leg = set_leg(engine, set, i);

			if (!(set->members.in & set->evicting & leg_bit(leg)))
				continue;
			if (pass == 0 && !evict_is_same_process(leg))
				continue;
			if (MUTANT(no_turning_round) || !may_return(engine, set, leg, keep))
				continue;
			/* With what failed while it was away, which is read from now on. */
			if (set->failed_from != UINT64_MAX && has_kept(leg) && !MUTANT(failed_write_not_counted))
				set->completed_writes++;
			set->evicting &= (uint8_t)~leg_bit(leg);
			keep |= leg_bit(leg);
		}
	}
	return keep;
}

/* Lost members that are there, and can only come back by a rejoin. */
static bool rest_can_only_rejoin(struct engine *engine, const struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (!(set->members.in & set->evicting & leg_bit(leg)) || leg->is_blank)
			continue;
		if (leg->state != LEG_VOTING || (evict_is_same_process(leg) && !leg->is_faulty))
			return false;
	}
	return true;
}

static void open_members(struct engine *engine, struct set *set, uint8_t keep)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (keep & leg_bit(leg) && leg->state == LEG_VOTING && leg->step == STEP_NONE)
			attach_open(engine, leg);
	}
}

/* The chosen config names a process that is no more. */
static bool identity_is_stale(struct engine *engine, const struct set *set, uint8_t keep)
{
	if (set->is_doubtful)
		return false;
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);
		const struct voter *voter = leg_voter(engine, &set->members.chosen, leg);

		if (!(keep & set->up_legs & leg_bit(leg)) || !voter)
			continue;
		if (!uuid_equal(&voter->boot_id, &leg->boot_id) ||
		    (voter->incarnation != leg->incarnation && !set_has_forgetful(set, leg_bit(leg), keep)))
			return true;
	}
	return false;
}

static bool needs_change(struct engine *engine, const struct set *set, uint8_t want)
{
	const struct membership *members = &set->members;

	return want != members->in || members->in_union != members->in || members->stamp_gen > members->chosen.gen ||
	       identity_is_stale(engine, set, want) || adopt_is_unaware(engine, set, &members->chosen) ||
	       replace_is_due(engine, set);
}

static void begin_change(struct engine *engine, struct set *set, uint8_t want)
{
	uint8_t leaving = set->members.in_union & ~want;
	uint32_t gen = membership_next_gen(&set->members);

	if (gen == 0) {
		engine_fail(engine, -EOVERFLOW, "gens are used up");
		return;
	}
	set->change = CHANGE_STAMP;
	set->change_ns = engine->now_ns;
	set->change_gen = gen;
	set->target = want;
	region_map_clear(&set->stamp_map);
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		leg->job = leaving ? JOB_NONE : JOB_DONE;
		leg->is_job_asked = false;
		if (leaving & leg_bit(leg) && !MUTANT(evict_stamps_nothing))
			flush_unsynced(engine, set, leg, &set->stamp_map);
	}
	if (!leaving)
		return;
	/* What is uncertain may differ on the leaving ones, and no write says so. */
	if (!MUTANT(evict_forgets_the_uncertain))
		region_map_union(&set->stamp_map, &set->uncertain);
	if (!MUTANT(writes_keep_gen_in_evict))
		set->members.stamp_gen = gen;
}

static bool stamp_all(struct engine *engine, struct set *set)
{
	uint8_t stamped = set->target | (MUTANT(evict_leaves_out_the_syncing) ? 0 : set->syncing);
	bool is_done = true;

	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(stamped & leg_bit(leg)) || leg->job == JOB_DONE)
			continue;
		if (leg_has_vote(leg) && !leg->is_job_asked) {
			if (leg->job == JOB_NONE)
				leg->job_from = 0;
			attach_stamp(engine, leg, &set->stamp_map, set->change_gen, false);
		}
		is_done &= leg->job == JOB_DONE || MUTANT(evict_before_stamps);
	}
	return is_done;
}

void evict_stamped(struct engine *engine, struct leg *leg)
{
	struct set *set = leg_set(engine, leg);

	if (leg->job == JOB_STAMP && leg->job_from >= set->stamp_map.region_count)
		leg->job = JOB_DONE;
	set->needs_look = true;
}

static void spread(struct engine *engine, struct set *set)
{
	const struct membership *members = &set->members;
	const struct config *config = members->is_proposed ? &members->proposed : &members->chosen;

	/* Nobody in it can be used: chosen now, it would make a loss of what others still have. */
	if (members->is_proposed && !(members->proposed_in & ~set->evicting))
		return;
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (leg_has_vote(leg) && leg->accepted_gen < config->gen &&
		    (!adopt_may_lack(engine, config, leg) || MUTANT(rolled_back_marked_late)) &&
		    !(MUTANT(leaving_may_not_vote) && set->evicting & leg_bit(leg)))
			attach_accept(engine, leg, config);
	}
}

static void go_on(struct engine *engine, struct set *set)
{
	struct config *config = &engine->message.accept.config; /* scratch */

	if (set->change == CHANGE_STAMP && stamp_all(engine, set)) {
		replace_name(engine, set, set->change_gen);
		adopt_change(engine, set, set->change_gen, set->target, config);
		membership_propose(&set->members, config, set->target, 0);
		set->change = CHANGE_ACCEPT;
		lease_refresh(engine, set);
	}
}

static uint8_t opening(struct engine *engine, const struct set *set)
{
	uint8_t legs = 0;

	for (unsigned i = 0; i < set->leg_count; i++)
		legs |= (uint8_t)((unsigned)is_opening(set_leg(engine, set, i)) << i);
	return legs;
}

static const char *suspend_reason(struct engine *engine, const struct set *set, bool is_short)
{
	if (!membership_is_majority(&set->members, set_voting(engine, set)))
		return "no majority of the voters answers";
	if (!(set->members.in & (set->up_legs | opening(engine, set))))
		return "no replica in sync answers";
	return is_short ? "fewer replicas in sync than min-in-sync" : NULL;
}

/* Writes cannot complete and nothing under way will change that soon; told to be over when they can. */
static void note_suspension(struct engine *engine, struct set *set, bool is_short)
{
	bool is_blocked = (set_required(set) & ~set->up_legs) != 0 || is_short;
	const char *reason = is_blocked ? suspend_reason(engine, set, is_short) : NULL;
	bool is_suspended = reason || (is_blocked && set->is_suspended);

	if (reason)
		set->suspend_reason = reason;
	if (is_suspended == set->is_suspended)
		return;
	set->is_suspended = is_suspended;
	if (is_suspended) {
		engine_tell(engine, EVENT_SUSPENDED, set, NULL, 0, "%s", set->suspend_reason);
		set->suspended_ns = engine->now_ns;
	} else {
		engine_tell(engine, EVENT_RESUMED, set, NULL, engine->now_ns - set->suspended_ns, "was: %s",
			    set->suspend_reason);
		set->resumed_ns = engine->now_ns;
		set->is_failing = false;
	}
}

/* Who should be in sync; 0: it must stay as it is. */
static uint8_t wanted(struct engine *engine, const struct set *set, uint8_t keep, bool is_short)
{
	uint8_t joined = keep | resync_joiners(engine, set);
	bool is_enough = (unsigned)__builtin_popcount(joined) >= evict_least(engine, set);

	if (!keep)
		return 0;
	return !is_short || is_enough || keep == set->members.in || rest_can_only_rejoin(engine, set) ? joined : 0;
}

void evict_progress(struct engine *engine, struct set *set)
{
	uint8_t keep, want;
	bool is_short;

	if (set->phase != SET_SERVING || engine->state == VOLUME_FAILED || engine->is_detached)
		return;
	if (region_map_is_empty(&set->uncertain) && copy_active(engine, set, COPY_REJOIN | COPY_RECONCILE) == 0)
		set->is_doubtful = false;
	note_lost_members(engine, set);
	keep = set->members.in & (uint8_t)~set->evicting;
	is_short = (unsigned)__builtin_popcount(keep) < evict_least(engine, set);
	if (is_short && set->evicting & set->members.in) {
		keep = let_return(engine, set, keep);
		is_short = (unsigned)__builtin_popcount(keep) < evict_least(engine, set);
	}
	if (engine->state == VOLUME_FAILED)
		return;
	open_members(engine, set, keep);
	want = wanted(engine, set, keep, is_short);
	if (want && needs_change(engine, set, want)) {
		if (set->change == CHANGE_NONE || set->target != want ||
		    (set->change == CHANGE_ACCEPT && adopt_is_unaware(engine, set, &set->members.proposed)))
			begin_change(engine, set, want);
		go_on(engine, set);
	} else {
		set->change = CHANGE_NONE;
	}
	spread(engine, set);
	replace_seed(engine, set);
	note_suspension(engine, set, is_short);
	engine_refresh_state(engine);
}

/* R6: who was let back before it was known that an older proposal, without it, is chosen. It comes back by a rejoin. */
static void abort_evicted(struct engine *engine, struct set *set, uint8_t was_union)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (was_union & ~set->members.in_union & leg_bit(leg) && leg->state == LEG_UP)
			link_abort(engine, leg, "evicted: %s", leg->last_error);
	}
}

static void tell_chosen(struct engine *engine, struct set *set, uint8_t was_in)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (was_in & ~set->members.in & leg_bit(leg)) {
			engine->counters.evictions++;
			engine_tell(engine, EVENT_EVICTED, set, leg,
				    engine->now_ns - (leg->silent_ns ? leg->silent_ns : set->change_ns), "%s",
				    leg->last_error);
		}
	}
}

void evict_accepted(struct engine *engine, struct leg *leg, uint32_t gen)
{
	struct set *set = leg_set(engine, leg);
	uint8_t was_in = set->members.in, was_union = set->members.in_union;

	set->needs_look = true;
	if (gen > leg->accepted_gen)
		leg->accepted_gen = gen;
	if (!membership_accepted(&set->members, leg_bit(leg), gen))
		return;
	if (set->phase == SET_ACCEPT) {
		assemble_chosen(engine, set);
		return;
	}
	set->change = CHANGE_NONE;
	set->evicting &= set->members.in;
	set->forgetful &= __builtin_popcount(set->members.in) > 1 ? set->members.in : 0;
	tell_chosen(engine, set, was_in);
	abort_evicted(engine, set, was_union);
	resync_chosen(engine, set, set->members.in & ~was_in);
	lease_refresh(engine, set);
	if (__builtin_popcount(set_required(set)) == 1 && set_may_reveal(engine, set))
		region_map_clear(&set->uncertain);
	write_recheck(engine, set);
	flush_recheck(engine, set);
	set_unhold(engine, set);
	set_drain(engine, set);
}

void evict_note_latency(struct engine *engine, struct leg *leg, uint64_t latency_ns)
{
	leg->latency_ns = leg->latency_ns ? (leg->latency_ns * 15 + latency_ns) / 16 : latency_ns;
	leg->latency_ns |= 1; /* 0: none yet */
	leg->slow_writes++;
}

/* The lowest latency among `legs`; 0: not everybody has answered a write yet, so there is nothing to compare. */
static uint64_t fastest_of(struct engine *engine, const struct set *set, uint8_t legs)
{
	uint64_t fastest = UINT64_MAX;

	for (unsigned i = 0; i < set->leg_count; i++) {
		uint64_t latency = set_leg(engine, set, i)->latency_ns;

		if (legs & 1u << i && latency < fastest)
			fastest = latency;
	}
	return fastest;
}

/* Slow for long, and in many writes: not by one that took its time before the volume fell idle. */
static bool is_slow(struct engine *engine, struct leg *leg, uint64_t limit)
{
	/* Once slow, it must come down to half of the limit to be forgiven. */
	if (leg->latency_ns < limit / 2) {
		leg->slow_since_ns = 0;
	} else if (leg->latency_ns > limit && !leg->slow_since_ns) {
		leg->slow_since_ns = engine->now_ns;
		leg->slow_writes = 0;
	}
	return leg->slow_since_ns && engine->now_ns - leg->slow_since_ns >= engine->options.slow_ns &&
	       leg->slow_writes >= SLOW_WRITES_MIN;
}

static void watch_slowness(struct engine *engine, struct set *set)
{
	uint8_t legs = set->members.in & set->up_legs;
	uint64_t fastest = fastest_of(engine, set, legs), limit;

	if (engine->options.slow_factor == 0 || (unsigned)__builtin_popcount(legs) <= evict_least(engine, set) ||
	    set->change != CHANGE_NONE || fastest == 0)
		return;
	limit = fastest * engine->options.slow_factor;
	limit = limit > SLOW_FLOOR_NS ? limit : SLOW_FLOOR_NS;
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(legs & leg_bit(leg)) || !is_slow(engine, leg, limit))
			continue;
		leg->slow_since_ns = 0;
		leg->rest_until_ns = engine->now_ns + engine->options.slow_rest_ns;
		link_abort(engine, leg, "answers %llu times slower than the fastest replica",
			   (unsigned long long)(leg->latency_ns / fastest));
		return;
	}
}

static bool is_over(const struct engine *engine, uint64_t since_ns)
{
	return since_ns && engine->now_ns - since_ns > engine->options.quorum_wait_ns;
}

/* R12: reads of what cannot be made equal, though nothing is suspended for long enough. */
static void fail_held(struct engine *engine, struct set *set)
{
	struct list *it, *next;

	list_for_each (it, next, &set->held) {
		struct part *part = container_of(it, struct part, node);

		if (is_over(engine, part->held_ns) && !MUTANT(held_for_ever))
			part_done(engine, part, -EIO);
	}
}

/* By policy nobody waits for longer than he was told, whatever it is that does not come. */
static void keep_deadline(struct engine *engine, struct set *set)
{
	if (!engine->options.fails_without_quorum || !engine->is_attached || engine->is_recovering)
		return;
	if (is_over(engine, set->is_suspended		  ? set->suspended_ns
			    : MUTANT(reattached_for_ever) ? 0
							  : set->unserved_ns)) {
		set->is_failing = true;
		write_fail_all(engine, set);
	}
	fail_held(engine, set);
}

void evict_tick(struct engine *engine, struct set *set)
{
	keep_deadline(engine, set);
	if (set->phase != SET_SERVING)
		return;
	if (engine->now_ns >= set->copies_rest_ns)
		set->copies_rest_ns = 0;
	watch_slowness(engine, set);
	/* The copy that passed it may be over. */
	if (set->has_put_off) {
		set->has_put_off = false;
		write_recheck(engine, set);
	}
	if (set->ack_from_ns && engine->now_ns >= set->ack_from_ns) {
		set->ack_from_ns = 0;
		write_recheck(engine, set);
	}
}
