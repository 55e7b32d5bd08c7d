/* One direction of one connection through the faultproxy: bytes in, faults applied, bytes out.
 * Follows the frames (headers are held until whole, control messages too), so that rules can name them; a stream that
 * is not Lockstep's is passed on as it comes. No sockets here: the caller reads into it and writes out of it. */
#ifndef TESTS_NATIVE_PROXY_STREAM_H
#define TESTS_NATIVE_PROXY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/frame.h"
#include "tests/native/lib/proxy_rule.h"

#define STREAM_BUFFER_BYTES (4u << 20)
#define STREAM_READ_BYTES (64u << 10)

struct rule_list {
	struct rule *rules;
	unsigned count, cap;
	uint64_t fired;
};

struct stream_buffers {
	uint8_t held[FRAME_BYTES + MESSAGE_BYTES_MAX];
	uint8_t out[STREAM_BUFFER_BYTES];
};

struct stream {
	struct stream_buffers *buffers;
	struct rule_list *rules;
	enum direction direction;
	unsigned *role; /* of the connection, enum hello_role; 0 until its HELLO has passed */
	size_t held_bytes;
	uint64_t payload_left;	 /* of a frame whose header has passed, to be passed on as it comes */
	bool is_foreign;	 /* not frames: pass everything */
	uint64_t emitted;	 /* bytes put out so far: what CUT and FLIP count */
	uint64_t cut_at;	 /* WITHIN, of `emitted`; UINT64_MAX: no such cut ahead */
	bool is_cut, cut_by_fin; /* nothing more is put out */
	size_t out_from, out_to;
};

/* For a new connection in a zeroed `stream`, or in one that had a connection before: its buffers serve again, since to
 * make and zero megabytes for each of thousands of short connections takes longer than their peers wait. */
void stream_init(struct stream *stream, struct rule_list *rules, enum direction direction, unsigned *role);
void stream_fini(struct stream *stream);

/* Room for another STREAM_READ_BYTES with all that may be held? */
bool stream_has_room(const struct stream *stream);
/* Bytes from one side. */
void stream_feed(struct stream *stream, const uint8_t *bytes, size_t len);
/* What waits to be written to the other side; stream_written() after some of it was. */
size_t stream_pending(const struct stream *stream, const uint8_t **ret_bytes);
void stream_written(struct stream *stream, size_t len);

void rule_list_add(struct rule_list *list, const struct rule *rule);
unsigned rule_list_pending(const struct rule_list *list);

#endif
