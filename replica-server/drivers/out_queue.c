/* The send side of a connection: bytes in order, nothing about why. On a request's path last: reply() pushes, the
 * connection's turn gathers, one send carries all. */
#include "replica-server/drivers/out_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "common/crc32c.h"
#include "proto/codec.h"

int out_init(struct out_queue *out)
{
	*out = (struct out_queue){0};
	out->headers = calloc(OUT_ENTRIES, FRAME_BYTES);
	out->entries = calloc(OUT_ENTRIES, sizeof(*out->entries));
	out->messages = malloc(OUT_MESSAGE_BYTES);
	if (out->headers && out->entries && out->messages)
		return 0;
	out_fini(out);
	return -ENOMEM;
}

void out_fini(struct out_queue *out)
{
	free(out->headers);
	free(out->entries);
	free(out->messages);
	*out = (struct out_queue){0};
}

static uint32_t slot_of(const struct out_queue *out, uint32_t nth)
{
	return (out->head + nth) % OUT_ENTRIES;
}

static int push(struct out_queue *out, const struct frame *frame, struct out_entry entry)
{
	uint32_t slot = slot_of(out, out->count);

	if (out->count == OUT_ENTRIES)
		return -ENOSPC;
	frame_encode(frame, out->headers[slot]);
	out->entries[slot] = entry;
	out->count++;
	return 0;
}

int out_push(struct out_queue *out, const struct frame *frame, struct io_buf *payload)
{
	struct out_entry entry = {.buf = payload};

	if (payload) {
		entry.bytes = payload->data;
		entry.len = frame->length;
	}
	return push(out, frame, entry);
}

int out_push_message(struct out_queue *out, const struct message *message, uint64_t id)
{
	uint8_t *bytes = out->messages + out->messages_used;
	struct frame frame = {.type = FRAME_CONTROL, .id = id};
	int len = codec_pack(message, bytes, OUT_MESSAGE_BYTES - out->messages_used), error;

	if (len < 0)
		return len == -EMSGSIZE ? -ENOSPC : len;
	frame.length = (uint32_t)len;
	frame.checksum = crc32c(0, bytes, (size_t)len);
	error = push(out, &frame, (struct out_entry){.bytes = bytes, .len = (uint32_t)len});
	if (!error)
		out->messages_used += (uint32_t)len;
	return error;
}

struct gather {
	struct out_queue *out;
	uint64_t skip; /* of what follows, already sent */
	uint64_t bytes;
};

/* False: no iovec left. Neighbours in memory become one. */
static bool gather_piece(struct gather *gather, const uint8_t *bytes, uint64_t len)
{
	struct msghdr *header = &gather->out->header;
	struct iovec *last = header->msg_iovlen ? &header->msg_iov[header->msg_iovlen - 1] : NULL;

	if (gather->skip >= len) {
		gather->skip -= len;
		return true;
	}
	bytes += gather->skip;
	len -= gather->skip;
	gather->skip = 0;
	if (last && (const uint8_t *)last->iov_base + last->iov_len == bytes) {
		last->iov_len += len;
	} else if (header->msg_iovlen == OUT_IOVECS) {
		return false;
	} else {
		header->msg_iov[header->msg_iovlen++] = (struct iovec){(void *)(uintptr_t)bytes, len};
	}
	gather->bytes += len;
	return true;
}

uint64_t out_gather(struct out_queue *out)
{
	struct gather gather = {.out = out, .skip = out->head_sent};

	out->header = (struct msghdr){.msg_iov = out->iovecs};
	for (out->gathered = 0; out->gathered < out->count; out->gathered++) {
		uint32_t slot = slot_of(out, out->gathered);
		const struct out_entry *entry = &out->entries[slot];

		if (!gather_piece(&gather, out->headers[slot], FRAME_BYTES))
			break;
		if (entry->len && !gather_piece(&gather, entry->bytes, entry->len))
			break;
	}
	return gather.bytes;
}

void out_sent(struct out_queue *out, uint64_t bytes)
{
	out->head_sent += bytes;
}

bool out_pop_sent(struct out_queue *out, struct io_buf **ret_buf)
{
	uint64_t size;

	if (out->count == 0)
		return false;
	size = FRAME_BYTES + (uint64_t)out->entries[out->head].len;
	if (out->head_sent < size)
		return false;
	out->head_sent -= size;
	return out_pop(out, ret_buf);
}

bool out_pop(struct out_queue *out, struct io_buf **ret_buf)
{
	if (out->count == 0)
		return false;
	*ret_buf = out->entries[out->head].buf;
	out->head = (out->head + 1) % OUT_ENTRIES;
	out->count--;
	if (out->count == 0)
		out->messages_used = 0;
	return true;
}
