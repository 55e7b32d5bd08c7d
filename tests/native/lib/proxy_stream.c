/* Frame-aware byte stream of the faultproxy. Knows rules and the wire's framing; no sockets, no time.
 * On the way of every byte: stream_feed() -> held header or message -> rule -> emit() -> out. */
#include "tests/native/lib/proxy_stream.h"

#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/crc32c.h"
#include "proto/codec.h"
#include "tests/native/lib/tool.h"

/* docs/protocol.md, the header's table. */
#define HEADER_LENGTH_OFFSET 20
#define HEADER_ID_OFFSET 24

void stream_init(struct stream *stream, struct rule_list *rules, enum direction direction, unsigned *role)
{
	struct stream_buffers *buffers = stream->buffers;

	if (!buffers)
		buffers = tool_zalloc(sizeof(*buffers));
	*stream = (struct stream){.rules = rules, .direction = direction, .role = role, .cut_at = UINT64_MAX};
	stream->buffers = buffers;
}

void stream_fini(struct stream *stream)
{
	free(stream->buffers);
	stream->buffers = NULL;
}

bool stream_has_room(const struct stream *stream)
{
	size_t waiting = stream->out_to - stream->out_from;

	return waiting + 2 * (STREAM_READ_BYTES + sizeof(stream->buffers->held)) < STREAM_BUFFER_BYTES;
}

static void rule_used(struct stream *stream, struct rule *rule)
{
	rule->times_left--;
	rule->at = rule->kind == RULE_FRAME || rule->kind == RULE_RAW ? rule->nth : rule->at;
	stream->rules->fired++;
}

/* The rule of this kind that names a byte in [from, from + len), or NULL. */
static struct rule *rule_in_range(struct stream *stream, enum rule_kind kind, uint64_t from, size_t len)
{
	for (unsigned i = 0; i < stream->rules->count; i++) {
		struct rule *rule = &stream->rules->rules[i];

		if (rule_applies(rule, kind, stream->direction, *stream->role) && rule->at >= from &&
		    rule->at < from + len)
			return rule;
	}
	return NULL;
}

static void append(struct stream *stream, const uint8_t *bytes, size_t len)
{
	struct rule *flip;

	if (stream->out_to + len > STREAM_BUFFER_BYTES) {
		memmove(stream->buffers->out, stream->buffers->out + stream->out_from,
			stream->out_to - stream->out_from);
		stream->out_to -= stream->out_from;
		stream->out_from = 0;
	}
	if (stream->out_to + len > STREAM_BUFFER_BYTES)
		tool_die(EXIT_CANNOT, "faultproxy: fed without room");
	memcpy(stream->buffers->out + stream->out_to, bytes, len);
	while ((flip = rule_in_range(stream, RULE_FLIP, stream->emitted, len))) {
		stream->buffers->out[stream->out_to + (flip->at - stream->emitted)] ^= flip->mask;
		rule_used(stream, flip);
	}
	stream->out_to += len;
	stream->emitted += len;
}

static void emit(struct stream *stream, const uint8_t *bytes, size_t len)
{
	struct rule *cut = stream->is_cut ? NULL : rule_in_range(stream, RULE_CUT, stream->emitted, len);

	if (stream->is_cut)
		return;
	if (cut) {
		len = cut->at - stream->emitted;
		stream->is_cut = true;
		stream->cut_by_fin = cut->fin;
		rule_used(stream, cut);
	}
	if (stream->cut_at <= stream->emitted + len) {
		len = stream->cut_at - stream->emitted;
		stream->is_cut = true;
	}
	append(stream, bytes, len);
}

/* A rule of this kind whose turn it is with this frame. Every rule for the type counts it. */
static struct rule *rule_for_frame(struct stream *stream, enum rule_kind kind, const struct frame *frame)
{
	struct rule *found = NULL;

	for (unsigned i = 0; i < stream->rules->count; i++) {
		struct rule *rule = &stream->rules->rules[i];

		if (!rule_applies(rule, kind, stream->direction, *stream->role) ||
		    rule->frame_type != (frame->type & (uint8_t)~FRAME_REPLY))
			continue;
		if (rule->at > 1)
			rule->at--;
		else if (!found)
			found = rule;
	}
	return found;
}

/* A frame of `bytes` bytes begins where the stream is. `message_kind` 0: by its type. */
static void look_within(struct stream *stream, uint8_t type, unsigned message_kind, uint64_t bytes)
{
	for (unsigned i = 0; i < stream->rules->count && stream->cut_at == UINT64_MAX; i++) {
		struct rule *rule = &stream->rules->rules[i];

		if (!rule_applies(rule, RULE_WITHIN, stream->direction, *stream->role) ||
		    rule->message_kind != message_kind || (!message_kind && rule->frame_type != type))
			continue;
		if (rule->at > bytes) {
			rule->times_left = rule->until_end ? 0 : rule->times_left;
			continue;
		}
		stream->cut_at = stream->emitted + rule->at;
		stream->cut_by_fin = rule->at % 2;
		rule->at += rule->step;
		rule->times_left = rule->at <= rule->last;
		stream->rules->fired++;
	}
}

static void change_header(struct stream *stream, struct frame *frame)
{
	struct rule *rule = rule_for_frame(stream, RULE_FRAME, frame);

	if (rule) {
		if (rule_change_frame(rule, frame) != 0)
			tool_die(EXIT_CANNOT, "faultproxy: no such field of a frame: %s", rule->fields[0].name);
		rule_used(stream, rule);
		frame_encode(frame, stream->buffers->held);
	}
	rule = rule_for_frame(stream, RULE_RAW, frame);
	if (rule) {
		for (unsigned i = 0; i < rule->field_count; i++)
			stream->buffers->held[tool_number(rule->fields[i].name, "byte") % FRAME_BYTES] =
				(uint8_t)rule->fields[i].value;
		rule_used(stream, rule);
	}
}

/* Puts `len` bytes of `payload` behind a control header of its own, with the id of the one that is held. */
static void hold_control(struct stream *stream, const uint8_t *payload, size_t len, bool bad_crc)
{
	struct frame frame = {.type = FRAME_CONTROL,
			      .length = (uint32_t)len,
			      .id = load_le64(stream->buffers->held + HEADER_ID_OFFSET)};

	memmove(stream->buffers->held + FRAME_BYTES, payload, len);
	frame.checksum = crc32c(0, stream->buffers->held + FRAME_BYTES, len) ^ (bad_crc ? 1 : 0);
	frame_encode(&frame, stream->buffers->held);
	stream->held_bytes = FRAME_BYTES + len;
}

static void spoil_control(struct stream *stream, const struct rule *rule)
{
	struct message *message = tool_zalloc(sizeof(*message));
	uint8_t *bytes = tool_zalloc(MESSAGE_BYTES_MAX);
	int len = 256;

	message->kind = (enum message_kind)rule->as_kind;
	memset(bytes, 0xc3, 256);
	if (rule->fault == CONTROL_AS)
		len = codec_pack(message, bytes, MESSAGE_BYTES_MAX);
	if (len < 0)
		tool_die(EXIT_CANNOT, "faultproxy: an empty message of kind %u cannot be packed", rule->as_kind);
	if (rule->fault == CONTROL_BADCRC)
		hold_control(stream, stream->buffers->held + FRAME_BYTES, stream->held_bytes - FRAME_BYTES, true);
	else
		hold_control(stream, bytes, (size_t)len, false);
	free(bytes);
	free(message);
}

/* A whole control message is held: learn the connection's role from a HELLO, apply a rule. */
static void pass_control(struct stream *stream)
{
	struct message *message = tool_zalloc(sizeof(*message));
	const char *reason;

	if (codec_unpack(stream->buffers->held + FRAME_BYTES, stream->held_bytes - FRAME_BYTES, message, &reason) ==
	    0) {
		if (message->kind == MESSAGE_HELLO)
			*stream->role = message->hello.role;
		look_within(stream, 0, message->kind, stream->held_bytes);
		for (unsigned i = 0; i < stream->rules->count; i++) {
			struct rule *rule = &stream->rules->rules[i];

			if (rule_applies(rule, RULE_CONTROL, stream->direction, *stream->role) &&
			    rule->message_kind == (unsigned)message->kind) {
				spoil_control(stream, rule);
				rule_used(stream, rule);
				break;
			}
		}
	}
	free(message);
	emit(stream, stream->buffers->held, stream->held_bytes);
	stream->held_bytes = 0;
}

/* The header is whole. */
static void pass_header(struct stream *stream)
{
	struct frame frame;
	const char *reason;

	if (frame_decode(stream->buffers->held, &frame, &reason) != 0) {
		stream->is_foreign = true;
	} else if (frame.type == FRAME_CONTROL && frame.length <= MESSAGE_BYTES_MAX) {
		return;
	} else {
		stream->payload_left = frame_payload_bytes(&frame);
		change_header(stream, &frame);
		look_within(stream, frame.type & (uint8_t)~FRAME_REPLY, 0, FRAME_BYTES + stream->payload_left);
	}
	emit(stream, stream->buffers->held, stream->held_bytes);
	stream->held_bytes = 0;
}

/* How many more bytes the held header or message needs. */
static size_t held_wants(const struct stream *stream)
{
	if (stream->held_bytes < FRAME_BYTES)
		return FRAME_BYTES - stream->held_bytes;
	return FRAME_BYTES + load_le32(stream->buffers->held + HEADER_LENGTH_OFFSET) - stream->held_bytes;
}

static size_t hold(struct stream *stream, const uint8_t *bytes, size_t len)
{
	size_t wants = held_wants(stream);
	size_t take = len < wants ? len : wants;

	memcpy(stream->buffers->held + stream->held_bytes, bytes, take);
	stream->held_bytes += take;
	if (stream->held_bytes == FRAME_BYTES)
		pass_header(stream);
	if (stream->held_bytes > 0 && stream->held_bytes >= FRAME_BYTES && held_wants(stream) == 0)
		pass_control(stream);
	return take;
}

void stream_feed(struct stream *stream, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t take = len;

		if (stream->payload_left > 0 && !stream->is_foreign) {
			take = len < stream->payload_left ? len : (size_t)stream->payload_left;
			stream->payload_left -= take;
			emit(stream, bytes, take);
		} else if (stream->is_foreign) {
			emit(stream, bytes, take);
		} else {
			take = hold(stream, bytes, len);
		}
		bytes += take;
		len -= take;
	}
}

size_t stream_pending(const struct stream *stream, const uint8_t **ret_bytes)
{
	*ret_bytes = stream->buffers->out + stream->out_from;
	return stream->out_to - stream->out_from;
}

void stream_written(struct stream *stream, size_t len)
{
	stream->out_from += len;
	if (stream->out_from == stream->out_to)
		stream->out_from = stream->out_to = 0;
}

void rule_list_add(struct rule_list *list, const struct rule *rule)
{
	if (list->count == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 16;
		list->rules = tool_realloc(list->rules, list->cap * sizeof(*list->rules));
	}
	list->rules[list->count++] = *rule;
}

unsigned rule_list_pending(const struct rule_list *list)
{
	unsigned pending = 0;

	for (unsigned i = 0; i < list->count; i++)
		pending += list->rules[i].times_left;
	return pending;
}
