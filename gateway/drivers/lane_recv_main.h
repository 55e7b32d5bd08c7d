/* Buffers of a MAIN lane's multishot receive. See lane.h for the rest. */
#ifndef GATEWAY_DRIVERS_LANE_RECV_MAIN_H
#define GATEWAY_DRIVERS_LANE_RECV_MAIN_H

#include "common/compiler.h"
#include "gateway/drivers/lane.h"

#define LANE_RECV_BUFFERS 8u
#define LANE_RECV_BUFFER_BYTES_MAX (64u * 1024u)
#define LANE_RECV_BUFFER_BYTES_MIN (16u * 1024u)
/* All lanes together; more legs get smaller buffers. */
#define LANE_RECV_BYTES_TOTAL (4u * 1024u * 1024u)

/* `ring` is a page, `buffers` LANE_RECV_BUFFERS of the peers' recv_buffer_bytes; both borrowed. The registration ends
 * with the ring. 0 or -errno. */
int lane_recv_main_init(struct peer_lane *lane, uint8_t *ring, uint8_t *buffers) must_check;

#endif
