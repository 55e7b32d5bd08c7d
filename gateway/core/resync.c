/* Making replicas equal: what may differ after a gateway was lost (R3.7), and a replica that comes back (R7). Decides
 * which region is next and what a replica must be compared in; copy.c does one region. Reads that wait go first.
 * Beside a request's path, on the same connections; never holds more than RESYNC_SLOTS regions. */
#include <errno.h>
#include <inttypes.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"
#include "proto/status.h"

#define RETRY_PAUSES 10u /* first pauses before connecting again, until a rejoin that was stopped is tried again */

static struct leg *pick_source(struct engine *engine, struct set *set, uint8_t except)
{
	uint8_t from = set_readable(set) & ~except;

	for (unsigned i = 1; i <= set->leg_count; i++) {
		unsigned in_set = (set->read_leg + i) % set->leg_count;

		if (from & 1u << in_set)
			return set_leg(engine, set, in_set);
	}
	return NULL;
}

static uint32_t tag_of(const struct leg *leg)
{
	return TAG_RESYNC | (uint32_t)leg->rejoin.round << 8 | leg->in_set;
}

static struct leg *leg_of_tag(struct engine *engine, const struct set *set, uint32_t tag)
{
	unsigned in_set = tag & 0xff;
	struct leg *leg = in_set < set->leg_count ? set_leg(engine, set, in_set) : NULL;

	return leg && leg->rejoin.phase != REJOIN_NONE && tag_of(leg) == tag ? leg : NULL;
}

/* ---- what a returning replica must be compared in ---- */

static void ask_page(struct engine *engine, struct leg *joiner, struct leg *asked, enum message_kind kind)
{
	const struct voter *voter = leg_voter(engine, &leg_set(engine, joiner)->members.chosen, joiner);
	uint32_t above = joiner->rejoin.is_full		      ? 0
			 : MUTANT(replica_says_what_it_lacks) ? joiner->config.gen
							      : voter->in_sync_gen;

	engine->message.regions_ask = (struct message_regions_ask){engine->ballot, joiner->rejoin.from,
								   kind == MESSAGE_LIST_REGIONS ? 0 : above};
	joiner->rejoin.is_asked = true;
	attach_ask(engine, asked, kind, tag_of(joiner));
}

static void enter(struct engine *engine, struct leg *leg, enum rejoin_phase phase)
{
	leg->rejoin.phase = phase;
	leg->rejoin.from = 0;
	leg->rejoin.is_asked = leg->rejoin.is_last_page = false;
	leg_set(engine, leg)->needs_look = true;
}

static void begin(struct engine *engine, struct set *set, struct leg *leg)
{
	const struct voter *voter = leg_voter(engine, &set->members.chosen, leg);
	bool is_list_lost = voter->compare == COMPARE_ITS_LIST && voter->incarnation != leg->incarnation &&
			    !MUTANT(list_of_another_start);

	leg->rejoin = (struct rejoin){
		.round = (uint16_t)(leg->rejoin.round + 1),
		.since_ns = engine->now_ns,
		.is_full = (voter->compare == COMPARE_EVERYTHING && !MUTANT(everything_not_compared)) || is_list_lost,
	};
	region_map_clear(&leg->to_copy);
	leg->has_forgotten = false;
	/* What it failed to make durable is compared. */
	leg->flush_error = 0;
	if (leg->rejoin.is_full)
		region_map_add_all(&leg->to_copy);
	set->syncing |= leg_bit(leg);
	enter(engine, leg, voter->compare == COMPARE_ITS_LIST && !is_list_lost ? REJOIN_LIST : REJOIN_OWN);
	engine_tell(engine, EVENT_REJOINING, set, leg, 0, "%s, out since gen %" PRIu32,
		    leg->rejoin.is_full ? "compared in full" : "compared where it may differ", voter->in_sync_gen);
}

/* Its session is new. In sync already: nothing to do. */
void resync_up(struct engine *engine, struct leg *leg)
{
	struct set *set = leg_set(engine, leg);

	if (set->members.in_union & leg_bit(leg))
		return;
	write_forget_acks(engine, leg);
	begin(engine, set, leg);
}

static void stop(struct engine *engine, struct set *set, struct leg *leg, const char *why)
{
	if (leg->rejoin.phase == REJOIN_NONE)
		return;
	leg->rejoin.phase = REJOIN_NONE;
	leg->rejoin.retry_ns = engine->now_ns + RETRY_PAUSES * engine->options.reconnect_ns;
	leg->rejoin.barrier_id = 0;
	set->syncing &= (uint8_t)~leg_bit(leg);
	/* Once it was proposed as in sync, only a chosen config lets it go (R7). */
	set->members.barrier &= (uint8_t)~leg_bit(leg);
	set->needs_look = true;
	engine_tell(engine, EVENT_REJOIN_STOPPED, set, leg, engine->now_ns - leg->rejoin.since_ns, "%s", why);
}

void resync_lost(struct engine *engine, struct leg *leg)
{
	struct set *set = leg_set(engine, leg);

	stop(engine, set, leg, leg->last_error);
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *joiner = set_leg(engine, set, i);

		if (joiner == leg || joiner->rejoin.source != leg->in_set || joiner->rejoin.phase < REJOIN_SOURCE ||
		    joiner->rejoin.phase > REJOIN_COPY || joiner->rejoin.phase == REJOIN_OWN)
			continue;
		/* Another source may have stamps that this one lacked. */
		joiner->rejoin.round++;
		enter(engine, joiner, REJOIN_SOURCE);
	}
}

static uint8_t stamps_to_raise(struct set *set, struct message_stamp *stamp, const struct message_regions *regions)
{
	stamp->sync = false;
	stamp->count = 0;
	for (uint32_t i = 0; i < regions->count; i++) {
		struct region_run run = regions->runs[i];

		/* Unknown there: taken as new as anything. */
		if (run.gen == 0 || run.gen > set->members.highest_gen)
			run.gen = set->members.stamp_gen;
		stamp->runs[stamp->count++] = run;
	}
	return stamp->count > 0 && !MUTANT(joiner_gets_no_stamps);
}

static void next_page(struct engine *engine, struct leg *joiner)
{
	static const enum rejoin_phase after[] = {
		[REJOIN_LIST] = REJOIN_OWN,
		[REJOIN_OWN] = REJOIN_SOURCE,
		[REJOIN_SOURCE] = REJOIN_COPY,
	};

	joiner->rejoin.is_asked = false;
	leg_set(engine, joiner)->needs_look = true;
	if (!joiner->rejoin.is_last_page)
		return;
	enter(engine, joiner, after[joiner->rejoin.phase]);
	if (joiner->rejoin.phase == REJOIN_COPY)
		joiner->rejoin.total_regions = joiner->to_copy.held;
}

/* Planted faults only. */
static bool is_ignored(enum rejoin_phase phase)
{
	return (MUTANT(its_list_ignored) && phase == REJOIN_LIST) ||
	       (MUTANT(own_stamps_ignored) && phase == REJOIN_OWN) ||
	       (MUTANT(source_stamps_ignored) && phase == REJOIN_SOURCE);
}

void resync_got_regions(struct engine *engine, struct leg *leg, const struct message_regions *regions, uint32_t tag)
{
	struct set *set = leg_set(engine, leg);
	struct leg *joiner = leg_of_tag(engine, set, tag);

	if (!joiner || joiner->rejoin.phase > REJOIN_OWN ||
	    !attach_page_fits(engine, leg, regions, joiner->rejoin.from))
		return;
	if (regions->everything)
		region_map_add_all(&joiner->to_copy);
	for (uint32_t i = 0; i < regions->count && !is_ignored(joiner->rejoin.phase); i++)
		region_map_add(&joiner->to_copy, regions->runs[i].first, regions->runs[i].count);
	joiner->rejoin.is_last_page = !regions->more || regions->everything;
	joiner->rejoin.from = regions->next;
	if (joiner->rejoin.phase == REJOIN_SOURCE && leg_has_vote(joiner)) {
		/* `regions` may live in another message: the scratch is free. */
		struct message_stamp *stamp = &engine->message.stamp;

		stamp->ballot = engine->ballot;
		if (stamps_to_raise(set, stamp, regions)) {
			attach_ask(engine, joiner, MESSAGE_STAMP, tag);
			return;
		}
	}
	next_page(engine, joiner);
}

void resync_stamped(struct engine *engine, struct leg *leg, uint32_t tag)
{
	struct leg *joiner = leg_of_tag(engine, leg_set(engine, leg), tag);

	if (joiner == leg && leg->rejoin.phase == REJOIN_SOURCE)
		next_page(engine, leg);
}

/* ---- regions ---- */

static uint64_t awaited_region(const struct engine *engine, const struct set *set)
{
	struct list *it, *next;

	list_for_each (it, next, &set->held) {
		const struct part *part = container_of(it, struct part, node);
		uint64_t region = region_map_next(&set->uncertain, part->at.set_offset / REGION_BYTES);

		while (region <= (part->at.set_offset + part->at.length - 1) / REGION_BYTES) {
			if (!copy_is_of(engine, set, region))
				return region;
			region = region_map_next(&set->uncertain, region + 1);
		}
	}
	return set->uncertain.region_count;
}

static uint64_t next_region(const struct engine *engine, const struct set *set, const struct region_map *map,
			    uint64_t from)
{
	uint64_t region = region_map_next(map, from);

	while (region < map->region_count && copy_is_of(engine, set, region))
		region = region_map_next(map, region + 1);
	return region;
}

static bool copies_rest(const struct engine *engine, const struct set *set)
{
	return engine->now_ns < set->copies_rest_ns;
}

void resync_unreadable(struct engine *engine, struct leg *leg, const char *why)
{
	struct set *set = leg_set(engine, leg);
	unsigned others = (unsigned)__builtin_popcount(set->members.in & set->up_legs & ~leg_bit(leg));
	uint64_t until = MUTANT(unreadable_is_asked_again) ? 0 : engine->now_ns + engine->options.slow_rest_ns;

	/* Who can be spared leaves, and is not asked again and again. Where nobody can, it serves what it can read, and
	 * what would compare it rests. */
	if (!(set->members.in_union & leg_bit(leg)) || others >= evict_least(engine, set))
		leg->rest_until_ns = until;
	else
		set->copies_rest_ns = until;
	if (others < 2)
		verify_unreadable(engine, set, why);
	link_abort(engine, leg, "%s", why);
}

static void reconcile(struct engine *engine, struct set *set)
{
	uint8_t members = set->members.in_union;
	uint64_t count = set->uncertain.region_count;

	/* R3.7, R9: what it leaves is read, and may be of a write that was never acknowledged because another gateway's
	 * lease was still running. That one reads what was there before. */
	if (region_map_is_empty(&set->uncertain) || !set_may_reveal(engine, set) || copies_rest(engine, set))
		return;
	if (__builtin_popcount(set_required(set)) == 1) {
		region_map_clear(&set->uncertain);
		engine_tell(engine, EVENT_RECONCILED, set, NULL, engine->now_ns - set->reconcile_ns,
			    "one copy is left, and equal to itself");
		set_unhold(engine, set);
		return;
	}
	/* A lost member is about to leave, or to return. */
	while (!region_map_is_empty(&set->uncertain) && !(members & ~set->up_legs) && set->members.barrier == 0) {
		uint64_t region = awaited_region(engine, set);
		struct leg *source = pick_source(engine, set, 0);

		if (region == count && !pace_allows(engine, &engine->resync_pace))
			return;
		if (region == count)
			region = next_region(engine, set, &set->uncertain, set->reconcile_next);
		if (region == count)
			region = next_region(engine, set, &set->uncertain, 0);
		if (region == count || !source ||
		    !copy_begin(engine, set, region, (uint8_t)source->in_set, members & ~leg_bit(source),
				COPY_RECONCILE))
			return;
		set->reconcile_next = region + 1;
	}
}

static void send_barrier(struct engine *engine, struct set *set, struct leg *leg)
{
	struct frame frame = {
		.type = FRAME_FLUSH,
		.epoch = engine->ballot.epoch,
		.session = leg->session,
		.stable_upto = set->stable_upto,
	};

	if (!MUTANT(joiner_not_required))
		set->members.barrier |= leg_bit(leg);
	leg->rejoin.phase = MUTANT(rejoin_without_flush) ? REJOIN_COMMIT : REJOIN_BARRIER;
	leg->rejoin.barrier_id = frame.id = slot_new_id(engine, ID_SLOT_PING, 1);
	leg->rejoin.barrier_writes = set->completed_writes;
	leg_op_sent(leg, LANE_MAIN, &leg->barrier, 0, engine->now_ns);
	engine->ops->send_frame(engine->ctx, leg->index, LANE_MAIN, &frame);
	/* Those under way need its answer as well from here on. */
	flush_resend(engine, leg);
}

void resync_barrier_answered(struct engine *engine, struct leg *leg, const struct frame *reply)
{
	leg->rejoin.barrier_id = 0;
	if (reply->status != WIRE_OK) {
		evict_faulty(engine, leg, "its FLUSH failed: %s", wire_status_name((enum wire_status)reply->status));
		return;
	}
	if (leg->rejoin.phase != REJOIN_BARRIER)
		return;
	leg->durable_writes = leg->rejoin.barrier_writes;
	leg->rejoin.phase = REJOIN_COMMIT;
	leg_set(engine, leg)->needs_look = true;
}

uint8_t resync_joiners(struct engine *engine, const struct set *set)
{
	uint8_t legs = 0;

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (leg->rejoin.phase == REJOIN_COMMIT && leg->state == LEG_UP)
			legs |= leg_bit(leg);
	}
	return legs;
}

static unsigned copies_for(const struct engine *engine, const struct set *set, const struct leg *leg)
{
	unsigned count = 0;

	for (unsigned i = 0; i < RESYNC_SLOTS; i++) {
		const struct copy *copy = &engine->copies[i];

		count += copy->phase != COPY_IDLE && copy->purpose != COPY_VERIFY && copy->set == set->index &&
			 copy->targets & leg_bit(leg);
	}
	return count;
}

static void copy_some(struct engine *engine, struct set *set, struct leg *leg)
{
	while (pace_allows(engine, &engine->resync_pace)) {
		uint64_t region = next_region(engine, set, &leg->to_copy, 0);
		const struct leg *source = set_leg(engine, set, leg->rejoin.source);

		if (region == leg->to_copy.region_count || !(set_readable(set) & leg_bit(source)) ||
		    !copy_begin(engine, set, region, (uint8_t)source->in_set, leg_bit(leg), COPY_REJOIN))
			break;
	}
	if (region_map_is_empty(&leg->to_copy) && copies_for(engine, set, leg) == 0)
		send_barrier(engine, set, leg);
}

/* Until then the in-sync ones may not even have the same stamps: they travel with the copies. */
static bool are_agreed(const struct set *set)
{
	return region_map_is_empty(&set->uncertain) || MUTANT(rejoin_of_the_uncertain);
}

static void rejoin(struct engine *engine, struct set *set, struct leg *leg)
{
	struct leg *source;

	/* Its end is on its way when its session is gone. */
	if (leg->rejoin.is_asked || leg->state != LEG_UP)
		return;
	switch (leg->rejoin.phase) {
	case REJOIN_LIST:
		ask_page(engine, leg, leg, MESSAGE_LIST_REGIONS);
		break;
	case REJOIN_OWN:
		ask_page(engine, leg, leg, MESSAGE_STAMPED_REGIONS);
		break;
	case REJOIN_SOURCE:
		source = leg->rejoin.from ? set_leg(engine, set, leg->rejoin.source) : pick_source(engine, set, 0);
		if (!source || !(set_readable(set) & leg_bit(source)) || !are_agreed(set))
			break;
		leg->rejoin.source = source->in_set;
		ask_page(engine, leg, source, MESSAGE_STAMPED_REGIONS);
		break;
	case REJOIN_COPY:
		if (are_agreed(set) && set->change == CHANGE_NONE && !copies_rest(engine, set))
			copy_some(engine, set, leg);
		break;
	case REJOIN_NONE:
	case REJOIN_BARRIER:
	case REJOIN_COMMIT:
		break;
	}
}

static void invite(struct engine *engine, struct set *set, struct leg *leg)
{
	if (!evict_is_fit(engine, leg) || engine->now_ns < leg->rejoin.retry_ns)
		return;
	/* The config is about to say what it must be compared in. */
	if (adopt_may_lack(engine, &set->members.chosen, leg))
		return;
	if (set->change == CHANGE_NONE && !set->members.is_proposed && set_readable(set))
		attach_open(engine, leg);
}

void resync_progress(struct engine *engine, struct set *set)
{
	uint8_t out = set->data_legs & ~set->members.in_union;

	if (set->phase != SET_SERVING || !engine->is_attached || engine->state == VOLUME_FAILED || engine->is_detached)
		return;
	reconcile(engine, set);
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (leg->rejoin.phase != REJOIN_NONE)
			rejoin(engine, set, leg);
		else if (out & leg_bit(leg) && engine->state != VOLUME_DETACHING)
			invite(engine, set, leg);
	}
	verify_progress(engine, set);
}

/* The region is equal on all that the copy was about. */
void resync_copied(struct engine *engine, struct copy *copy)
{
	struct set *set = &engine->sets[copy->set];

	set->needs_look = true;
	if (copy->purpose == COPY_REJOIN) {
		/* A write that it waited for failed: its source is about to change, and it comes once more. */
		if (region_map_has(&set->uncertain, copy->region) && !MUTANT(rejoin_of_the_uncertain))
			return;
		for (unsigned i = 0; i < set->leg_count; i++) {
			struct leg *leg = set_leg(engine, set, i);

			if (copy->targets & leg_bit(leg)) {
				region_map_remove(&leg->to_copy, copy->region);
				leg->rejoin.compared_bytes += copy->is_unseen ? 0 : copy->bytes;
				leg->rejoin.unseen_bytes += copy->is_unseen ? copy->bytes : 0;
			}
		}
		return;
	}
	region_map_remove(&set->uncertain, copy->region);
	set_unhold(engine, set);
	if (region_map_is_empty(&set->uncertain))
		engine_tell(engine, EVENT_RECONCILED, set, NULL, engine->now_ns - set->reconcile_ns,
			    "%llu regions compared, %llu bytes copied", (unsigned long long)set->reconcile_total,
			    (unsigned long long)set->reconcile_bytes);
}

void resync_chosen(struct engine *engine, struct set *set, uint8_t joined)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(joined & leg_bit(leg)))
			continue;
		set->syncing &= (uint8_t)~leg_bit(leg);
		leg->rejoin.phase = REJOIN_NONE;
		engine->counters.rejoins++;
		engine_tell(engine, EVENT_REJOINED, set, leg, engine->now_ns - leg->rejoin.since_ns,
			    "%llu bytes compared, %llu copied, %llu of them without comparing",
			    (unsigned long long)leg->rejoin.compared_bytes,
			    (unsigned long long)leg->rejoin.copied_bytes, (unsigned long long)leg->rejoin.unseen_bytes);
	}
}

bool resync_forget_lists(struct engine *engine, struct set *set)
{
	bool is_asked = false;

	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		if (!(set->members.in & leg_bit(leg)) || leg->state != LEG_UP || leg->has_forgotten)
			continue;
		leg->has_forgotten = true;
		engine->message.promise = (struct message_ballot){engine->ballot};
		attach_ask(engine, leg, MESSAGE_FORGET, 0);
		is_asked = true;
	}
	return is_asked;
}

void resync_tick(struct engine *engine, struct set *set)
{
	if (set->phase != SET_SERVING || !engine->is_attached)
		return;
	if (set->can_forget)
		resync_forget_lists(engine, set);
	if (set->syncing || !region_map_is_empty(&set->uncertain) || set->data_legs != set->members.in)
		set->needs_look = true;
}
