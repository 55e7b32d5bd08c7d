/* A leg's states and its books. Knows no frames and no requests.
 * On a request's path: leg_op_sent() with every frame, leg_op_done() with every answer. */
#include "gateway/core/leg.h"

#include <stdio.h>

#define BACKOFF_FACTOR_MAX 16u
#define BIT(state) (1u << (state))

static const unsigned allowed_moves[] = {
	[LEG_DOWN] = BIT(LEG_CONNECTING),
	[LEG_CONNECTING] = BIT(LEG_HANDSHAKE) | BIT(LEG_CLOSING) | BIT(LEG_DOWN),
	[LEG_HANDSHAKE] = BIT(LEG_VOTING) | BIT(LEG_CLOSING) | BIT(LEG_DOWN),
	[LEG_VOTING] = BIT(LEG_UP) | BIT(LEG_CLOSING) | BIT(LEG_DOWN),
	[LEG_UP] = BIT(LEG_CLOSING),
	[LEG_CLOSING] = BIT(LEG_DOWN),
};

const char *leg_state_name(enum leg_state state)
{
	static const char *const names[] = {
		[LEG_DOWN] = "down", [LEG_CONNECTING] = "connecting", [LEG_HANDSHAKE] = "handshake",
		[LEG_UP] = "up",     [LEG_CLOSING] = "closing",	      [LEG_VOTING] = "voting",
	};

	return (unsigned)state < ARRAY_COUNT(names) ? names[state] : "?";
}

void leg_init(struct leg *leg, unsigned index, unsigned set, unsigned in_set)
{
	*leg = (struct leg){.index = index, .set = set, .in_set = in_set};
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		list_init(&leg->lanes[i].unanswered);
		list_init(&leg->lanes[i].arriving);
	}
	leg_op_init(&leg->ping, NULL);
	leg_op_init(&leg->barrier, NULL);
}

bool leg_move_is_allowed(enum leg_state from, enum leg_state to)
{
	return (unsigned)from < ARRAY_COUNT(allowed_moves) && (allowed_moves[from] & BIT(to));
}

/* It answers as a voter, or serves; all that leads there and away is being lost. */
static bool is_there(enum leg_state state)
{
	return state == LEG_VOTING || state == LEG_UP;
}

void leg_move(struct leg *leg, enum leg_state to, uint64_t now_ns)
{
	assert(leg_move_is_allowed(leg->state, to));
	if (to == LEG_DOWN)
		assert(leg_lanes_are_closed(leg));
	/* Each attempt to connect passes several states: a replica that is away has been so since it was lost. */
	if (is_there(to) || is_there(leg->state) || leg->since_ns == 0)
		leg->since_ns = now_ns;
	leg->state = to;
}

void leg_step_to(struct leg *leg, enum leg_step step, uint64_t now_ns)
{
	leg->step = step;
	leg->step_ns = now_ns;
}

bool leg_step_has_deadline(enum leg_step step)
{
	switch (step) {
	case STEP_NONE:
	case STEP_PROBED:
	case STEP_BLANK:
		return false;
	default:
		return true;
	}
}

const char *leg_step_name(enum leg_step step)
{
	static const char *const names[] = {
		[STEP_NONE] = "nothing",
		[STEP_CONNECT] = "connect",
		[STEP_HELLO] = "HELLO",
		[STEP_PROBE] = "PROBE",
		[STEP_PROBED] = "waiting for the other voters' state",
		[STEP_BLANK] = "waiting for the other voters to give it its vote",
		[STEP_SEED] = "SEED",
		[STEP_PROMISE] = "PROMISE",
		[STEP_OPEN] = "OPEN",
		[STEP_BULK_CONNECT] = "connect (bulk)",
		[STEP_BULK_HELLO] = "HELLO (bulk)",
		[STEP_JOIN] = "JOIN",
	};

	return (unsigned)step < ARRAY_COUNT(names) ? names[step] : "?";
}

bool leg_lanes_are_closed(const struct leg *leg)
{
	return leg->lanes[LANE_MAIN].state == LANE_STATE_CLOSED && leg->lanes[LANE_BULK].state == LANE_STATE_CLOSED;
}

void leg_back_off(struct leg *leg, uint64_t now_ns, uint64_t reconnect_ns)
{
	uint64_t longest = reconnect_ns * BACKOFF_FACTOR_MAX;

	leg->backoff_ns = leg->backoff_ns ? leg->backoff_ns * 2 : reconnect_ns;
	if (leg->backoff_ns > longest)
		leg->backoff_ns = longest;
	leg->retry_ns = now_ns + leg->backoff_ns;
}

void leg_blame(struct leg *leg, const char *reason)
{
	/* What people must mend is not hidden by the connections lost since. */
	if (leg->is_faulty)
		return;
	snprintf(leg->last_error, sizeof(leg->last_error), "%s", reason);
}

void leg_asked(struct leg *leg, enum message_kind kind, uint32_t tag, uint64_t now_ns)
{
	assert(leg->ask_count < LEG_ASKS_MAX);
	leg->asks[(leg->ask_first + leg->ask_count++) % LEG_ASKS_MAX] = (struct leg_ask){kind, tag, now_ns};
}

const struct leg_ask *leg_oldest_ask(const struct leg *leg)
{
	return leg->ask_count > 0 ? &leg->asks[leg->ask_first] : NULL;
}

struct leg_ask leg_take_ask(struct leg *leg)
{
	struct leg_ask ask = leg->asks[leg->ask_first];

	assert(leg->ask_count > 0);
	leg->ask_first = (leg->ask_first + 1) % LEG_ASKS_MAX;
	leg->ask_count--;
	return ask;
}

void leg_forget_talk(struct leg *leg)
{
	leg->ask_count = 0;
	leg->is_beat_asked = leg->is_accept_asked = leg->is_job_asked = false;
	leg->rejoin.is_asked = false;
	if (leg->job != JOB_DONE)
		leg->job = JOB_NONE;
}

void leg_op_init(struct leg_op *op, struct part *part)
{
	list_init(&op->node);
	op->part = part;
}

bool leg_op_is_outstanding(const struct leg_op *op)
{
	return list_is_linked(&op->node);
}

void leg_op_sent(struct leg *leg, enum lane lane, struct leg_op *op, uint32_t bytes, uint64_t now_ns)
{
	assert(!leg_op_is_outstanding(op));
	op->sent_ns = now_ns;
	op->bytes = bytes;
	op->lane = lane;
	op->is_arriving = false;
	list_add_tail(&leg->lanes[lane].unanswered, &op->node);
	leg->outstanding++;
	leg->outstanding_bytes += bytes;
}

void leg_op_arriving(struct leg *leg, struct leg_op *op)
{
	assert(leg_op_is_outstanding(op));
	op->is_arriving = true;
	list_del(&op->node);
	list_add_tail(&leg->lanes[op->lane].arriving, &op->node);
}

void leg_op_done(struct leg *leg, struct leg_op *op)
{
	assert(leg_op_is_outstanding(op));
	list_del(&op->node);
	assert(leg->outstanding > 0 && leg->outstanding_bytes >= op->bytes);
	leg->outstanding--;
	leg->outstanding_bytes -= op->bytes;
}

struct leg_op *leg_op_any(const struct leg *leg)
{
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		const struct leg_lane *lane = &leg->lanes[i];

		if (!list_is_empty(&lane->unanswered))
			return list_first(&lane->unanswered, struct leg_op, node);
		if (!list_is_empty(&lane->arriving))
			return list_first(&lane->arriving, struct leg_op, node);
	}
	return NULL;
}

static uint64_t age_of_first(const struct list *ops, uint64_t now_ns)
{
	const struct leg_op *op = list_first(ops, struct leg_op, node);

	return op ? now_ns - op->sent_ns : 0;
}

uint64_t leg_oldest_age(const struct leg *leg, uint64_t now_ns)
{
	uint64_t oldest = 0;

	for (unsigned i = 0; i < LANE_COUNT; i++) {
		uint64_t unanswered = age_of_first(&leg->lanes[i].unanswered, now_ns);
		uint64_t arriving = age_of_first(&leg->lanes[i].arriving, now_ns);

		oldest = unanswered > oldest ? unanswered : oldest;
		oldest = arriving > oldest ? arriving : oldest;
	}
	return oldest;
}
