/* What waits to be sent on a lane, in order: plain bytes (frames, messages, bulk headers), batches, bulk payloads.
 *
 * Bytes are copied into a ring of their own and neighbours are merged, so a hundred queued frames are one entry.
 * Entries stay in the queue while they are being sent; lane_queue_pop() frees them. The sizes are taken at start for
 * everything the engine may have outstanding. Pure; no allocation after init.
 */
#ifndef GATEWAY_DRIVERS_LANE_QUEUE_H
#define GATEWAY_DRIVERS_LANE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

enum out_kind {
	OUT_BYTES,   /* `start`, `bytes` of the byte ring */
	OUT_BATCH,   /* batch `ref`, behind a BATCH header */
	OUT_PIECE,   /* batch `ref`, bare: a piece of a payload */
	OUT_PAYLOAD, /* bulk op `ref` */
};

struct out_entry {
	enum out_kind kind;
	uint16_t ref;
	uint32_t start, bytes;
};

struct lane_queue {
	struct out_entry *entries;
	uint32_t capacity, head, count;
	uint32_t sealed; /* entries at the head that are being sent: not to be merged with */
	uint8_t *bytes;
	uint32_t byte_capacity, byte_head, byte_tail;
};

/* 0 or -ENOMEM. */
int lane_queue_init(struct lane_queue *queue, uint32_t entries, uint32_t bytes) must_check;
void lane_queue_fini(struct lane_queue *queue);

/* `len` bytes to be filled in by the caller at once, in order behind what is queued. NULL: full. */
uint8_t *lane_queue_bytes(struct lane_queue *queue, uint32_t len) must_check;
/* false: full. */
bool lane_queue_add(struct lane_queue *queue, enum out_kind kind, uint16_t ref) must_check;
/* `index` from the head. */
const struct out_entry *lane_queue_at(const struct lane_queue *queue, uint32_t index);
void lane_queue_seal(struct lane_queue *queue, uint32_t count);
/* Removes the head. */
struct out_entry lane_queue_pop(struct lane_queue *queue);

#endif
