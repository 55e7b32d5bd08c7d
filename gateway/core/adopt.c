/* Which epoch and which config an attachment gets, from what the voters reported, and what a changed config says.
 * Pure decisions: sends nothing (R3.2, R3.3, R10, R11).
 * Before any request: assemble.c asks when enough voters were probed, and again when they have promised. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

bool adopt_is_ours(const struct engine *engine, const struct ballot *ballot)
{
	return ballot->epoch == engine->ballot.epoch && ballot->nonce == engine->ballot.nonce;
}

bool adopt_is_foreign(const struct engine *engine, const struct ballot *promised)
{
	return promised->epoch >= engine->ballot.epoch && !adopt_is_ours(engine, promised);
}

/* One above everything seen, the same for all sets. */
int adopt_epoch(const struct engine *engine, uint32_t *ret_epoch, struct err *err)
{
	uint32_t highest = engine->ballot.epoch;

	for (unsigned i = 0; i < engine->leg_count; i++) {
		const struct leg *leg = &engine->legs[i];

		if (leg->promised.epoch > highest)
			highest = leg->promised.epoch;
		if (leg->config.ballot.epoch > highest)
			highest = leg->config.ballot.epoch;
	}
	if (highest == UINT32_MAX)
		return err_set(err, -EOVERFLOW, "volume %s: epochs are used up", engine->spec.name);
	*ret_epoch = highest + (MUTANT(epoch_taken_twice) && highest ? 0 : 1);
	return 0;
}

static const struct leg *leg_with_highest(struct engine *engine, const struct set *set, uint8_t answered)
{
	const struct leg *best = NULL;

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (answered & 1u << i &&
		    (!best || (config_compare(&leg->config, &best->config) > 0 && !MUTANT(any_config_adopted))))
			best = leg;
	}
	return best;
}

/* A gen never names two values; if it does, a directory was copied or edited. */
static int check_agree(struct engine *engine, const struct set *set, uint8_t answered, const struct leg *best,
		       struct err *err)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (answered & 1u << i && config_compare(&leg->config, &best->config) == 0 &&
		    leg->config.ballot.nonce != best->config.ballot.nonce)
			return err_set(err, -EINVAL,
				       "volume %s, set %u: replicas %s and %s store different configs as gen %" PRIu32
				       "; one of them is a copy of another time",
				       engine->spec.name, set->index, leg_replica(engine, leg)->name,
				       leg_replica(engine, best)->name, best->config.gen);
	}
	return 0;
}

static bool has_served_device(const struct engine *engine, uint64_t nonce)
{
	for (unsigned i = 0; i < DEVICE_NONCES_MAX && engine->options.device_nonces[i]; i++) {
		if (nonce == engine->options.device_nonces[i])
			return true;
	}
	return false;
}

/* R10, R11: what somebody else configured meanwhile ends this device. */
static int check_nonce(const struct engine *engine, const struct set *set, const struct config *config, struct err *err)
{
	uint64_t nonce = config->ballot.nonce;

	if (nonce == engine->options.nonce)
		return 0;
	if (set->was_ours && !MUTANT(foreign_config_taken))
		return err_set(err, -ESTALE,
			       "volume %s: another gateway has attached it (epoch %" PRIu32
			       "); use it there, and detach it here",
			       engine->spec.name, config->ballot.epoch);
	if (engine->options.is_recovery && !has_served_device(engine, nonce) && !MUTANT(recovery_over_another))
		return err_set(err, -ESTALE,
			       "volume %s: another gateway has attached it since (epoch %" PRIu32
			       "); this device's requests must not be repeated",
			       engine->spec.name, config->ballot.epoch);
	return 0;
}

static bool is_same_boot(const struct leg *leg, const struct voter *voter)
{
	return voter->incarnation == 0 || uuid_equal(&voter->boot_id, &leg->hello_boot_id);
}

static bool is_same_process(const struct leg *leg, const struct voter *voter)
{
	return voter->incarnation == 0 || MUTANT(attach_counts_the_forgetful) ||
	       (voter->incarnation == leg->hello_incarnation && is_same_boot(leg, voter));
}

bool adopt_is_rolled_back(const struct engine *engine, const struct set *set, const struct leg *leg)
{
	const struct ballot *had = &set->adopted.ballot, *has = &leg->promised;
	const struct voter *voter = leg_voter(engine, &set->adopted, leg);

	return !leg->is_witness && voter && voter->state == VOTER_IN && !MUTANT(rolled_back_is_counted) &&
	       (has->epoch < had->epoch || (has->epoch == had->epoch && has->nonce != had->nonce));
}

/* What they say after they promised is about this attach's epoch. */
static uint8_t rolled_back(struct engine *engine, const struct set *set, uint8_t answered)
{
	uint8_t ret = 0;

	for (unsigned i = 0; i < set->leg_count && engine->phase == PHASE_PROBE; i++) {
		if (answered & 1u << i && adopt_is_rolled_back(engine, set, set_leg(engine, set, i)))
			ret |= (uint8_t)(1u << i);
	}
	return ret;
}

bool adopt_may_lack(const struct engine *engine, const struct config *config, const struct leg *leg)
{
	const struct voter *voter = leg_voter(engine, config, leg), *own = leg_voter(engine, &leg->config, leg);

	if (leg->is_witness || !leg_has_vote(leg) || !voter || voter->state == VOTER_IN ||
	    voter->compare != COMPARE_STAMPS || MUTANT(rolled_back_by_stamps))
		return false;
	if (voter->incarnation == leg->hello_incarnation)
		return false;
	return !own || own->in_sync_gen != voter->in_sync_gen || own->compare == COMPARE_EVERYTHING;
}

bool adopt_is_unaware(struct engine *engine, const struct set *set, const struct config *config)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (adopt_may_lack(engine, config, set_leg(engine, set, i)))
			return true;
	}
	return false;
}

/* Those of `answered` whose directory is the one that the adopted config gives the vote. */
static uint8_t with_a_vote(struct engine *engine, const struct set *set, uint8_t answered)
{
	uint8_t legs = 0;

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);
		const struct voter *voter = leg_voter(engine, &set->adopted, leg);

		if (answered & leg_bit(leg) && ((voter && voter->life == leg->life) || MUTANT(old_directory_votes)))
			legs |= leg_bit(leg);
	}
	return legs;
}

/* It has everything that completed: whatever it acknowledged is in its page cache or on its disk. One that never stored
 * the adopted config may have been set back to before it, and then have promised somebody an epoch that hides its age.
 */
static bool is_complete(const struct set *set, const struct leg *leg, const struct voter *voter)
{
	return is_same_boot(leg, voter) &&
	       (config_compare(&leg->config, &set->adopted) == 0 || MUTANT(set_back_is_complete));
}

/* What is known of the in-sync replicas of the adopted config. */
struct members {
	uint8_t in, answered, unchanged, same_boot, complete;
};

static struct members look_at_members(struct engine *engine, const struct set *set, uint8_t answered)
{
	struct members ret = {0};

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);
		const struct voter *voter = leg_voter(engine, &set->adopted, leg);

		if (leg->is_witness || !voter || (voter->state != VOTER_IN && !MUTANT(out_replica_counted)))
			continue;
		ret.in |= leg_bit(leg);
		if (!(answered & leg_bit(leg)))
			continue;
		ret.answered |= leg_bit(leg);
		ret.unchanged |= is_same_process(leg, voter) ? leg_bit(leg) : 0;
		ret.same_boot |= is_same_boot(leg, voter) ? leg_bit(leg) : 0;
		ret.complete |= is_complete(set, leg, voter) ? leg_bit(leg) : 0;
	}
	return ret;
}

/* What is there, and has no vote. */
static const char *directory_note(const struct leg *leg)
{
	if (leg->is_blank)
		return ", blank";
	return leg->is_refused && leg->refusal_error == -ESTALE ? ", replaced by another directory" : "";
}

/* Names of legs for a sentence. */
static const char *names_of(const struct engine *engine, const struct set *set, uint8_t legs, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < set->leg_count && used < cap; i++) {
		const struct replica_spec *replica = &engine->spec.sets[set->index].replicas[i];

		if (legs & 1u << i)
			used += (size_t)snprintf(out + used, cap - used, "%s%s (%s%s)", used ? ", " : "", replica->name,
						 replica->address, directory_note(&engine->legs[set->first_leg + i]));
	}
	return out;
}

/* What an operator is shown, and repeats when he gives up what is missing: it changes with every attachment. */
static uint32_t seen_epoch(const struct engine *engine)
{
	uint32_t epoch = 0;

	for (unsigned i = 0; i < engine->leg_count; i++) {
		if (engine->legs[i].config.ballot.epoch > epoch)
			epoch = engine->legs[i].config.ballot.epoch;
	}
	return epoch;
}

/* The replica that was in sync last, of those out that answer. */
static uint8_t latest_out(struct engine *engine, const struct set *set, uint8_t answered)
{
	const struct voter *best = NULL;
	uint8_t ret = 0;

	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);
		const struct voter *voter = leg_voter(engine, &set->adopted, leg);

		/* in_sync_gen 0: its directory is new, and was never in sync. */
		if (leg->is_witness || !voter || !(answered & leg_bit(leg)) || voter->in_sync_gen == 0)
			continue;
		if (best && voter->in_sync_gen <= best->in_sync_gen)
			continue;
		best = voter;
		ret = leg_bit(leg);
	}
	return ret;
}

/* In-sync members are missing that are needed (`err` says so). By the operator's word it goes on with those that are
 * there, or else with the replica that was in sync last; `members` then says who counts. */
static int go_without(struct engine *engine, struct set *set, uint8_t answered, struct members *members,
		      struct err *err)
{
	uint32_t epoch = seen_epoch(engine);
	uint8_t left = members->answered ? members->answered : latest_out(engine, set, answered);

	if (!left || set->was_ours || engine->options.is_recovery)
		return -EAGAIN;
	if (!engine->options.accepts_loss) {
		size_t used = strlen(err->text);

		snprintf(err->text + used, sizeof(err->text) - used,
			 "; bring them back, or give up what only they have: --force --accept-data-loss=%s@%" PRIu32,
			 engine->spec.name, epoch);
		return -EAGAIN;
	}
	if (engine->options.accepted_epoch != epoch)
		return err_set(err, -EINVAL,
			       "volume %s, set %u: data loss was accepted for epoch %" PRIu32
			       ", but its replicas are at epoch %" PRIu32 "; look again before you give anything up",
			       engine->spec.name, set->index, engine->options.accepted_epoch, epoch);
	members->answered = left;
	set->is_forced = true;
	return 0;
}

static uint8_t blank_legs(struct engine *engine, const struct set *set)
{
	uint8_t ret = 0;

	for (unsigned i = 0; i < set->leg_count; i++)
		ret |= set_leg(engine, set, i)->is_blank ? (uint8_t)(1u << i) : 0;
	return ret;
}

static int check_members(struct engine *engine, struct set *set, uint8_t answered, struct members *members,
			 struct err *err)
{
	unsigned least = engine->options.min_in_sync, data = (unsigned)__builtin_popcount(set->data_legs);
	uint8_t missing = members->in & ~members->answered;
	char names[256];

	if (!members->unchanged && !members->complete && members->answered != members->in) {
		(void)err_set(err, -EAGAIN,
			      "volume %s, set %u: no replica in sync (gen %" PRIu32
			      ") is known to have everything; all of them are needed, missing: %s",
			      engine->spec.name, set->index, set->adopted.gen,
			      names_of(engine, set, missing, names, sizeof(names)));
		return go_without(engine, set, answered, members, err);
	}
	if (least > data)
		least = data;
	/* Those that are there and lost their memory, or all that they had, come back by a rejoin, for which somebody
	 * must have attached. */
	if ((unsigned)__builtin_popcount(members->answered) < least && missing & ~blank_legs(engine, set))
		return err_set(err, -EAGAIN, "volume %s, set %u: %d in sync, min-in-sync is %u; missing: %s",
			       engine->spec.name, set->index, __builtin_popcount(members->answered), least,
			       names_of(engine, set, missing, names, sizeof(names)));
	return 0;
}

static int check_majority(const struct engine *engine, const struct set *set, uint8_t answered, struct err *err)
{
	char names[256];

	if (membership_is_majority(&set->members, answered))
		return 0;
	return err_set(err, -EAGAIN, "volume %s, set %u: %d of %u voters answer, a majority is needed; missing: %s",
		       engine->spec.name, set->index, __builtin_popcount(answered), set->leg_count,
		       names_of(engine, set, set->all_legs & ~answered, names, sizeof(names)));
}

/* Gens that anybody ever saw stay used. */
static int take_gens(struct engine *engine, struct set *set, uint8_t answered, struct err *err)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		uint32_t gen = set_leg(engine, set, i)->config.gen;

		if (answered & 1u << i && gen > set->members.highest_gen)
			set->members.highest_gen = gen;
	}
	if (set->members.highest_gen >= GEN_MAX)
		return err_set(err, -EOVERFLOW, "volume %s, set %u: gens are used up", engine->spec.name, set->index);
	return 0;
}

/* Who is the process that it was has its list, too. Who is only complete stays in, but what was under way is known to
 * nobody, and everybody else in sync is compared in full, whatever his own list says. Without either, all are needed,
 * and may be made equal to one whose boot took unsynced data with it: nobody outside can be trusted to be older. */
static void count_members(struct set *set, const struct members *members)
{
	uint8_t others = members->answered;

	set->counted = members->unchanged ? members->unchanged : members->complete;
	set->lost_lists = !members->unchanged && !MUTANT(lost_lists_are_empty);
	set->lost_data = set->is_forced || (!set->counted && members->same_boot != members->in);
	if (!set->counted)
		set->counted = members->answered;
	if (set->lost_data && !MUTANT(long_out_not_compared))
		others = set->data_legs;
	else if (set->lost_lists && !MUTANT(absent_by_lost_lists))
		others = members->in;
	set->compare_all = others & ~set->counted;
}

int adopt_set(struct engine *engine, struct set *set, uint8_t answered, struct err *err)
{
	struct members members;
	const struct leg *best;
	int error = check_majority(engine, set, answered, err);

	set->rolled_back = set->replaced = 0;
	if (error)
		return error;
	best = leg_with_highest(engine, set, answered);
	set->adopted = best->config;
	set->adopted_no = best->told_no;
	set->replaced = answered & ~with_a_vote(engine, set, answered);
	answered &= (uint8_t)~set->replaced;
	error = check_majority(engine, set, answered, err);
	if (!error)
		error = check_agree(engine, set, answered, best, err);
	if (!error)
		error = check_nonce(engine, set, &set->adopted, err);
	if (!error)
		error = take_gens(engine, set, answered, err);
	if (error)
		return error;
	set->rolled_back = rolled_back(engine, set, answered);
	answered &= (uint8_t)~set->rolled_back;
	error = check_majority(engine, set, answered, err);
	if (error)
		return error;
	members = look_at_members(engine, set, answered);
	set->is_forced = false;
	error = check_members(engine, set, answered, &members, err);
	if (error)
		return error;
	count_members(set, &members);
	return 0;
}

/* The process whose session counts, not one that only knocks. */
static void set_identity(const struct set *set, const struct leg *leg, struct voter *voter, uint32_t gen, uint8_t in)
{
	bool is_doubtful = set->is_doubtful && !MUTANT(doubt_not_passed_on);

	if (voter->state != VOTER_IN || !(is_doubtful || set_has_forgetful(set, in & leg_bit(leg), in)))
		voter->incarnation = leg->incarnation;
	voter->boot_id = leg->boot_id;
	voter->state = VOTER_IN;
	voter->compare = COMPARE_STAMPS;
	voter->in_sync_gen = gen;
}

/* For each leg its voter in `config`, with the address that the volume's file says: the config follows the file. */
static struct voter *next_voter(struct engine *engine, struct set *set, struct config *config, unsigned in_set)
{
	const struct replica_spec *replica = &engine->spec.sets[set->index].replicas[in_set];

	for (unsigned j = 0; j < config->voter_count; j++) {
		if (!uuid_equal(&config->voters[j].uuid, &replica->uuid))
			continue;
		volume_replica_address(replica, config->voters[j].address);
		return &config->voters[j];
	}
	return NULL;
}

void adopt_config(struct engine *engine, struct set *set, struct config *ret)
{
	*ret = set->adopted;
	ret->ballot = engine->ballot;
	ret->gen = set->new_gen;
	ret->loss_count += set->lost_data;
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);
		struct voter *voter = next_voter(engine, set, ret, i);

		if (!voter || leg->is_witness)
			continue;
		if (set->counted & leg_bit(leg)) {
			set_identity(set, leg, voter, ret->gen, set->counted);
			continue;
		}
		if (voter->state == VOTER_IN && !MUTANT(absent_not_compared))
			voter->compare = COMPARE_ITS_LIST;
		voter->state = VOTER_OUT;
		if (set->compare_all & leg_bit(leg) || adopt_may_lack(engine, ret, leg))
			voter->compare = COMPARE_EVERYTHING;
	}
}

void adopt_change(struct engine *engine, struct set *set, uint32_t gen, uint8_t in, struct config *ret)
{
	*ret = set->members.chosen;
	ret->ballot = engine->ballot;
	ret->gen = gen;
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);
		struct voter *voter = next_voter(engine, set, ret, i);

		if (!voter)
			continue;
		replace_fill(leg, voter);
		if (leg->is_witness)
			continue;
		if (in & leg_bit(leg)) {
			set_identity(set, leg, voter, gen, in);
		} else if (voter->state == VOTER_IN) {
			/* Witnessed: what it lacks is stamped. */
			voter->state = VOTER_OUT;
			voter->compare = COMPARE_STAMPS;
		}
		if (adopt_may_lack(engine, ret, leg))
			voter->compare = COMPARE_EVERYTHING;
	}
}
