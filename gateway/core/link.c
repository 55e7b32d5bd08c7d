/* The life of a leg's two connections: connecting, breaking, backing off, watching for silence. What is said on them is
 * attach.c's; what was outstanding on a lost one is given back to read.c here and to write.c and flush.c at link_up().
 * Beside a request's path: it decides when a replica counts as lost (P8). */
#include <stdarg.h>
#include <stdio.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

#define PING_FRACTION 3u /* of the answer deadline, without a word on MAIN */
#define BUSY_FACTOR 10u	 /* deadlines that one answer may take while others come */

bool links_are_down(const struct engine *engine)
{
	for (unsigned i = 0; i < engine->leg_count; i++) {
		if (engine->legs[i].state != LEG_DOWN)
			return false;
	}
	return true;
}

void link_connect(struct engine *engine, struct leg *leg)
{
	leg_move(leg, LEG_CONNECTING, engine->now_ns);
	leg_step_to(leg, STEP_CONNECT, engine->now_ns);
	leg->lanes[LANE_MAIN].state = LANE_STATE_OPENING;
	engine->ops->connect(engine->ctx, leg->index, LANE_MAIN);
}

static void abort_lane(struct engine *engine, struct leg *leg, enum lane lane)
{
	struct leg_lane *it = &leg->lanes[lane];

	if (it->state != LANE_STATE_OPENING && it->state != LANE_STATE_OPEN)
		return;
	it->state = LANE_STATE_ABORTING;
	engine->ops->abort(engine->ctx, leg->index, lane, leg->last_error);
}

/* What it cost the application, if it is evicted: counted from the first missed answer (P8). What stood behind others
 * was not missed before the last of those was answered. */
static uint64_t silent_since(const struct engine *engine, const struct leg *leg)
{
	const struct leg_ask *ask = leg_oldest_ask(leg);
	uint64_t age = leg_oldest_age(leg, engine->now_ns), since = engine->now_ns - age, asked;

	if (since < leg->answered_ns && age / BUSY_FACTOR <= engine->options.answer_deadline_ns)
		since = leg->answered_ns;
	if (!ask)
		return since;
	asked = ask->sent_ns > leg->heard_ns ? ask->sent_ns : leg->heard_ns;
	return asked < since ? asked : since;
}

/* Both lanes carry one session, so they go together. */
static void begin_closing(struct engine *engine, struct leg *leg)
{
	if (leg->state == LEG_DOWN || leg->state == LEG_CLOSING)
		return;
	if (leg->state == LEG_UP)
		leg->silent_ns = silent_since(engine, leg);
	leg_set(engine, leg)->up_legs &= (uint8_t)~leg_bit(leg);
	leg_set(engine, leg)->needs_look = true;
	leg_move(leg, LEG_CLOSING, engine->now_ns);
	leg_step_to(leg, STEP_NONE, engine->now_ns);
	abort_lane(engine, leg, LANE_MAIN);
	abort_lane(engine, leg, LANE_BULK);
}

void link_abort(struct engine *engine, struct leg *leg, const char *format, ...)
{
	char reason[sizeof(leg->last_error)];
	va_list args;

	if (leg->state == LEG_DOWN || leg->state == LEG_CLOSING)
		return;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	leg_blame(leg, reason);
	begin_closing(engine, leg);
}

void link_abort_all(struct engine *engine, const char *reason)
{
	for (unsigned i = 0; i < engine->leg_count; i++)
		link_abort(engine, &engine->legs[i], "%s", reason);
}

void link_connected(struct engine *engine, struct leg *leg, enum lane lane)
{
	if (leg->lanes[lane].state != LANE_STATE_OPENING)
		return; /* given up meanwhile; its end is still to come */
	leg->lanes[lane].state = LANE_STATE_OPEN;
	if (lane == LANE_MAIN)
		leg_move(leg, LEG_HANDSHAKE, engine->now_ns);
	attach_hello(engine, leg, lane);
}

/* Reads go to another replica at once; changes stay in their set's lists until the leg is back or not needed. */
static void drop_outstanding(struct engine *engine, struct leg *leg)
{
	struct leg_op *op;

	while ((op = leg_op_any(leg))) {
		leg_op_done(leg, op);
		if (op->part && op->part->slot->request.op == REQUEST_READ && !slot_copy(engine, op->part->slot))
			read_reissue(engine, op->part);
	}
	leg->ping_id = 0;
}

static void tell_lost(struct engine *engine, struct leg *leg)
{
	struct set *set = leg_set(engine, leg);

	leg_forget_talk(leg);
	replace_lost(leg);
	assemble_lost(engine, leg);
	copy_leg_lost(engine, leg);
	resync_lost(engine, leg);
	write_recheck(engine, set);
	flush_recheck(engine, set);
}

static void link_down(struct engine *engine, struct leg *leg)
{
	/* P6: the driver has reported every send that could still read a request's memory. */
	assert(engine->options.memory_is_pinned || !write_borrows(engine, leg));
	leg_move(leg, LEG_DOWN, engine->now_ns);
	leg_step_to(leg, STEP_NONE, engine->now_ns);
	leg_back_off(leg, engine->now_ns, engine->options.reconnect_ns);
	drop_outstanding(engine, leg);
	tell_lost(engine, leg);
	assemble_progress(engine);
	if (engine->state == VOLUME_FAILED && links_are_down(engine))
		slots_fail_all(engine);
}

void link_closed(struct engine *engine, struct leg *leg, enum lane lane, int error, const char *reason)
{
	enum lane_state was = leg->lanes[lane].state;
	char text[sizeof(leg->last_error)];

	if (was == LANE_STATE_CLOSED)
		return;
	leg->lanes[lane].state = LANE_STATE_CLOSED;
	if (was != LANE_STATE_ABORTING && leg->state != LEG_CLOSING) {
		snprintf(text, sizeof(text), "%s%s%s", reason ? reason : "closed", error ? ": " : "",
			 error ? err_name(error) : "");
		leg_blame(leg, text);
	}
	if (!leg_lanes_are_closed(leg) || leg->state == LEG_UP)
		begin_closing(engine, leg);
	if (leg_lanes_are_closed(leg))
		link_down(engine, leg);
}

static void note_identity(struct engine *engine, struct leg *leg)
{
	struct set *set = leg_set(engine, leg);

	if (MUTANT(acks_forgotten_late) && leg->was_up && !uuid_equal(&leg->boot_id, &leg->hello_boot_id))
		write_forget_acks(engine, leg);
	if (!evict_is_same_process(leg) && set->members.in & leg_bit(leg))
		set->forgetful |= leg_bit(leg);
	leg->reconnects += leg->was_up;
	leg->was_up = true;
	/* Nothing was lost that nobody else has: else it would not be here (R8). */
	if (leg->was_up && !uuid_equal(&leg->boot_id, &leg->hello_boot_id))
		leg->flush_error = 0;
	leg->incarnation = leg->hello_incarnation;
	leg->boot_id = leg->hello_boot_id;
}

void link_up(struct engine *engine, struct leg *leg)
{
	struct set *set = leg_set(engine, leg);

	note_identity(engine, leg);
	leg_move(leg, LEG_UP, engine->now_ns);
	leg_step_to(leg, STEP_NONE, engine->now_ns);
	leg->backoff_ns = 0;
	leg->heard_ns = leg->answered_ns = engine->now_ns;
	leg->latency_ns = leg->slow_since_ns = 0;
	set->up_legs |= leg_bit(leg);
	set->needs_look = true;
	resync_up(engine, leg);
	if (!MUTANT(joiner_misses_what_is_under_way) || !(set->syncing & leg_bit(leg)))
		write_resend(engine, leg);
	flush_resend(engine, leg);
	set_drain(engine, set);
}

static void ping(struct engine *engine, struct leg *leg)
{
	struct frame frame = {.type = FRAME_PING, .epoch = engine->ballot.epoch, .session = leg->session};

	leg->ping_id = frame.id = slot_new_id(engine, ID_SLOT_PING, 0);
	leg_op_sent(leg, LANE_MAIN, &leg->ping, 0, engine->now_ns);
	engine->ops->send_frame(engine->ctx, leg->index, LANE_MAIN, &frame);
}

/* What goes through a whole disk, or a whole table, may take longer. */
static uint64_t ask_deadline(const struct engine *engine, enum message_kind kind)
{
	switch (kind) {
	case MESSAGE_STAMP:
	case MESSAGE_DIGEST:
	case MESSAGE_LIST_REGIONS:
	case MESSAGE_STAMPED_REGIONS:
		return engine->options.answer_deadline_ns * 10;
	default:
		return engine->options.answer_deadline_ns;
	}
}

/* A replica that answers at all is not lost because much was asked: its answers stand behind those before them, and 128
 * requests of a megabyte take seconds on a slow network. One that answers nothing, or for long not this, is. */
static bool is_late(const struct engine *engine, uint64_t age_ns, uint64_t heard_ns, uint64_t deadline_ns)
{
	return age_ns > deadline_ns && (engine->now_ns - heard_ns > deadline_ns || age_ns / BUSY_FACTOR > deadline_ns);
}

static void watch_talk(struct engine *engine, struct leg *leg)
{
	const struct leg_ask *ask = leg_oldest_ask(leg);

	if (ask && is_late(engine, engine->now_ns - ask->sent_ns, leg->heard_ns, ask_deadline(engine, ask->kind)))
		link_abort(engine, leg, "no answer to %s", message_kind_name(ask->kind));
	else if (leg_step_has_deadline(leg->step) && engine->now_ns - leg->step_ns > engine->options.answer_deadline_ns)
		link_abort(engine, leg, "no answer to %s", leg_step_name(leg->step));
	else
		lease_tick(engine, leg);
}

static void watch(struct engine *engine, struct leg *leg)
{
	uint64_t deadline = engine->options.answer_deadline_ns;

	watch_talk(engine, leg);
	if (leg->state != LEG_UP)
		return;
	if (is_late(engine, leg_oldest_age(leg, engine->now_ns), leg->answered_ns, deadline))
		link_abort(engine, leg, "no answer within %llu ms", (unsigned long long)(deadline / 1000000));
	else if (list_is_empty(&leg->lanes[LANE_MAIN].unanswered) &&
		 engine->now_ns - leg->heard_ns >= deadline / PING_FRACTION)
		ping(engine, leg);
}

void link_tick(struct engine *engine, struct leg *leg)
{
	switch (leg->state) {
	case LEG_DOWN:
		if (engine->phase != PHASE_IDLE && engine->state != VOLUME_FAILED && !engine->is_detached &&
		    engine->now_ns >= leg->retry_ns)
			link_connect(engine, leg);
		break;
	case LEG_VOTING:
		watch_talk(engine, leg);
		break;
	case LEG_CONNECTING:
	case LEG_HANDSHAKE:
		if (leg_step_has_deadline(leg->step) &&
		    engine->now_ns - leg->step_ns > engine->options.answer_deadline_ns)
			link_abort(engine, leg, "no answer to %s", leg_step_name(leg->step));
		/* Of a machine without power no connection tells; what it said is not to be waited for. */
		else if (leg->step == STEP_PROBED && engine->phase == PHASE_PROBE &&
			 engine->now_ns - leg->step_ns > engine->options.answer_deadline_ns)
			attach_probe(engine, leg);
		break;
	case LEG_UP:
		watch(engine, leg);
		break;
	case LEG_CLOSING:
		break;
	}
}
