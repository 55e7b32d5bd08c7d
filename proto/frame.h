/* The data frame: the 64-byte header before everything that travels between gateway and replica-server.
 *
 * Little endian, no padding, own CRC32C (RFC 3720 polynomial) in the last four bytes. docs/protocol.md has the
 * byte table; tests/unit/test_frame.c has the golden bytes. This file knows the wire and nothing else:
 * no sockets, no roles. Every function here is pure and may be called from any thread.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "proto/status.h"

#define FRAME_BYTES 64u
#define FRAME_MAGIC 0x4b4cu /* "LK" on the wire */
#define FRAME_VERSION 1u

enum frame_type {
	FRAME_CONTROL = 1,  /* payload: one protobuf message (proto/message.h); either direction */
	FRAME_BATCH = 2,    /* `length` bytes of WRITE frames with payloads follow, all of this frame's session */
	FRAME_WRITE = 3,    /* payload: `length` bytes */
	FRAME_READ = 4,	    /* no payload in the request */
	FRAME_FLUSH = 5,    /* everything received before it in the session becomes durable, then it is answered */
	FRAME_DISCARD = 6,  /* `length` bytes at `offset` read as zeros afterwards; space given back where aligned */
	FRAME_ZEROES = 7,   /* as DISCARD; FRAME_F_NO_UNMAP: keep the space */
	FRAME_PING = 8,	    /* answered at once, in arrival order of the connection */
	FRAME_REPLY = 0x80, /* or-ed onto the request's type */
};

enum frame_flag {
	FRAME_F_FUA = 1 << 0,	   /* WRITE, ZEROES, DISCARD: durable before the answer */
	FRAME_F_NO_UNMAP = 1 << 1, /* ZEROES: allocate instead of punching */
	FRAME_F_STAMP = 1 << 2,	   /* the region's stamp becomes `gen`, durably, before the data is written (R4) */
	FRAME_F_COPY = 1 << 3, /* WRITE by a resync: wseq 0, not a client's write, never in the list; with STAMP (R7) */
};
#define FRAME_F_KNOWN (FRAME_F_FUA | FRAME_F_NO_UNMAP | FRAME_F_STAMP | FRAME_F_COPY)

/* Decoded header. One struct for all types: a field a type does not use is 0 on the wire and refused otherwise. */
struct frame {
	uint8_t type;	  /* enum frame_type, replies with FRAME_REPLY */
	uint16_t flags;	  /* enum frame_flag */
	uint16_t status;  /* replies: enum wire_status; requests: 0 */
	uint32_t epoch;	  /* attachment that speaks; in a reply: of the session that answers */
	uint32_t session; /* session number under the epoch; 0 in a WRITE inside a BATCH (the batch's applies) */
	uint32_t gen;	  /* config gen to stamp with */
	uint32_t length;  /* bytes of the operation. WRITE, READ reply, CONTROL, BATCH: also bytes that follow */
	uint64_t id;	  /* chosen by the sender of the request, echoed in the reply, opaque to the peer */
	uint64_t offset;  /* bytes from the start of the set */
	uint64_t wseq;	  /* WRITE, DISCARD, ZEROES: number of the write in (set, epoch), from 1, no gaps; COPY: 0 */
	uint64_t stable_upto; /* every wseq up to this one is durable on all required members (R5) */
	uint32_t checksum; /* WRITE reply: payload_checksum() of what is stored; CONTROL: CRC32C of the payload; else 0
			    */
};

/* Which fields each type uses (docs/protocol.md has the same table):
 *	CONTROL		length, id, checksum				length 1..MESSAGE_BYTES_MAX
 *	BATCH		epoch, session, length, stable_upto	length 65..BATCH_BYTES_MAX
 *	WRITE		epoch, session, gen, length, id, offset, wseq, stable_upto; FUA, STAMP, COPY
 *length 1..IO_BYTES_MAX READ		epoch, session, length, id, offset, stable_upto
 *length 1..IO_BYTES_MAX DISCARD, ZEROES	as WRITE (ZEROES: NO_UNMAP too)					length
 *from 1 FLUSH, PING	epoch, session, id, stable_upto every reply	status, epoch, session, id; WRITE: checksum;
 *READ: length 0..IO_BYTES_MAX, 0 with an error status wseq is 0 in a WRITE with COPY, which has STAMP too, and nowhere
 *else. There is no reply to CONTROL (it is answered by another CONTROL) nor to BATCH (its writes are answered). */

/* Writes 64 bytes to `out`. Cannot fail: the caller owns the meaning of the fields. */
void frame_encode(const struct frame *frame, uint8_t out[FRAME_BYTES]);

/* Reads 64 bytes. 0, or a negative error and `*ret_reason` (static text, one per refusal):
 * -EBADMSG bad magic or header checksum (the stream is lost), -EPROTONOSUPPORT version,
 * -EPROTO unknown type, flag or status, a status in a request, a field the type does not use, a length outside the
 * type's limits, payload with an error status, a range beyond VOLUME_BYTES_MAX, write number 0, a copy with
 * one or without STAMP. `*ret` is untouched on error. */
int frame_decode(const uint8_t in[FRAME_BYTES], struct frame *ret, const char **ret_reason) must_check;

/* Bytes that follow this header on the wire. */
uint32_t frame_payload_bytes(const struct frame *frame);

/* The reply to `request`: type, status, epoch, session and id; the rest is 0. Pure. */
struct frame frame_reply(const struct frame *request, enum wire_status status);

/* Static text; "?" for an unknown type. */
const char *frame_type_name(uint8_t type);

#endif
