/* The handshake of one leg (R1, R2): HELLO, PROBE | PROMISE | ACCEPT | OPEN, then HELLO and JOIN on the bulk lane.
 * `|` are the barriers, where barrier.c waits for the other legs; a leg that reconnects finds them open. Knows no
 * requests. Before a request's path, and again after every lost connection. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/core/engine_state.h"

static const struct replica_spec *replica_of(const struct engine *engine, const struct leg *leg)
{
	return volume_leg_replica(&engine->spec, leg->index, NULL);
}

void attach_refuse(struct engine *engine, struct leg *leg, int error, const char *text)
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

void attach_ask(struct engine *engine, struct leg *leg, enum lane lane, enum leg_step step)
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
	attach_ask(engine, leg, lane, lane == LANE_MAIN ? STEP_HELLO : STEP_BULK_HELLO);
}

static bool welcome_is_acceptable(struct engine *engine, struct leg *leg, const struct message_welcome *welcome)
{
	char text[128];

	if (welcome->version != PROTOCOL_VERSION || welcome->features != 0) {
		snprintf(text, sizeof(text),
			 "speaks protocol version %" PRIu32 ", features 0x%" PRIx64 "; this is version %u",
			 welcome->version, welcome->features, PROTOCOL_VERSION);
		attach_refuse(engine, leg, -EPROTONOSUPPORT, text);
		return false;
	}
	if (welcome->payload_max_bytes < IO_BYTES_MAX) {
		snprintf(text, sizeof(text), "takes payloads of %" PRIu32 " bytes; %llu are needed",
			 welcome->payload_max_bytes, IO_BYTES_MAX);
		attach_refuse(engine, leg, -EINVAL, text);
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
	attach_ask(engine, leg, LANE_MAIN, STEP_PROBE);
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
		attach_refuse(engine, leg, error, err.text);
		return false;
	}
	leg->promised = state->promised;
	leg->config = state->config;
	return true;
}

static void got_probe(struct engine *engine, struct leg *leg, const struct message *message)
{
	if (!take_state(engine, leg, &message->state))
		return;
	barrier_probed(engine, leg);
}

static void got_promise(struct engine *engine, struct leg *leg, const struct message *message)
{
	if (!adopt_is_ours(engine, &message->state.promised)) {
		link_abort(engine, leg, "promised something else than it was asked for");
		return;
	}
	if (!take_state(engine, leg, &message->state))
		return;
	barrier_promised(engine, leg);
}

static void got_accepted(struct engine *engine, struct leg *leg, const struct message *message)
{
	if (message->accepted.gen != engine->sets[leg->set].config.gen) {
		link_abort(engine, leg, "accepted another config than it was sent");
		return;
	}
	barrier_accepted(engine, leg);
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
	attach_ask(engine, leg, LANE_BULK, STEP_JOIN);
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
		attach_refuse(engine, leg, error, err.text);
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
