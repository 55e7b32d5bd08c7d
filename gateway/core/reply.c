/* What a replica answers, before anybody believes it (P9): a reply that does not belong to something outstanding on
 * that very lane costs the replica its connection and nobody anything else. On a request's path: every answer comes
 * through here, then goes to write.c, read.c or flush.c. */
#include <errno.h>
#include <stdio.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"
#include "proto/status.h"

static int nonsense(struct engine *engine, struct leg *leg, const char *what)
{
	link_abort(engine, leg, "nonsense: %s", what);
	return -EPROTO;
}

static uint8_t expected_type(const struct part *part)
{
	static const uint8_t types[] = {
		[REQUEST_READ] = FRAME_READ | FRAME_REPLY,     [REQUEST_WRITE] = FRAME_WRITE | FRAME_REPLY,
		[REQUEST_FLUSH] = FRAME_FLUSH | FRAME_REPLY,   [REQUEST_DISCARD] = FRAME_DISCARD | FRAME_REPLY,
		[REQUEST_ZEROES] = FRAME_ZEROES | FRAME_REPLY,
	};

	return types[part->slot->request.op];
}

static uint64_t longest_reply(const struct part *part, const struct frame *reply)
{
	return part->slot->request.op == REQUEST_READ && reply->status == WIRE_OK ? part->at.length : 0;
}

/* NULL: the reply fits what `op` of `part` waits for. */
static const char *misfit(const struct leg *leg, enum lane lane, const struct part *part, const struct leg_op *op,
			  const struct frame *reply)
{
	if (!leg_op_is_outstanding(op) && MUTANT(second_reply_ignored))
		return NULL;
	if (!leg_op_is_outstanding(op) || op->is_arriving)
		return "a second reply to one request";
	if (reply->type != expected_type(part))
		return "a reply of another type than its request";
	if (op->lane != lane)
		return "a reply on the wrong lane";
	if (reply->length > longest_reply(part, reply))
		return "a reply that is longer than what was asked for";
	if (lane == LANE_BULK && list_first(&leg->lanes[lane].unanswered, struct leg_op, node) != op)
		return "a reply out of order on the bulk lane";
	return NULL;
}

static int ping_answered(struct engine *engine, struct leg *leg, enum lane lane, const struct frame *reply)
{
	if (lane != LANE_MAIN || leg->ping_id == 0 || reply->id != leg->ping_id || reply->length != 0)
		return nonsense(engine, leg, "a PING reply that was not asked for");
	leg->ping_id = 0;
	leg_op_done(leg, &leg->ping);
	return 0;
}

/* It had no effect there, or the session is not current: the way to do it again is a new session. */
static bool asks_for_new_session(const struct frame *reply)
{
	return reply->status == WIRE_EBUSY || reply->status == WIRE_ESTALE;
}

static void blame_status(struct leg *leg, const struct frame *reply)
{
	char text[sizeof(leg->last_error)];

	snprintf(text, sizeof(text), "%s: %s", frame_type_name(reply->type),
		 wire_status_name((enum wire_status)reply->status));
	leg_blame(leg, text);
}

static int barrier_answered(struct engine *engine, struct leg *leg, enum lane lane, const struct frame *reply)
{
	if (lane != LANE_MAIN || !leg_op_is_outstanding(&leg->barrier) || reply->length != 0)
		return nonsense(engine, leg, "a second answer to a resync's FLUSH");
	leg_op_done(leg, &leg->barrier);
	leg->answered_ns = engine->now_ns;
	resync_barrier_answered(engine, leg, reply);
	return 0;
}

static int part_answered(struct engine *engine, struct leg *leg, enum lane lane, const struct frame *reply,
			 struct read_target *ret)
{
	struct part *part = slot_find_part(engine, reply->id);
	const char *reason;

	if (!part || part->at.set != leg->set)
		return nonsense(engine, leg, "a reply to an unknown request");
	reason = misfit(leg, lane, part, &part->legs[leg->in_set].op, reply);
	if (reason)
		return nonsense(engine, leg, reason);
	leg->answered_ns = engine->now_ns;
	if (reply->status != WIRE_OK)
		blame_status(leg, reply);
	if (reply->type == (FRAME_READ | FRAME_REPLY))
		read_answered(engine, leg, part, reply, ret);
	else if (reply->type == (FRAME_FLUSH | FRAME_REPLY))
		flush_answered(engine, leg, part, reply);
	else
		write_answered(engine, leg, part, reply);
	return 0;
}

int reply_dispatch(struct engine *engine, struct leg *leg, enum lane lane, const struct frame *reply,
		   struct read_target *ret)
{
	*ret = (struct read_target){0};
	if (leg->lanes[lane].state != LANE_STATE_OPEN)
		return -EPROTO; /* aborted already, or never opened */
	if (leg->state != LEG_UP)
		return nonsense(engine, leg, "a data frame before the session is open");
	if (reply->epoch != engine->ballot.epoch || reply->session != leg->session)
		return nonsense(engine, leg, "a reply of another session");
	if (asks_for_new_session(reply)) {
		link_abort(engine, leg, "%s: %s", frame_type_name(reply->type),
			   wire_status_name((enum wire_status)reply->status));
		return -EPROTO;
	}
	if (lane == LANE_MAIN)
		leg->heard_ns = engine->now_ns;
	if (reply->type == (FRAME_PING | FRAME_REPLY))
		return ping_answered(engine, leg, lane, reply);
	if (reply->type == (FRAME_FLUSH | FRAME_REPLY) && leg->rejoin.barrier_id && reply->id == leg->rejoin.barrier_id)
		return barrier_answered(engine, leg, lane, reply);
	return part_answered(engine, leg, lane, reply, ret);
}
