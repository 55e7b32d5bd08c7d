/* 64 bytes on the wire <-> struct frame. Knows which field each type uses and how large it may be; no roles, no
 * sockets, no sessions: whether an epoch is current or a range exists is the receiver's to say.
 * First and last on every request's path: frame_encode() before the send, frame_decode() on what arrives. */
#include "proto/frame.h"

#include <errno.h>

#include "common/byteorder.h"
#include "common/crc32c.h"
#include "common/limits.h"

/* The wire's layout, for offsets only: bytes are loaded and stored one field at a time. */
struct wire_frame {
	uint16_t magic;
	uint8_t version;
	uint8_t type;
	uint16_t flags;
	uint16_t status;
	uint32_t epoch;
	uint32_t session;
	uint32_t gen;
	uint32_t length;
	uint64_t id;
	uint64_t offset;
	uint64_t wseq;
	uint64_t stable_upto;
	uint32_t checksum;
	uint32_t header_crc; /* of the 60 bytes before it */
};
#define AT(field) offsetof(struct wire_frame, field)

static_assert(sizeof(struct wire_frame) == FRAME_BYTES, "no padding");
static_assert(AT(type) == 3 && AT(flags) == 4 && AT(status) == 6, "first word");
static_assert(AT(epoch) == 8 && AT(session) == 12 && AT(gen) == 16 && AT(length) == 20, "counters");
static_assert(AT(id) == 24 && AT(offset) == 32 && AT(wseq) == 40 && AT(stable_upto) == 48, "wide fields");
static_assert(AT(checksum) == 56 && AT(header_crc) == 60, "checksums last");

/* Fields beyond type and header, as bits: what a type may carry. */
enum field {
	F_EPOCH = 1 << 0,
	F_GEN = 1 << 1,
	F_LENGTH = 1 << 2,
	F_ID = 1 << 3,
	F_OFFSET = 1 << 4,
	F_WSEQ = 1 << 5,
	F_STABLE = 1 << 6,
	F_CHECKSUM = 1 << 7,
	F_STATUS = 1 << 8,
};
#define F_SESSION F_EPOCH /* epoch and session go together */
#define F_REQUEST (F_SESSION | F_ID | F_STABLE)
#define F_CHANGE (F_REQUEST | F_GEN | F_LENGTH | F_OFFSET | F_WSEQ)
#define F_REPLY (F_SESSION | F_ID | F_STATUS)

struct rule {
	const char *name;
	uint16_t fields; /* enum field */
	uint16_t flags;	 /* enum frame_flag */
	uint32_t length_min, length_max;
};

static const struct rule requests[] = {
	[FRAME_CONTROL] = {"CONTROL", F_LENGTH | F_ID | F_CHECKSUM, 0, 1, MESSAGE_BYTES_MAX},
	[FRAME_BATCH] = {"BATCH", F_SESSION | F_STABLE | F_LENGTH, 0, FRAME_BYTES + 1, BATCH_BYTES_MAX},
	[FRAME_WRITE] = {"WRITE", F_CHANGE, FRAME_F_FUA | FRAME_F_STAMP | FRAME_F_COPY, 1, IO_BYTES_MAX},
	[FRAME_READ] = {"READ", F_REQUEST | F_LENGTH | F_OFFSET, 0, 1, IO_BYTES_MAX},
	[FRAME_FLUSH] = {"FLUSH", F_REQUEST, 0, 0, 0},
	[FRAME_DISCARD] = {"DISCARD", F_CHANGE, FRAME_F_FUA | FRAME_F_STAMP, 1, UINT32_MAX},
	[FRAME_ZEROES] = {"ZEROES", F_CHANGE, FRAME_F_FUA | FRAME_F_STAMP | FRAME_F_NO_UNMAP, 1, UINT32_MAX},
	[FRAME_PING] = {"PING", F_REQUEST, 0, 0, 0},
};

/* CONTROL goes both ways as it is, and a BATCH is answered write by write. */
static const struct rule replies[ARRAY_COUNT(requests)] = {
	[FRAME_WRITE] = {"WRITE reply", F_REPLY | F_CHECKSUM, 0, 0, 0},
	[FRAME_READ] = {"READ reply", F_REPLY | F_LENGTH, 0, 0, IO_BYTES_MAX},
	[FRAME_FLUSH] = {"FLUSH reply", F_REPLY, 0, 0, 0},
	[FRAME_DISCARD] = {"DISCARD reply", F_REPLY, 0, 0, 0},
	[FRAME_ZEROES] = {"ZEROES reply", F_REPLY, 0, 0, 0},
	[FRAME_PING] = {"PING reply", F_REPLY, 0, 0, 0},
};

static const struct rule *rule_of(uint8_t type)
{
	const struct rule *table = type & FRAME_REPLY ? replies : requests;
	uint8_t idx = type & (uint8_t)~FRAME_REPLY;

	return idx < ARRAY_COUNT(requests) && table[idx].name ? &table[idx] : NULL;
}

void frame_encode(const struct frame *frame, uint8_t out[FRAME_BYTES])
{
	store_le16(out + AT(magic), FRAME_MAGIC);
	out[AT(version)] = FRAME_VERSION;
	out[AT(type)] = frame->type;
	store_le16(out + AT(flags), frame->flags);
	store_le16(out + AT(status), frame->status);
	store_le32(out + AT(epoch), frame->epoch);
	store_le32(out + AT(session), frame->session);
	store_le32(out + AT(gen), frame->gen);
	store_le32(out + AT(length), frame->length);
	store_le64(out + AT(id), frame->id);
	store_le64(out + AT(offset), frame->offset);
	store_le64(out + AT(wseq), frame->wseq);
	store_le64(out + AT(stable_upto), frame->stable_upto);
	store_le32(out + AT(checksum), frame->checksum);
	store_le32(out + AT(header_crc), crc32c(0, out, AT(header_crc)));
}

static struct frame load(const uint8_t in[FRAME_BYTES])
{
	return (struct frame){
		.type = in[AT(type)],
		.flags = load_le16(in + AT(flags)),
		.status = load_le16(in + AT(status)),
		.epoch = load_le32(in + AT(epoch)),
		.session = load_le32(in + AT(session)),
		.gen = load_le32(in + AT(gen)),
		.length = load_le32(in + AT(length)),
		.id = load_le64(in + AT(id)),
		.offset = load_le64(in + AT(offset)),
		.wseq = load_le64(in + AT(wseq)),
		.stable_upto = load_le64(in + AT(stable_upto)),
		.checksum = load_le32(in + AT(checksum)),
	};
}

static uint16_t fields_set(const struct frame *frame)
{
	uint16_t fields = 0;

	fields |= frame->epoch || frame->session ? F_SESSION : 0;
	fields |= frame->gen ? F_GEN : 0;
	fields |= frame->length ? F_LENGTH : 0;
	fields |= frame->id ? F_ID : 0;
	fields |= frame->offset ? F_OFFSET : 0;
	fields |= frame->wseq ? F_WSEQ : 0;
	fields |= frame->stable_upto ? F_STABLE : 0;
	fields |= frame->checksum ? F_CHECKSUM : 0;
	fields |= frame->status ? F_STATUS : 0;
	return fields;
}

/* A copy is no client's write: it has no number, and it carries its region's stamp. */
static const char *misfit_of_copy(const struct frame *frame)
{
	if (frame->wseq != 0)
		return "a copy with a write number";
	return frame->flags & FRAME_F_STAMP ? NULL : "a copy without stamp";
}

/* What stands in `frame` against what its type may carry. NULL when it fits. */
static const char *misfit(const struct frame *frame, const struct rule *rule)
{
	uint16_t excess = fields_set(frame) & (uint16_t)~rule->fields;

	if (frame->flags & ~rule->flags)
		return "a flag that is unknown or not allowed for the type";
	if (excess & F_STATUS)
		return "a status in a request";
	if (excess & ~F_LENGTH)
		return "a field that the type does not use";
	if (frame->status >= WIRE_STATUS_COUNT)
		return "an unknown status";
	if (frame->length < rule->length_min || frame->length > rule->length_max)
		return "a length outside the type's limits";
	if (frame->status != WIRE_OK && frame->length > 0)
		return "payload with an error status";
	if (frame->offset > VOLUME_BYTES_MAX - frame->length)
		return "a range beyond the largest volume";
	if (frame->flags & FRAME_F_COPY)
		return misfit_of_copy(frame);
	if ((rule->fields & F_WSEQ) && frame->wseq == 0)
		return "write number 0";
	return NULL;
}

int frame_decode(const uint8_t in[FRAME_BYTES], struct frame *ret, const char **ret_reason)
{
	const struct rule *rule;
	struct frame frame;

	if (load_le16(in + AT(magic)) != FRAME_MAGIC) {
		*ret_reason = "not a frame (magic)";
		return -EBADMSG;
	}
	if (load_le32(in + AT(header_crc)) != crc32c(0, in, AT(header_crc))) {
		*ret_reason = "the header's checksum does not match";
		return -EBADMSG;
	}
	if (in[AT(version)] != FRAME_VERSION) {
		*ret_reason = "an unknown frame version";
		return -EPROTONOSUPPORT;
	}
	frame = load(in);
	rule = rule_of(frame.type);
	*ret_reason = rule ? misfit(&frame, rule) : "an unknown frame type";
	if (*ret_reason)
		return -EPROTO;
	*ret = frame;
	return 0;
}

uint32_t frame_payload_bytes(const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_CONTROL:
	case FRAME_BATCH:
	case FRAME_WRITE:
	case FRAME_READ | FRAME_REPLY:
		return frame->length;
	default:
		return 0;
	}
}

struct frame frame_reply(const struct frame *request, enum wire_status status)
{
	return (struct frame){
		.type = request->type | FRAME_REPLY,
		.status = (uint16_t)status,
		.epoch = request->epoch,
		.session = request->session,
		.id = request->id,
	};
}

const char *frame_type_name(uint8_t type)
{
	const struct rule *rule = rule_of(type);

	return rule ? rule->name : "?";
}
