/* The out queue of a lane: a ring of entries and a ring of bytes in which every piece is contiguous. Between peer.c,
 * which queues a request's frames, and lane_send.c, which turns the queue into one chain. Knows neither. */
#include "gateway/drivers/lane_queue.h"

#include <errno.h>
#include <stdlib.h>

int lane_queue_init(struct lane_queue *queue, uint32_t entries, uint32_t bytes)
{
	*queue = (struct lane_queue){.capacity = entries, .byte_capacity = bytes};
	queue->entries = calloc(entries, sizeof(*queue->entries));
	queue->bytes = malloc(bytes);
	if (queue->entries && queue->bytes)
		return 0;
	lane_queue_fini(queue);
	return -ENOMEM;
}

void lane_queue_fini(struct lane_queue *queue)
{
	free(queue->entries);
	free(queue->bytes);
	*queue = (struct lane_queue){0};
}

const struct out_entry *lane_queue_at(const struct lane_queue *queue, uint32_t index)
{
	assert(index < queue->count);
	return &queue->entries[(queue->head + index) % queue->capacity];
}

static struct out_entry *entry_push(struct lane_queue *queue, enum out_kind kind, uint16_t ref)
{
	struct out_entry *entry;

	if (queue->count == queue->capacity)
		return NULL;
	entry = &queue->entries[(queue->head + queue->count++) % queue->capacity];
	*entry = (struct out_entry){.kind = kind, .ref = ref};
	return entry;
}

bool lane_queue_add(struct lane_queue *queue, enum out_kind kind, uint16_t ref)
{
	return entry_push(queue, kind, ref) != NULL;
}

/* Where `len` contiguous bytes fit, or UINT32_MAX. Head and tail are equal only when the ring is empty. */
static uint32_t bytes_find(const struct lane_queue *queue, uint32_t len)
{
	if (queue->byte_tail >= queue->byte_head) {
		if (queue->byte_capacity - queue->byte_tail >= len)
			return queue->byte_tail;
		return len < queue->byte_head ? 0 : UINT32_MAX;
	}
	return queue->byte_head - queue->byte_tail > len ? queue->byte_tail : UINT32_MAX;
}

uint8_t *lane_queue_bytes(struct lane_queue *queue, uint32_t len)
{
	uint32_t start = bytes_find(queue, len);
	struct out_entry *last = NULL;

	if (start == UINT32_MAX)
		return NULL;
	if (queue->count > queue->sealed)
		last = &queue->entries[(queue->head + queue->count - 1) % queue->capacity];
	if (!last || last->kind != OUT_BYTES || last->start + last->bytes != start) {
		last = entry_push(queue, OUT_BYTES, 0);
		if (!last)
			return NULL;
		last->start = start;
	}
	last->bytes += len;
	queue->byte_tail = start + len;
	return queue->bytes + start;
}

void lane_queue_seal(struct lane_queue *queue, uint32_t count)
{
	assert(count <= queue->count);
	queue->sealed = count;
}

struct out_entry lane_queue_pop(struct lane_queue *queue)
{
	struct out_entry entry = *lane_queue_at(queue, 0);

	queue->head = (queue->head + 1) % queue->capacity;
	queue->count--;
	queue->sealed -= queue->sealed ? 1 : 0;
	if (entry.kind == OUT_BYTES)
		queue->byte_head = entry.start + entry.bytes;
	if (queue->byte_head == queue->byte_tail)
		queue->byte_head = queue->byte_tail = 0;
	return entry;
}
