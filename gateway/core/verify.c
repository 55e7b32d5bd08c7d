/* All in-sync replicas of a volume compared with each other while it is served, when people ask for it: one set after
 * the other, region by region under the range lock (copy.c), a piece at a time. What differs is listed and, if asked
 * for, copied from the majority, or where there is none from the replica that was named.
 *
 * A region is compared on whoever is in sync when its turn comes. A lost replica stops the regions under way; they are
 * compared again among those left, once the config is settled. What makes replicas equal, and the application, go
 * first; a detach waits for nothing here. Beside a request's path: writes to a region wait while it is compared. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

#define PATIENCE_NS 60000000000ull /* with what may never come: a second replica in sync, a majority */
#define STOPS_MAX 16u		   /* a region that is stopped so often is not compared for another reason */

const char *verify_state_name(enum verify_state state)
{
	static const char *const names[] = {
		[VERIFY_NEVER] = "never",
		[VERIFY_RUNNING] = "running",
		[VERIFY_DONE] = "done",
		[VERIFY_ENDED] = "ended",
	};

	return (unsigned)state < ARRAY_COUNT(names) ? names[state] : "?";
}

static bool has_mirror(const struct set *set)
{
	return __builtin_popcount(set->data_legs) > 1;
}

static uint64_t bytes_to_compare(const struct engine *engine)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < engine->spec.set_count; i++)
		bytes += has_mirror(&engine->sets[i]) ? volume_set_bytes(&engine->spec, i) : 0;
	return bytes;
}

static int check_sources(const struct engine *engine, uint64_t sources, struct err *err)
{
	for (unsigned i = 0; i < engine->spec.set_count; i++) {
		const struct set *set = &engine->sets[i];
		uint64_t named = sources >> set->first_leg & set->all_legs;

		if (named & ~(uint64_t)set->data_legs)
			return err_set(err, -EINVAL, "volume %s: a witness has no data to repair from",
				       engine->spec.name);
		if (__builtin_popcountll(named) > 1)
			return err_set(err, -EINVAL, "volume %s: two replicas named to repair set %u from; name one",
				       engine->spec.name, i);
	}
	return 0;
}

static int check_start(const struct engine *engine, const struct verify_order *order, struct err *err)
{
	const char *name = engine->spec.name;

	if (engine->verify.status.state == VERIFY_RUNNING)
		return err_set(err, -EBUSY, "volume %s: it is being verified already; follow or cancel that", name);
	if (!engine->is_attached || engine->is_detached || engine->state != VOLUME_SERVING)
		return err_set(err, -EAGAIN, "volume %s: it is %s; verify it when it is serving", name,
			       volume_state_name(engine->state));
	if (bytes_to_compare(engine) == 0)
		return err_set(err, -EINVAL, "volume %s: no set has two replicas, there is nothing to compare", name);
	return check_sources(engine, order->sources, err);
}

static void look_again(struct engine *engine)
{
	struct verify *verify = &engine->verify;

	if (verify->set < engine->spec.set_count)
		engine->sets[verify->set].needs_look = true;
}

int engine_verify_start(struct engine *engine, const struct verify_order *order, struct err *err)
{
	struct verify *verify = &engine->verify;
	int error = check_start(engine, order, err);

	if (error)
		return error;
	*verify = (struct verify){.order = *order};
	verify->pace = (struct pace){.bytes_per_s = order->bytes_per_s, .refilled_ns = engine->now_ns};
	verify->status.state = VERIFY_RUNNING;
	verify->status.repair = order->repair;
	verify->status.since_ns = engine->now_ns;
	verify->status.total_bytes = bytes_to_compare(engine);
	verify->status.leg_count = engine->leg_count;
	engine_tell(engine, EVENT_VERIFYING, NULL, NULL, 0, "%" PRIu64 " bytes of each replica%s",
		    verify->status.total_bytes, order->repair ? ", differences are repaired" : "");
	look_again(engine);
	engine_run(engine);
	return 0;
}

static void end(struct engine *engine, enum verify_state state)
{
	struct verify_status *status = &engine->verify.status;

	status->state = state;
	status->ended_ns = engine->now_ns;
	engine_tell(engine, state == VERIFY_DONE ? EVENT_VERIFIED : EVENT_VERIFY_ENDED, NULL, NULL,
		    engine->now_ns - status->since_ns,
		    "%" PRIu64 " of %" PRIu64 " bytes compared, %" PRIu64 " differ, %" PRIu64 " repaired%s%s",
		    status->compared_bytes, status->total_bytes, status->differing_bytes, status->repaired_bytes,
		    status->text[0] ? "; " : "", status->text);
}

static void end_if_idle(struct engine *engine)
{
	if (engine->verify.is_ending && engine->verify.status.state == VERIFY_RUNNING &&
	    copy_active(engine, NULL, COPY_VERIFY) == 0)
		end(engine, VERIFY_ENDED);
}

void verify_end(struct engine *engine, const char *why)
{
	struct verify *verify = &engine->verify;

	if (verify->status.state != VERIFY_RUNNING || verify->is_ending)
		return;
	verify->is_ending = true;
	snprintf(verify->status.text, sizeof(verify->status.text), "%s", why);
	end_if_idle(engine);
}

void engine_verify_cancel(struct engine *engine)
{
	verify_end(engine, "cancelled");
	engine_run(engine);
}

void engine_verify_status(const struct engine *engine, struct verify_status *ret)
{
	*ret = engine->verify.status;
}

/* ---- Which region is next. ---- */

/* NULL: nothing. What may never come is waited for with patience. */
static const char *what_it_waits_for(const struct set *set, bool *ret_may_never_come)
{
	*ret_may_never_come = false;
	if (!region_map_is_empty(&set->uncertain))
		return "what may differ is being made equal first";
	if (set->syncing && !MUTANT(verify_beside_a_rejoin))
		return "a replica is being taken back";
	*ret_may_never_come = true;
	if (set->phase != SET_SERVING || set->is_suspended)
		return "the set is not served";
	if (set->change != CHANGE_NONE || set->members.is_proposed || set->members.in & ~set->up_legs)
		return "a replica was lost and is not evicted yet";
	if (__builtin_popcount(set->members.in) < 2)
		return "one replica alone is in sync, there is nothing to compare it with";
	return NULL;
}

static bool must_wait(struct engine *engine, const struct set *set)
{
	struct verify *verify = &engine->verify;
	bool may_never_come;
	const char *what = what_it_waits_for(set, &may_never_come);

	verify->status.text[0] = '\0';
	if (what)
		snprintf(verify->status.text, sizeof(verify->status.text), "set %u: %s", set->index, what);
	if (!what || !may_never_come)
		verify->waits_since_ns = 0;
	else if (!verify->waits_since_ns)
		verify->waits_since_ns = engine->now_ns;
	return what != NULL;
}

static uint64_t regions_to_compare(const struct set *set)
{
	return set->uncertain.region_count - MUTANT(verify_ends_early);
}

/* The number of regions: none is left to begin. */
static uint64_t take_region(struct verify *verify, const struct set *set)
{
	if (verify->retry_count > 0)
		return verify->retry[--verify->retry_count];
	return verify->next < regions_to_compare(set) ? verify->next++ : set->uncertain.region_count;
}

static void give_back(struct verify *verify, uint64_t region)
{
	assert(verify->retry_count < RESYNC_SLOTS);
	verify->retry[verify->retry_count++] = region;
}

/* False: not now. */
static bool begin_region(struct engine *engine, struct set *set)
{
	struct verify *verify = &engine->verify;
	uint8_t legs = set->members.in;
	uint64_t region;

	if (copy_active(engine, NULL, COPY_ANY) == RESYNC_SLOTS)
		return false;
	region = take_region(verify, set);
	if (region == set->uncertain.region_count)
		return false;
	/* Another purpose's copy of it, which was stopped, has not ended yet. */
	if (copy_is_of(engine, set, region) ||
	    !copy_begin(engine, set, region, (uint8_t)__builtin_ctz(legs), legs, COPY_VERIFY)) {
		give_back(verify, region);
		return false;
	}
	return true;
}

static bool set_is_done(const struct engine *engine, const struct set *set)
{
	const struct verify *verify = &engine->verify;

	return verify->retry_count == 0 && copy_active(engine, set, COPY_VERIFY) == 0 &&
	       (!has_mirror(set) || verify->next >= regions_to_compare(set));
}

static void next_set(struct engine *engine)
{
	struct verify *verify = &engine->verify;

	verify->next = 0;
	verify->status.text[0] = '\0';
	if (++verify->set == engine->spec.set_count)
		end(engine, VERIFY_DONE);
	else
		look_again(engine);
}

void verify_progress(struct engine *engine, struct set *set)
{
	struct verify *verify = &engine->verify;

	if (verify->status.state != VERIFY_RUNNING || verify->set != set->index || verify->is_ending)
		return;
	if (!set_is_done(engine, set) && must_wait(engine, set))
		return;
	while (pace_allows(engine, &verify->pace) && begin_region(engine, set))
		;
	if (set_is_done(engine, set))
		next_set(engine);
}

void verify_tick(struct engine *engine)
{
	struct verify *verify = &engine->verify;

	if (verify->status.state != VERIFY_RUNNING)
		return;
	pace_refill(&verify->pace, engine->now_ns);
	if (verify->waits_since_ns && !MUTANT(verify_without_patience) &&
	    engine->now_ns - verify->waits_since_ns > PATIENCE_NS) {
		char why[sizeof(verify->status.text)];

		memcpy(why, verify->status.text, sizeof(why));
		verify_end(engine, why);
	}
	end_if_idle(engine);
	look_again(engine);
}

/* ---- What a region's digests say. ---- */

static bool is_equal(const struct copy *copy, unsigned a, unsigned b, unsigned piece)
{
	return memcmp(copy->digests[a][piece], copy->digests[b][piece], DIGEST_BYTES) == 0;
}

/* The legs that hold the same as `leg`. */
static uint8_t legs_equal_to(const struct copy *copy, unsigned leg, unsigned piece)
{
	uint8_t legs = 0;

	for (unsigned i = 0; i < SET_VOTERS_MAX; i++) {
		if (copy->legs & 1u << i && is_equal(copy, leg, i, piece))
			legs |= (uint8_t)(1u << i);
	}
	return legs;
}

/* Legs that hold what is right: more than half of them, else those equal to the one that was named. 0: undecided. */
static uint8_t right_legs(const struct copy *copy, uint8_t named, unsigned piece)
{
	if (MUTANT(verify_believes_the_first))
		named = copy->legs;
	if ((MUTANT(verify_believes_the_named) || MUTANT(verify_believes_the_first)) && named & copy->legs)
		return legs_equal_to(copy, (unsigned)__builtin_ctz(named), piece);
	for (unsigned i = 0; i < SET_VOTERS_MAX; i++) {
		uint8_t equal = copy->legs & 1u << i ? legs_equal_to(copy, i, piece) : 0;

		if (2 * __builtin_popcount(equal) + MUTANT(verify_half_is_right) > __builtin_popcount(copy->legs))
			return equal;
	}
	return named & copy->legs ? legs_equal_to(copy, (unsigned)__builtin_ctz(named), piece) : 0;
}

void verify_judge(struct engine *engine, struct copy *copy)
{
	const struct verify *verify = &engine->verify;
	const struct set *set = &engine->sets[copy->set];
	uint8_t named = (uint8_t)(verify->order.sources >> set->first_leg & set->data_legs);

	copy->undecided = 0;
	/* A write that it waited for failed, and may differ lawfully (R12): made equal first, then looked at again. */
	copy->is_premature = region_map_has(&set->uncertain, copy->region) && !MUTANT(verify_of_the_uncertain);
	for (unsigned piece = 0; piece < copy_pieces(copy); piece++) {
		uint8_t right = copy->is_premature ? copy->legs : right_legs(copy, named, piece);

		copy->right[piece] = (uint8_t)(right ? __builtin_ctz(right) : 0);
		copy->wrong[piece] = right ? copy->legs & (uint8_t)~right : 0;
		copy->undecided |= (uint16_t)((unsigned)(right == 0) << piece);
	}
}

static bool merge(struct verify_finding *into, const struct verify_finding *finding)
{
	if (into->set != finding->set || into->compared != finding->compared || into->wrong != finding->wrong ||
	    into->is_repaired != finding->is_repaired)
		return false;
	if (into->offset + into->length != finding->offset && finding->offset + finding->length != into->offset)
		return false;
	into->offset = finding->offset < into->offset ? finding->offset : into->offset;
	into->length += finding->length;
	return true;
}

static void keep(struct verify_status *status, const struct verify_finding *finding)
{
	unsigned kept = status->finding_count < VERIFY_FINDINGS_MAX ? status->finding_count : VERIFY_FINDINGS_MAX;

	for (unsigned i = 0; i < kept; i++) {
		if (merge(&status->findings[i], finding))
			return;
	}
	if (kept < VERIFY_FINDINGS_MAX)
		status->findings[kept] = *finding;
	status->finding_count++;
}

static void append_names(const struct engine *engine, const struct set *set, uint8_t legs, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < set->leg_count && used < cap; i++) {
		if (legs & 1u << i)
			used += (size_t)snprintf(out + used, cap - used, "%s%s", used ? ", " : "",
						 engine->spec.sets[set->index].replicas[i].name);
	}
}

static void tell_finding(struct engine *engine, const struct verify_finding *finding)
{
	const struct set *set = &engine->sets[finding->set];
	char names[128], text[320];
	struct engine_event event = {
		.kind = EVENT_DIFFERENCE,
		.set = set->index,
		.leg = EVENT_NO_LEG,
		.gen = set->members.highest_gen,
		.bytes = finding->length,
		.offset = finding->offset,
		.text = text,
	};

	if (!engine->ops->event)
		return;
	append_names(engine, set, finding->wrong ? finding->wrong : finding->compared, names, sizeof(names));
	snprintf(text, sizeof(text), "%" PRIu64 " bytes at %" PRIu64 " of the set: %s %s%s", finding->length,
		 finding->offset, names, finding->wrong ? "differs" : "differ, no majority",
		 finding->is_repaired ? ", repaired" : "");
	engine->ops->event(engine->ctx, &event);
}

static void count_finding(struct engine *engine, struct verify_status *status, const struct verify_finding *finding)
{
	status->differing_bytes += finding->length;
	engine->counters.differing_bytes += finding->length;
	if (finding->is_repaired) {
		status->repaired_bytes += finding->length;
		engine->counters.repaired_bytes += finding->length;
	}
	if (finding->wrong == 0)
		status->undecided_bytes += finding->length;
	if (status->finding_count < VERIFY_FINDINGS_MAX)
		tell_finding(engine, finding);
	keep(status, finding);
}

static struct verify_finding finding_of(const struct verify *verify, const struct copy *copy, unsigned piece)
{
	uint64_t start = piece * DIGEST_PIECE_BYTES, left = copy->bytes - start;

	return (struct verify_finding){
		.set = copy->set,
		.offset = copy->region * REGION_BYTES + start,
		.length = left < DIGEST_PIECE_BYTES ? left : DIGEST_PIECE_BYTES,
		.compared = copy->legs,
		.wrong = copy->wrong[piece],
		.is_repaired = verify->order.repair && copy->wrong[piece],
	};
}

static void count_region(struct engine *engine, struct copy *copy)
{
	struct verify_status *status = &engine->verify.status;
	const struct set *set = &engine->sets[copy->set];

	status->compared_bytes += copy->bytes;
	engine->counters.verified_bytes += copy->bytes;
	for (unsigned i = 0; i < set->leg_count; i++)
		status->leg_bytes[set->first_leg + i] += copy->legs & 1u << i ? copy->bytes : 0;
}

void verify_region_done(struct engine *engine, struct copy *copy)
{
	struct verify *verify = &engine->verify;

	if (copy->is_premature) {
		give_back(verify, copy->region);
		end_if_idle(engine);
		return;
	}
	verify->stops = 0;
	count_region(engine, copy);
	for (unsigned piece = 0; piece < copy_pieces(copy); piece++) {
		struct verify_finding finding;

		if (!copy->wrong[piece] && !(copy->undecided & 1u << piece))
			continue;
		finding = finding_of(verify, copy, piece);
		count_finding(engine, &verify->status, &finding);
	}
	end_if_idle(engine);
}

void verify_unreadable(struct engine *engine, const struct set *set, const char *why)
{
	char text[sizeof(engine->verify.status.text)];

	if (engine->verify.set != set->index || copy_active(engine, set, COPY_VERIFY) == 0)
		return;
	snprintf(text, sizeof(text), "set %u cannot be compared: %.100s", set->index, why);
	verify_end(engine, text);
}

static const char *last_error_of(struct engine *engine, const struct copy *copy)
{
	const struct set *set = &engine->sets[copy->set];

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (copy->legs & leg_bit(leg) & ~set->up_legs)
			return leg->last_error;
	}
	return "reading it back failed";
}

void verify_region_stopped(struct engine *engine, struct copy *copy)
{
	struct verify *verify = &engine->verify;
	char why[sizeof(verify->status.text)];

	if (!MUTANT(verify_forgets_the_stopped))
		give_back(verify, copy->region);
	if (++verify->stops >= STOPS_MAX) {
		snprintf(why, sizeof(why), "set %u, region at %llu cannot be compared: %.80s", copy->set,
			 (unsigned long long)(copy->region * REGION_BYTES), last_error_of(engine, copy));
		verify_end(engine, why);
	}
	end_if_idle(engine);
}
