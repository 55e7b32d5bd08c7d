/* The bounce buffer of a BULK lane, for requests whose memory an SQE cannot name. See lane.h for the rest. */
#ifndef GATEWAY_DRIVERS_LANE_RECV_BULK_H
#define GATEWAY_DRIVERS_LANE_RECV_BULK_H

#include "gateway/drivers/lane.h"

#define LANE_BOUNCE_BYTES (64u * 1024u)

#endif
