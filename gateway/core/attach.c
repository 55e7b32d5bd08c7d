/* The handshake of one leg, and the barriers between the legs of an attachment (R1, R2, R3):
 * HELLO, PROBE | PROMISE | ACCEPT | OPEN, then HELLO and JOIN on the bulk lane. `|`: every leg must have come so far.
 * A leg that reconnects walks the same steps and finds the barriers open. Knows no requests.
 * Before a request's path, and again after every lost connection. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/core/engine_state.h"

static const struct replica_spec *replica_of(const struct engine *engine, const struct leg *leg)
{
	return volume_leg_replica(&engine->spec, leg->index, NULL);
}

/* People must act. It ends an attach; a served volume waits, and the replica is asked again from time to time. */
static void refuse(struct engine *engine, struct leg *leg, int error, const char *text)
{
	const struct replica_spec *replica = replica_of(engine, leg);
	struct err err;

	if (!engine->is_attached) {
		(void)err_set(&err, error, "volume %s: replica %s (%s): %s", engine->spec.name, replica->name,
			      replica->address, text);
		engine_fail(engine, error, err.text);
		return;
	}
	leg->is_refused = true;
	link_abort(engine, leg, "%s", text);
}

static void ask(struct engine *engine, struct leg *leg, enum lane lane, enum leg_step step)
{
	engine->ops->send_message(engine->ctx, leg->index, lane, &engine->message);
	leg_step_to(leg, step, engine->now_ns);
}

void attach_hello(struct engine *engine, struct leg *leg, enum lane lane)
{
	struct message_hello *hello = &engine->message.hello;

	engine->message.kind = MESSAGE_HELLO;
	*hello = (struct message_hello){
		.version = PROTOCOL_VERSION,
		.role = lane == LANE_MAIN ? HELLO_DATA : HELLO_BULK,
		.volume_uuid = engine->spec.uuid,
		.set_uuid = engine->spec.sets[leg->set].uuid,
		.replica_uuid = replica_of(engine, leg)->uuid,
	};
	memcpy(hello->client, engine->options.client, sizeof(hello->client));
	ask(engine, leg, lane, lane == LANE_MAIN ? STEP_HELLO : STEP_BULK_HELLO);
}

static void ask_promise(struct engine *engine, struct leg *leg)
{
	engine->message.kind = MESSAGE_PROMISE;
	engine->message.promise = (struct message_ballot){engine->ballot};
	ask(engine, leg, LANE_MAIN, STEP_PROMISE);
}

static void ask_accept(struct engine *engine, struct leg *leg)
{
	engine->message.kind = MESSAGE_ACCEPT;
	engine->message.accept.ballot = engine->ballot;
	engine->message.accept.config = engine->sets[leg->set].config;
	ask(engine, leg, LANE_MAIN, STEP_ACCEPT);
}

/* R8: completed writes that were never flushed are gone if the machine restarted. Serving on would hide it. */
static bool has_lost_writes(const struct engine *engine, const struct leg *leg)
{
	return leg->was_up && !uuid_equal(&leg->boot_id, &leg->hello_boot_id) &&
	       engine->sets[leg->set].completed_upto > leg->durable_upto;
}

static void ask_open(struct engine *engine, struct leg *leg)
{
	/* NEEDSWORK(eviction): the replica leaves the set, and is copied when it rejoins. */
	if (has_lost_writes(engine, leg)) {
		refuse(engine, leg, -EIO, "its machine restarted and lost completed writes that were not flushed");
		return;
	}
	engine->message.kind = MESSAGE_OPEN;
	engine->message.open = (struct message_open){engine->ballot, ++leg->session};
	ask(engine, leg, LANE_MAIN, STEP_OPEN);
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

/* It stored the config, but the connection was lost before it said so. */
static bool has_our_config(const struct engine *engine, const struct leg *leg)
{
	return config_compare(&leg->config, &engine->sets[leg->set].config) == 0 &&
	       adopt_is_ours(engine, &leg->config.ballot);
}

static void accepted(struct engine *engine, struct leg *leg)
{
	leg->has_accepted = true;
	leg_step_to(leg, STEP_ACCEPTED_ALL, engine->now_ns);
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

static bool welcome_is_acceptable(struct engine *engine, struct leg *leg, const struct message_welcome *welcome)
{
	char text[128];

	if (welcome->version != PROTOCOL_VERSION || welcome->features != 0) {
		snprintf(text, sizeof(text),
			 "speaks protocol version %" PRIu32 ", features 0x%" PRIx64 "; this is version %u",
			 welcome->version, welcome->features, PROTOCOL_VERSION);
		refuse(engine, leg, -EPROTONOSUPPORT, text);
		return false;
	}
	if (welcome->payload_max_bytes < IO_BYTES_MAX) {
		snprintf(text, sizeof(text), "takes payloads of %" PRIu32 " bytes; %llu are needed",
			 welcome->payload_max_bytes, IO_BYTES_MAX);
		refuse(engine, leg, -EINVAL, text);
		return false;
	}
	return true;
}

static void got_welcome(struct engine *engine, struct leg *leg, const struct message *message)
{
	const struct message_welcome *welcome = &message->welcome;

	if (!welcome_is_acceptable(engine, leg, welcome))
		return;
	leg->hello_incarnation = welcome->incarnation;
	leg->hello_boot_id = welcome->boot_id;
	engine->message.kind = MESSAGE_PROBE;
	ask(engine, leg, LANE_MAIN, STEP_PROBE);
}

/* What PROBE and PROMISE report must be this volume's, and of the process that said WELCOME. False: dealt with. */
static bool take_state(struct engine *engine, struct leg *leg, const struct message_state *state)
{
	struct err err;
	int error;

	if (state->incarnation != leg->hello_incarnation || !uuid_equal(&state->boot_id, &leg->hello_boot_id)) {
		link_abort(engine, leg, "its state is of another process than its welcome");
		return false;
	}
	error = volume_spec_match(&engine->spec, leg->set, &state->config, &err);
	if (error) {
		refuse(engine, leg, error, err.text);
		return false;
	}
	leg->promised = state->promised;
	leg->config = state->config;
	return true;
}

static void refuse_foreign(struct engine *engine, struct leg *leg, const struct ballot *seen)
{
	char text[128];

	snprintf(text, sizeof(text), "was promised to another gateway (epoch %" PRIu32 "); detach one of the two",
		 seen->epoch);
	refuse(engine, leg, -EBUSY, text);
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
		refuse(engine, leg, -EINVAL, "its state is older than what it had stored; its disk was rolled back");
	} else if (adopt_is_foreign(engine, &leg->promised)) {
		/* NEEDSWORK(R10): attach again in place once the contender came to nothing. */
		refuse_foreign(engine, leg, &leg->promised);
	} else {
		leg_step_to(leg, STEP_ACCEPTED_ALL, engine->now_ns);
		progress(engine);
	}
}

static void got_probe(struct engine *engine, struct leg *leg, const struct message *message)
{
	if (!take_state(engine, leg, &message->state))
		return;
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

static void got_promise(struct engine *engine, struct leg *leg, const struct message *message)
{
	if (!adopt_is_ours(engine, &message->state.promised)) {
		link_abort(engine, leg, "promised something else than it was asked for");
		return;
	}
	if (!take_state(engine, leg, &message->state))
		return;
	leg->has_promised = true;
	if (engine->phase >= PHASE_ACCEPT && has_our_config(engine, leg))
		accepted(engine, leg);
	else
		leg_step_to(leg, STEP_PROMISED_ALL, engine->now_ns);
	progress(engine);
}

static void got_accepted(struct engine *engine, struct leg *leg, const struct message *message)
{
	if (message->accepted.gen != engine->sets[leg->set].config.gen) {
		link_abort(engine, leg, "accepted another config than it was sent");
		return;
	}
	accepted(engine, leg);
	progress(engine);
}

/* OPENED and JOINED: of the session asked for, by the process that said WELCOME (R2). */
static bool is_our_session(struct engine *engine, struct leg *leg, const struct message_opened *opened)
{
	if (opened->session == leg->session && opened->incarnation == leg->hello_incarnation &&
	    uuid_equal(&opened->boot_id, &leg->hello_boot_id))
		return true;
	link_abort(engine, leg, "opened another session than it was asked for");
	return false;
}

static void got_opened(struct engine *engine, struct leg *leg, const struct message *message)
{
	if (!is_our_session(engine, leg, &message->opened))
		return;
	leg_step_to(leg, STEP_BULK_CONNECT, engine->now_ns);
	leg->lanes[LANE_BULK].state = LANE_STATE_OPENING;
	engine->ops->connect(engine->ctx, leg->index, LANE_BULK);
}

static void got_bulk_welcome(struct engine *engine, struct leg *leg, const struct message *message)
{
	const struct message_welcome *welcome = &message->welcome;

	if (!welcome_is_acceptable(engine, leg, welcome))
		return;
	if (welcome->incarnation != leg->hello_incarnation) {
		link_abort(engine, leg, "its server restarted between its two connections");
		return;
	}
	engine->message.kind = MESSAGE_JOIN;
	engine->message.open = (struct message_open){engine->ballot, leg->session};
	ask(engine, leg, LANE_BULK, STEP_JOIN);
}

static void got_joined(struct engine *engine, struct leg *leg, const struct message *message)
{
	if (is_our_session(engine, leg, &message->opened))
		link_up(engine, leg);
}

/* Refusals that waiting does not mend, as an errno; 0: try again. */
static int final_error(enum refusal refusal)
{
	switch (refusal) {
	case REFUSAL_MALFORMED:
		return -EPROTO;
	case REFUSAL_VERSION:
		return -EPROTONOSUPPORT;
	case REFUSAL_UNKNOWN_REPLICA:
		return -ENOENT;
	case REFUSAL_WRONG_VOLUME:
	case REFUSAL_WRONG_SET:
	case REFUSAL_BAD_CONFIG:
		return -EINVAL;
	case REFUSAL_STALE_EPOCH:
		return -EBUSY;
	default:
		return 0;
	}
}

static void got_refused(struct engine *engine, struct leg *leg, const struct message_refused *refused)
{
	int error = final_error(refused->refusal);
	struct err err;

	(void)err_set(&err, -EPROTO, "refused (%s): %.*s", refusal_name(refused->refusal), (int)MESSAGE_TEXT_MAX,
		      refused->text);
	/* A session that ends this way is asked again: the next PROBE shows whether it was fenced for good. */
	if (error && leg->state == LEG_HANDSHAKE)
		refuse(engine, leg, error, err.text);
	else
		link_abort(engine, leg, "%s", err.text);
}

static const struct {
	enum message_kind kind;
	enum lane lane;
	void (*got)(struct engine *engine, struct leg *leg, const struct message *message);
} answers[] = {
	[STEP_HELLO] = {MESSAGE_WELCOME, LANE_MAIN, got_welcome},
	[STEP_PROBE] = {MESSAGE_STATE, LANE_MAIN, got_probe},
	[STEP_PROMISE] = {MESSAGE_STATE, LANE_MAIN, got_promise},
	[STEP_ACCEPT] = {MESSAGE_ACCEPTED, LANE_MAIN, got_accepted},
	[STEP_OPEN] = {MESSAGE_OPENED, LANE_MAIN, got_opened},
	[STEP_BULK_HELLO] = {MESSAGE_WELCOME, LANE_BULK, got_bulk_welcome},
	[STEP_JOIN] = {MESSAGE_JOINED, LANE_BULK, got_joined},
};

void attach_message(struct engine *engine, struct leg *leg, enum lane lane, const struct message *message)
{
	if (message->kind == MESSAGE_REFUSED) {
		got_refused(engine, leg, &message->refused);
		return;
	}
	if (leg->step >= ARRAY_COUNT(answers) || !answers[leg->step].got || answers[leg->step].lane != lane ||
	    answers[leg->step].kind != message->kind) {
		link_abort(engine, leg, "unexpected message %s", message_kind_name(message->kind));
		return;
	}
	answers[leg->step].got(engine, leg, message);
}
