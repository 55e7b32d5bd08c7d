/* Where the legs of an attachment wait for each other (R3): the epoch is chosen when all were probed, the configs when
 * all have promised, sessions are opened when all have stored them. A leg that reconnects later finds the barriers
 * open, and is asked whether it still is what it was. Knows no requests. Before a request's path, and again after every
 * lost connection. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

static void ask_promise(struct engine *engine, struct leg *leg)
{
	engine->message.kind = MESSAGE_PROMISE;
	engine->message.promise = (struct message_ballot){engine->ballot};
	attach_ask(engine, leg, LANE_MAIN, STEP_PROMISE);
}

static void ask_accept(struct engine *engine, struct leg *leg)
{
	engine->message.kind = MESSAGE_ACCEPT;
	engine->message.accept.ballot = engine->ballot;
	engine->message.accept.config = engine->sets[leg->set].config;
	attach_ask(engine, leg, LANE_MAIN, STEP_ACCEPT);
}

/* R8: completed writes that were never flushed are gone if the machine restarted. Serving on would hide it. */
static bool has_restarted(const struct leg *leg)
{
	return leg->was_up && !uuid_equal(&leg->boot_id, &leg->hello_boot_id);
}

static bool has_lost_writes(const struct engine *engine, const struct leg *leg)
{
	return has_restarted(leg) && !MUTANT(power_loss_forgiven) &&
	       engine->sets[leg->set].completed_upto > leg->durable_upto;
}

static void ask_open(struct engine *engine, struct leg *leg)
{
	/* NEEDSWORK(eviction): the replica leaves the set, and is copied when it rejoins. */
	if (has_lost_writes(engine, leg)) {
		attach_refuse(engine, leg, -EIO,
			      "its machine restarted and lost completed writes that were not flushed");
		return;
	}
	/* Nobody was told yet of what is under way; it gets that again. Now, and not when its session is open: in
	 * between the last other acknowledgement may come, and complete a write that this replica lost. */
	if (has_restarted(leg) && !MUTANT(power_loss_keeps_acks) && !MUTANT(acks_forgotten_late))
		write_forget_acks(engine, leg);
	engine->message.kind = MESSAGE_OPEN;
	engine->message.open = (struct message_open){engine->ballot, ++leg->session};
	attach_ask(engine, leg, LANE_MAIN, STEP_OPEN);
}

static bool all_at(const struct engine *engine, enum leg_step step)
{
	for (unsigned i = 0; i < engine->leg_count; i++) {
		if (engine->legs[i].step != step)
			return false;
	}
	return true;
}

static bool all_promised(const struct engine *engine)
{
	for (unsigned i = 0; i < engine->leg_count; i++) {
		if (!engine->legs[i].has_promised)
			return false;
	}
	return true;
}

static bool all_accepted(const struct engine *engine)
{
	for (unsigned i = 0; i < engine->leg_count; i++) {
		if (!engine->legs[i].has_accepted)
			return false;
	}
	return true;
}

/* All legs must be there at once, so that an attach without hope fences nobody. */
static int choose_epoch(struct engine *engine, struct err *err)
{
	int error = adopt_epoch(engine, &engine->ballot.epoch, err);

	if (error)
		return error;
	engine->ballot.nonce = engine->options.nonce;
	engine->phase = PHASE_PROMISE;
	return 0;
}

static int choose_configs(struct engine *engine, struct err *err)
{
	int error = 0;

	for (unsigned i = 0; !error && i < engine->spec.set_count; i++)
		error = adopt_config(engine, &engine->sets[i], err);
	if (!error)
		engine->phase = PHASE_ACCEPT;
	return error;
}

static void pass_barrier(struct engine *engine, struct leg *leg)
{
	if (leg->step == STEP_PROBED_ALL && engine->phase >= PHASE_PROMISE)
		ask_promise(engine, leg);
	else if (leg->step == STEP_PROMISED_ALL && engine->phase >= PHASE_ACCEPT)
		ask_accept(engine, leg);
	else if (leg->step == STEP_ACCEPTED_ALL && engine->phase >= PHASE_OPEN)
		ask_open(engine, leg);
}

/* A leg has come to a barrier: open it if that was the last one, and let through who may pass. */
static void progress(struct engine *engine)
{
	struct err err;
	int error = 0;

	if (engine->phase == PHASE_PROBE && all_at(engine, STEP_PROBED_ALL))
		error = choose_epoch(engine, &err);
	else if (engine->phase == PHASE_PROMISE && all_promised(engine))
		error = choose_configs(engine, &err);
	else if (engine->phase == PHASE_ACCEPT && all_accepted(engine))
		engine->phase = PHASE_OPEN;
	if (error) {
		engine_fail(engine, error, err.text);
		return;
	}
	for (unsigned i = 0; i < engine->leg_count; i++)
		pass_barrier(engine, &engine->legs[i]);
}

static void refuse_foreign(struct engine *engine, struct leg *leg, const struct ballot *seen)
{
	char text[128];

	snprintf(text, sizeof(text), "was promised to another gateway (epoch %" PRIu32 "); detach one of the two",
		 seen->epoch);
	attach_refuse(engine, leg, -EBUSY, text);
}

/* A leg that stored this attachment's config earlier: it must still have it, or somebody took over. */
static void check_member(struct engine *engine, struct leg *leg)
{
	const struct config *mine = &engine->sets[leg->set].config;
	char text[128];

	if (config_compare(&leg->config, mine) > 0) {
		snprintf(text, sizeof(text), "volume %s: another gateway has attached it (epoch %" PRIu32 ")",
			 engine->spec.name, leg->config.ballot.epoch);
		engine_fail(engine, -ESTALE, text);
	} else if (config_compare(&leg->config, mine) < 0 || leg->config.ballot.nonce != mine->ballot.nonce ||
		   leg->promised.epoch < engine->ballot.epoch) {
		attach_refuse(engine, leg, -EINVAL,
			      "its state is older than what it had stored; its disk was rolled back");
	} else if (adopt_is_foreign(engine, &leg->promised)) {
		/* NEEDSWORK(R10): attach again in place once the contender came to nothing. */
		refuse_foreign(engine, leg, &leg->promised);
	} else {
		leg_step_to(leg, STEP_ACCEPTED_ALL, engine->now_ns);
		progress(engine);
	}
}

void barrier_probed(struct engine *engine, struct leg *leg)
{
	if (leg->has_accepted) {
		check_member(engine, leg);
		return;
	}
	if (engine->ballot.epoch && adopt_is_foreign(engine, &leg->promised)) {
		refuse_foreign(engine, leg, &leg->promised);
		return;
	}
	leg_step_to(leg, STEP_PROBED_ALL, engine->now_ns);
	progress(engine);
}

/* It stored the config, but the connection was lost before it said so. */
static bool has_our_config(const struct engine *engine, const struct leg *leg)
{
	return config_compare(&leg->config, &engine->sets[leg->set].config) == 0 &&
	       adopt_is_ours(engine, &leg->config.ballot);
}

void barrier_promised(struct engine *engine, struct leg *leg)
{
	leg->has_promised = true;
	if (engine->phase >= PHASE_ACCEPT && has_our_config(engine, leg)) {
		barrier_accepted(engine, leg);
		return;
	}
	leg_step_to(leg, STEP_PROMISED_ALL, engine->now_ns);
	progress(engine);
}

void barrier_accepted(struct engine *engine, struct leg *leg)
{
	leg->has_accepted = true;
	leg_step_to(leg, STEP_ACCEPTED_ALL, engine->now_ns);
	progress(engine);
}
