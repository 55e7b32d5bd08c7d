/* A few buffers of our own for the rare request whose pages the driver could not put into the buffer table, and the
 * queue of those that wait for one. Data thread. No allocation after init. */
#ifndef GATEWAY_DRIVERS_UBLK_BOUNCE_H
#define GATEWAY_DRIVERS_UBLK_BOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/limits.h"
#include "common/list.h"

#define UBLK_BOUNCE_COUNT 2u

struct ublk_bounce {
	uint8_t *memory; /* UBLK_BOUNCE_COUNT times IO_BYTES_MAX, page aligned */
	uint8_t *free[UBLK_BOUNCE_COUNT];
	unsigned free_count;
	struct list waiters; /* the owner's nodes, oldest first */
};

/* 0 or -ENOMEM. */
int ublk_bounce_init(struct ublk_bounce *bounce) must_check;
/* Harmless on a zeroed one. */
void ublk_bounce_fini(struct ublk_bounce *bounce);

void ublk_bounce_wait(struct ublk_bounce *bounce, struct list *node);
/* Someone waits and a buffer is free. */
bool ublk_bounce_is_ready(const struct ublk_bounce *bounce);
/* Only when ready: takes the oldest waiter's node off the queue and lends it `*ret_buffer`. */
struct list *ublk_bounce_lend(struct ublk_bounce *bounce, uint8_t **ret_buffer);
void ublk_bounce_return(struct ublk_bounce *bounce, uint8_t *buffer);

#endif
