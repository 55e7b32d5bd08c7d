/* What both lanes do with a whole header and a whole control message: decode, and tell the engine. Step 7 of a write's
 * path and of a read's: the replica's answer. Every byte here is a stranger's; nonsense breaks this lane and nothing
 * else. */
#include <errno.h>
#include <stdio.h>

#include "common/crc32c.h"
#include "common/failpoint.h"
#include "gateway/drivers/peer_private.h"
#include "proto/codec.h"

static void break_nonsense(struct peer_lane *lane, int error, const char *what, const char *why)
{
	char reason[sizeof(lane->close_reason)];

	snprintf(reason, sizeof(reason), "%s: %s", what, why ? why : "no reason given");
	lane_break(lane, error, reason);
}

static bool expect_message(struct peer_lane *lane)
{
	struct receiver *rx = &lane->rx;

	if (rx->frame.length == 0 || rx->frame.length > LANE_MESSAGE_MAX) {
		lane_break(lane, -EMSGSIZE, "control message of a length no replica sends");
		return false;
	}
	rx->phase = RECV_MESSAGE;
	rx->want = rx->frame.length;
	return true;
}

/* The engine knows the request behind the id, and with it where the bytes belong. */
static bool expect_reply(struct peer_lane *lane)
{
	struct receiver *rx = &lane->rx;

	rx->target = (struct read_target){0};
	if (engine_reply(lane->peers->engine, lane->leg, lane->which, &rx->frame, &rx->target)) {
		lane_break(lane, -EPROTO, "a reply that answers nothing");
		return false;
	}
	if (lane->state != LANE_OPEN)
		return false;
	if (frame_payload_bytes(&rx->frame) != rx->target.length) {
		lane_break(lane, -EPROTO, "a reply with more or fewer bytes than it may have");
		return false;
	}
	rx->want = rx->target.length;
	if (rx->want)
		rx->phase = RECV_PAYLOAD;
	return true;
}

bool lane_take_header(struct peer_lane *lane, const uint8_t header[FRAME_BYTES])
{
	struct receiver *rx = &lane->rx;
	const char *reason = NULL;
	int error = frame_decode(header, &rx->frame, &reason);

	if (error) {
		break_nonsense(lane, error, "bad frame", reason);
		return false;
	}
	rx->have = 0;
	rx->phase = RECV_HEADER;
	if (rx->frame.type == FRAME_CONTROL)
		return expect_message(lane);
	if (rx->frame.type & FRAME_REPLY)
		return expect_reply(lane);
	lane_break(lane, -EPROTO, "a request from a replica");
	return false;
}

bool lane_take_message(struct peer_lane *lane, const uint8_t *bytes)
{
	struct receiver *rx = &lane->rx;
	struct message *message = &lane->peers->message;
	const char *reason = "checksum does not match";
	int error = -EBADMSG;

	if (crc32c(0, bytes, rx->frame.length) == rx->frame.checksum)
		error = codec_unpack(bytes, rx->frame.length, message, &reason);
	if (error) {
		break_nonsense(lane, error, "bad control message", reason);
		return false;
	}
	rx->phase = RECV_HEADER;
	rx->have = 0;
	FAILPOINT("hears", message_kind_name(message->kind));
	engine_message(lane->peers->engine, lane->leg, lane->which, message);
	return lane->state == LANE_OPEN;
}

void lane_take_payload_done(struct peer_lane *lane)
{
	struct receiver *rx = &lane->rx;

	rx->phase = RECV_HEADER;
	rx->have = 0;
	lane->peers->stats.legs[lane->leg].received_bytes += rx->target.length;
	engine_read_placed(lane->peers->engine, lane->leg, lane->which, rx->target.id);
}
