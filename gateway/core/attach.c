/* The conversation with one voter (R1, R2): HELLO, PROBE, then PROMISE once an epoch is chosen; from there on it votes.
 * OPEN, HELLO and JOIN on the bulk lane when it is to carry data. Answers come in the order of the questions; each goes
 * to whoever asked. Knows no requests and decides nothing about the config: assemble.c and evict.c do.
 * Before a request's path, and again after every lost connection. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

/* People must act, or another attachment won. The voter counts as one that does not answer, and is asked again from
 * time to time. */
static void refuse(struct engine *engine, struct leg *leg, int error, const char *text)
{
	leg->is_refused = true;
	leg->refusal_error = error;
	link_abort(engine, leg, "%s", text);
}

void attach_ask(struct engine *engine, struct leg *leg, enum message_kind kind, uint32_t tag)
{
	engine->message.kind = kind;
	leg_asked(leg, kind, tag, engine->now_ns);
	engine->ops->send_message(engine->ctx, leg->index, LANE_MAIN, &engine->message);
}

static void ask_step(struct engine *engine, struct leg *leg, enum message_kind kind, enum leg_step step)
{
	attach_ask(engine, leg, kind, 0);
	leg_step_to(leg, step, engine->now_ns);
}

/* Its answer is compared with what others said before it was asked. */
void attach_probe(struct engine *engine, struct leg *leg)
{
	attach_ask(engine, leg, MESSAGE_PROBE, engine->told);
	leg_step_to(leg, STEP_PROBE, engine->now_ns);
}

static void refuse_rolled_back(struct engine *engine, struct leg *leg)
{
	refuse(engine, leg, -EINVAL,
	       "its state is older than what it had stored; its disk was rolled back: put the newer one back");
}

void attach_rolled_back(struct engine *engine, struct leg *leg)
{
	leg->is_probed = false;
	if (leg->probe_no >= leg_set(engine, leg)->adopted_no) {
		refuse_rolled_back(engine, leg);
		return;
	}
	leg->is_probed_again = true;
	if (leg->step != STEP_PROBE)
		attach_probe(engine, leg);
}

void attach_hello(struct engine *engine, struct leg *leg, enum lane lane)
{
	struct message_hello *hello = &engine->message.hello;

	*hello = (struct message_hello){
		.version = PROTOCOL_VERSION,
		.role = lane == LANE_MAIN ? HELLO_DATA : HELLO_BULK,
		.volume_uuid = engine->spec.uuid,
		.set_uuid = engine->spec.sets[leg->set].uuid,
		.replica_uuid = leg_replica(engine, leg)->uuid,
	};
	memcpy(hello->client, engine->options.client, sizeof(hello->client));
	if (lane == LANE_MAIN) {
		ask_step(engine, leg, MESSAGE_HELLO, STEP_HELLO);
		return;
	}
	engine->message.kind = MESSAGE_HELLO;
	engine->ops->send_message(engine->ctx, leg->index, lane, &engine->message);
	leg_step_to(leg, STEP_BULK_HELLO, engine->now_ns);
}

void attach_promise(struct engine *engine, struct leg *leg)
{
	engine->message.promise = (struct message_ballot){engine->ballot};
	ask_step(engine, leg, leg->is_blank ? MESSAGE_CLAIM : MESSAGE_PROMISE, STEP_PROMISE);
}

/* One at a time: a higher one follows when this one is answered. */
void attach_accept(struct engine *engine, struct leg *leg, const struct config *config)
{
	if (leg->is_accept_asked)
		return;
	leg->is_accept_asked = true;
	engine->message.accept.ballot = engine->ballot;
	engine->message.accept.config = *config;
	attach_ask(engine, leg, MESSAGE_ACCEPT, config->gen);
}

static bool has_restarted(const struct leg *leg)
{
	return leg->was_up && !uuid_equal(&leg->boot_id, &leg->hello_boot_id);
}

void attach_open(struct engine *engine, struct leg *leg)
{
	/* Nobody was told yet of what is under way; its machine lost it and gets it again. Now, and not when its
	 * session is open: in between the last other acknowledgement may come, and complete a write that this replica
	 * lost. */
	if ((has_restarted(leg) || leg->flush_error) && !MUTANT(power_loss_keeps_acks) && !MUTANT(acks_forgotten_late))
		write_forget_acks(engine, leg);
	leg->was_opened = true;
	engine->message.open = (struct message_open){engine->ballot, ++leg->session};
	ask_step(engine, leg, MESSAGE_OPEN, STEP_OPEN);
}

void attach_stamp(struct engine *engine, struct leg *leg, const struct region_map *map, uint32_t gen, bool sync)
{
	struct message_stamp *stamp = &engine->message.stamp;
	uint64_t first, count;

	stamp->ballot = engine->ballot;
	stamp->count = 0;
	while (stamp->count < REGION_RUNS_MAX && region_map_next_run(map, leg->job_from, &first, &count)) {
		if (count > UINT32_MAX)
			count = UINT32_MAX;
		stamp->runs[stamp->count++] = (struct region_run){.first = first, .count = (uint32_t)count, .gen = gen};
		leg->job_from = first + count;
	}
	stamp->sync = sync && region_map_next(map, leg->job_from) == map->region_count;
	if (stamp->count == 0 && !stamp->sync) {
		leg->job = JOB_DONE;
		return;
	}
	/* After the last one there is nothing left to find. */
	if (region_map_next(map, leg->job_from) == map->region_count)
		leg->job_from = map->region_count;
	leg->job = JOB_STAMP;
	leg->job_gen = gen;
	leg->is_job_asked = true;
	attach_ask(engine, leg, MESSAGE_STAMP, gen);
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
	if (!leg->is_witness && welcome->payload_max_bytes < IO_BYTES_MAX) {
		snprintf(text, sizeof(text), "takes payloads of %" PRIu32 " bytes; %llu are needed",
			 welcome->payload_max_bytes, IO_BYTES_MAX);
		refuse(engine, leg, -EINVAL, text);
		return false;
	}
	return true;
}

static void got_welcome(struct engine *engine, struct leg *leg, const struct leg_ask *ask,
			const struct message *message)
{
	const struct message_welcome *welcome = &message->welcome;

	if (!welcome_is_acceptable(engine, leg, welcome))
		return;
	/* Started anew: whatever is wrong with it from here on is told. */
	if (leg->is_faulty && welcome->incarnation != leg->faulty_incarnation)
		leg->is_faulty = false;
	leg->hello_incarnation = welcome->incarnation;
	leg->hello_boot_id = welcome->boot_id;
	leg->is_probed_again = false;
	attach_probe(engine, leg);
}

/* What is accepted was promised before; but for the config that a replica was created with. */
static bool was_promised(const struct message_state *state)
{
	const struct ballot *accepted = &state->config.ballot, *promised = &state->promised;

	return promised->epoch == 0 || accepted->epoch < promised->epoch ||
	       (accepted->epoch == promised->epoch && accepted->nonce == promised->nonce);
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
	if (!was_promised(state)) {
		refuse(engine, leg, -EINVAL,
		       "its config was never promised: its promise went back, or its superblock was put together from "
		       "parts; look at it with replica check");
		return false;
	}
	leg->promised = state->promised;
	leg->config = state->config;
	leg->told_no = ++engine->told;
	/* What another directory of it promised and stored is not this one's. */
	if (leg->life != state->life || state->is_blank) {
		leg->has_promised = false;
		leg->accepted_gen = 0;
	}
	leg->life = state->life;
	leg->is_blank = state->is_blank;
	if (leg->is_blank)
		return true;
	if (leg_voter(engine, &state->config, leg)->life != state->life && !MUTANT(old_directory_votes)) {
		refuse(engine, leg, -EINVAL, "its config is of another life of its directory; the server is faulty");
		return false;
	}
	return true;
}

/* What it promised or stored under this ballot must still be there (a rolled-back disk must not vote twice). */
static bool is_rolled_back(const struct engine *engine, const struct leg *leg)
{
	if (!leg->has_promised)
		return false;
	if (leg->promised.epoch < engine->ballot.epoch)
		return true;
	return leg->config.ballot.epoch <= engine->ballot.epoch && leg->accepted_gen > 0 &&
	       (leg->config.ballot.epoch < engine->ballot.epoch || leg->config.gen < leg->accepted_gen);
}

static void got_probe(struct engine *engine, struct leg *leg, const struct leg_ask *ask, const struct message *message)
{
	if (!take_state(engine, leg, &message->state))
		return;
	if (replace_is_old(engine, leg)) {
		replace_refuse_old(engine, leg);
		return;
	}
	leg->probe_no = ask->tag;
	leg_step_to(leg, STEP_PROBED, engine->now_ns);
	leg->is_probed_again = false;
	if (engine->phase == PHASE_BOUND && is_rolled_back(engine, leg)) {
		refuse_rolled_back(engine, leg);
		return;
	}
	if (engine->phase == PHASE_BOUND && !leg->is_blank && adopt_is_rolled_back(engine, leg_set(engine, leg), leg)) {
		attach_rolled_back(engine, leg);
		return;
	}
	if (engine->phase == PHASE_BOUND) {
		if (adopt_is_foreign(engine, &leg->promised)) {
			assemble_contended(engine, leg, &leg->promised);
			return;
		}
		attach_promise(engine, leg);
		return;
	}
	if (leg->is_blank) {
		replace_met(engine, leg);
		return;
	}
	leg->is_probed = true;
	assemble_progress(engine);
}

static void got_seeded(struct engine *engine, struct leg *leg, const struct leg_ask *ask, const struct message *message)
{
	replace_seeded(engine, leg);
	attach_probe(engine, leg);
}

static void got_promise(struct engine *engine, struct leg *leg, const struct leg_ask *ask,
			const struct message *message)
{
	const struct message_state *state = &message->state;

	if (!adopt_is_ours(engine, &state->promised)) {
		link_abort(engine, leg, "promised something else than it was asked for");
		return;
	}
	if (!take_state(engine, leg, state))
		return;
	if (leg->is_blank) {
		replace_met(engine, leg);
		return;
	}
	/* The config was adopted meanwhile. */
	if (replace_is_old(engine, leg)) {
		replace_refuse_old(engine, leg);
		return;
	}
	/* Kept at its highest: this connection's answer may be about a lease of ours. */
	if (!leg->has_promised)
		leg->lease_end_ns = engine->now_ns + (uint64_t)state->lease_left_ms * 1000000;
	leg->has_promised = true;
	leg->is_refused = false;
	leg->heard_ns = engine->now_ns;
	leg->backoff_ns = 0;
	leg_move(leg, LEG_VOTING, engine->now_ns);
	leg_step_to(leg, STEP_NONE, engine->now_ns);
	leg_set(engine, leg)->needs_look = true;
	lease_tick(engine, leg);
	if (leg->state == LEG_VOTING && adopt_is_ours(engine, &leg->config.ballot))
		evict_accepted(engine, leg, leg->config.gen);
}

static void got_accepted(struct engine *engine, struct leg *leg, const struct leg_ask *ask,
			 const struct message *message)
{
	if (message->accepted.gen != ask->tag) {
		link_abort(engine, leg, "accepted another config than it was sent");
		return;
	}
	leg->is_accept_asked = false;
	if (ask->tag > leg->accepted_gen)
		leg->accepted_gen = ask->tag;
	evict_accepted(engine, leg, ask->tag);
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

static void got_opened(struct engine *engine, struct leg *leg, const struct leg_ask *ask, const struct message *message)
{
	if (!is_our_session(engine, leg, &message->opened))
		return;
	leg_step_to(leg, STEP_BULK_CONNECT, engine->now_ns);
	leg->lanes[LANE_BULK].state = LANE_STATE_OPENING;
	engine->ops->connect(engine->ctx, leg->index, LANE_BULK);
}

static void got_beat(struct engine *engine, struct leg *leg, const struct leg_ask *ask, const struct message *message)
{
	leg->is_beat_asked = false;
	lease_answered(engine, leg, ask->sent_ns);
}

static bool goes_forward(const struct message_regions *regions, uint64_t from)
{
	const struct region_run *last = regions->count ? &regions->runs[regions->count - 1] : NULL;

	if (!last)
		return !regions->more;
	return regions->runs[0].first >= from && (!regions->more || regions->next >= last->first + last->count);
}

bool attach_page_fits(struct engine *engine, struct leg *leg, const struct message_regions *regions, uint64_t from)
{
	if (goes_forward(regions, from))
		return true;
	link_abort(engine, leg, "its list does not end");
	return false;
}

static void got_regions(struct engine *engine, struct leg *leg, const struct leg_ask *ask,
			const struct message *message)
{
	const struct message_regions *regions = &message->regions;
	uint64_t count = leg_set(engine, leg)->uncertain.region_count;

	for (uint32_t i = 0; i < regions->count; i++) {
		if (regions->runs[i].first >= count || regions->runs[i].count > count - regions->runs[i].first) {
			link_abort(engine, leg, "names regions beyond the end of its set");
			return;
		}
	}
	if (ask->tag & TAG_RESYNC) {
		resync_got_regions(engine, leg, regions, ask->tag);
		return;
	}
	leg->is_job_asked = false;
	assemble_got_list(engine, leg, regions);
}

static void got_stamped(struct engine *engine, struct leg *leg, const struct leg_ask *ask,
			const struct message *message)
{
	if (ask->tag & TAG_RESYNC) {
		resync_stamped(engine, leg, ask->tag);
	} else if (ask->tag == leg->job_gen) {
		/* Else of a change that was given up for a newer one. */
		leg->is_job_asked = false;
		evict_stamped(engine, leg);
	}
}

static void got_digested(struct engine *engine, struct leg *leg, const struct leg_ask *ask,
			 const struct message *message)
{
	copy_digested(engine, leg, ask->tag, &message->digested);
}

static void got_forgotten(struct engine *engine, struct leg *leg, const struct leg_ask *ask,
			  const struct message *message)
{
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

/* `asked`: what this answers; 0: nothing in particular. */
static void got_refused(struct engine *engine, struct leg *leg, const struct message_refused *refused,
			enum message_kind asked)
{
	int error = final_error(refused->refusal);
	struct err err;

	(void)err_set(&err, -EPROTO, "refused (%s): %.*s", refusal_name(refused->refusal), (int)MESSAGE_TEXT_MAX,
		      refused->text);
	if (refused->refusal == REFUSAL_STALE_EPOCH && engine->phase == PHASE_BOUND) {
		leg->is_refused = true;
		leg->refusal_error = error;
		link_abort(engine, leg, "%s", err.text);
		assemble_contended(engine, leg, &refused->seen);
	} else if (error && (leg->state == LEG_HANDSHAKE || leg_set(engine, leg)->phase != SET_SERVING)) {
		refuse(engine, leg, error, err.text);
	} else if (refused->refusal == REFUSAL_STORE && leg->state == LEG_VOTING && leg->step != STEP_NONE) {
		evict_faulty(engine, leg, "%s", err.text); /* OPEN or JOIN: in vain until its server was started anew */
	} else if (refused->refusal == REFUSAL_STORE && asked == MESSAGE_DIGEST) {
		resync_unreadable(engine, leg, err.text);
	} else {
		link_abort(engine, leg, "%s", err.text);
	}
}

static const struct {
	enum message_kind answer;
	void (*got)(struct engine *engine, struct leg *leg, const struct leg_ask *ask, const struct message *message);
} answers[MESSAGE_KIND_COUNT] = {
	[MESSAGE_HELLO] = {MESSAGE_WELCOME, got_welcome},
	[MESSAGE_PROBE] = {MESSAGE_STATE, got_probe},
	[MESSAGE_PROMISE] = {MESSAGE_STATE, got_promise},
	[MESSAGE_ACCEPT] = {MESSAGE_ACCEPTED, got_accepted},
	[MESSAGE_OPEN] = {MESSAGE_OPENED, got_opened},
	[MESSAGE_HEARTBEAT] = {MESSAGE_BEAT, got_beat},
	[MESSAGE_LIST_REGIONS] = {MESSAGE_REGIONS, got_regions},
	[MESSAGE_STAMPED_REGIONS] = {MESSAGE_REGIONS, got_regions},
	[MESSAGE_STAMP] = {MESSAGE_STAMPED, got_stamped},
	[MESSAGE_DIGEST] = {MESSAGE_DIGESTED, got_digested},
	[MESSAGE_FORGET] = {MESSAGE_FORGOTTEN, got_forgotten},
	[MESSAGE_SEED] = {MESSAGE_SEEDED, got_seeded},
	[MESSAGE_CLAIM] = {MESSAGE_STATE, got_promise},
};

static void unexpected(struct engine *engine, struct leg *leg, const struct message *message)
{
	link_abort(engine, leg, "unexpected message %s", message_kind_name(message->kind));
}

static void bulk_message(struct engine *engine, struct leg *leg, const struct message *message)
{
	const struct message_welcome *welcome = &message->welcome;

	if (leg->step == STEP_BULK_HELLO && message->kind == MESSAGE_WELCOME) {
		if (!welcome_is_acceptable(engine, leg, welcome))
			return;
		if (welcome->incarnation != leg->hello_incarnation) {
			link_abort(engine, leg, "its server restarted between its two connections");
			return;
		}
		engine->message.kind = MESSAGE_JOIN;
		engine->message.open = (struct message_open){engine->ballot, leg->session};
		engine->ops->send_message(engine->ctx, leg->index, LANE_BULK, &engine->message);
		leg_step_to(leg, STEP_JOIN, engine->now_ns);
	} else if (leg->step == STEP_JOIN && message->kind == MESSAGE_JOINED) {
		if (is_our_session(engine, leg, &message->opened))
			link_up(engine, leg);
	} else {
		unexpected(engine, leg, message);
	}
}

void attach_message(struct engine *engine, struct leg *leg, enum lane lane, const struct message *message)
{
	const struct leg_ask *oldest = leg_oldest_ask(leg);
	struct leg_ask ask;

	if (message->kind == MESSAGE_REFUSED) {
		got_refused(engine, leg, &message->refused, lane == LANE_MAIN && oldest ? oldest->kind : 0);
		return;
	}
	if (lane == LANE_BULK) {
		bulk_message(engine, leg, message);
		return;
	}
	if (!oldest || answers[oldest->kind].answer != message->kind) {
		unexpected(engine, leg, message);
		return;
	}
	leg->heard_ns = engine->now_ns;
	ask = leg_take_ask(leg);
	answers[ask.kind].got(engine, leg, &ask, message);
}
