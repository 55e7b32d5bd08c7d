/* May this frame be served here and now? Pure checks, no state is changed. Must not know stores or replies.
 * On a request's path between frame_decode() and the request that session.c makes of it. */
#include "replica-server/core/admission.h"

#include "common/mutant.h"
#include "replica-server/core/replica.h"

bool admission_is_current(const struct replica_lane *lane, uint32_t epoch, uint32_t session)
{
	const struct session *open = &lane->replica->session;

	if (MUTANT(no_session_fence))
		return true;
	return open->state == SESSION_OPEN && epoch == open->ballot.epoch && session == open->number;
}

/* WIRE_OK, or why this request cannot be served here and now. */
enum wire_status admission_status(const struct replica_lane *lane, const struct frame *frame)
{
	const struct replica *replica = lane->replica;
	uint32_t block = replica->identity.block_bytes;

	if (!admission_is_current(lane, frame->epoch, lane->batch_left ? lane->batch.session : frame->session))
		return WIRE_ESTALE;
	if (frame->type == FRAME_PING)
		return WIRE_OK;
	if (replica->state == REPLICA_FAILED && frame->type != FRAME_READ && !MUTANT(failed_replica_serves))
		return WIRE_EIO;
	if (frame->type == FRAME_FLUSH)
		return WIRE_OK;
	if (frame->length == 0 || frame->length % block || frame->offset % block)
		return WIRE_EINVAL;
	if (frame->offset > replica->identity.set_bytes || frame->length > replica->identity.set_bytes - frame->offset)
		return WIRE_EINVAL;
	return WIRE_OK;
}

/* What a lane may carry at all; breaking it costs the connection. NULL when allowed. */
const char *admission_forbidden(const struct replica_lane *lane, const struct frame *frame)
{
	const struct session *session = &lane->replica->session;
	uint32_t left;

	if (session->main != lane && session->bulk != lane && !MUTANT(no_session_fence))
		return "a data frame before OPEN or JOIN was answered";
	if (lane->role == REPLICA_LANE_BULK && frame->type != FRAME_READ && frame->type != FRAME_PING)
		return "only READ and PING may use the bulk lane";
	if (frame->type & FRAME_REPLY)
		return "a reply was sent to a replica";
	if (lane->batch_left == 0)
		return NULL;
	if (frame->type != FRAME_WRITE)
		return "a batch holds something else than writes";
	if (frame->session != 0 || frame->epoch != lane->batch.epoch)
		return "a write in a batch with a session, or another epoch than the batch's";
	if (lane->batch_left < FRAME_BYTES + (uint64_t)frame->length)
		return "a write reaches beyond its batch";
	left = lane->batch_left - FRAME_BYTES - frame->length;
	return left > 0 && left <= FRAME_BYTES ? "a batch ends inside a frame" : NULL;
}
