/* What waits to be sent on one connection: reply headers side by side, payloads by reference, control messages copied.
 * Gathered into as few pieces as possible: a run of acknowledgements is one. Bounded; the owner stops reading requests
 * before it is full. One thread. */
#ifndef REPLICA_SERVER_DRIVERS_OUT_QUEUE_H
#define REPLICA_SERVER_DRIVERS_OUT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/compiler.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "replica-server/core/store.h"

#define OUT_ENTRIES 2048u
#define OUT_IOVECS 128u
#define OUT_MESSAGE_BYTES (128 * 1024u) /* control messages not yet sent: a burst of the longest answers */

struct out_entry {
	const uint8_t *bytes; /* after the header; NULL: nothing */
	uint32_t len;
	struct io_buf *buf; /* to be put back when sent; NULL for messages */
};

struct out_queue {
	uint8_t (*headers)[FRAME_BYTES];
	struct out_entry *entries;
	uint32_t head, count;
	uint64_t head_sent; /* bytes of the first entry already sent */
	uint8_t *messages;
	uint32_t messages_used;
	struct iovec iovecs[OUT_IOVECS];
	struct msghdr header;
	uint32_t gathered; /* entries that the last out_gather() took whole */
};

int out_init(struct out_queue *out) must_check;
void out_fini(struct out_queue *out);

static inline uint32_t out_room(const struct out_queue *out)
{
	return OUT_ENTRIES - out->count;
}

/* -ENOSPC when full. `payload` (may be NULL) is referenced until out_pop() lends it back. */
int out_push(struct out_queue *out, const struct frame *frame, struct io_buf *payload) must_check;
/* -ENOSPC, or codec_pack()'s error. `id` is echoed in the frame. */
int out_push_message(struct out_queue *out, const struct message *message, uint64_t id) must_check;

/* Fills `header` with what comes next; returns the bytes in it, 0: nothing to send. Stays valid until out_sent(). */
uint64_t out_gather(struct out_queue *out);
/* `bytes` of it have left. */
void out_sent(struct out_queue *out, uint64_t bytes);
/* The first entry when it has wholly left: removes it. False: none. `*ret_buf` may be NULL. */
bool out_pop_sent(struct out_queue *out, struct io_buf **ret_buf);
/* Removes the first entry, sent or not. False: empty. */
bool out_pop(struct out_queue *out, struct io_buf **ret_buf);

#endif
