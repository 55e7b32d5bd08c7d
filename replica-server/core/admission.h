/* The checks of a data frame before anything is done for it. Pure; the replica's thread. */
#ifndef REPLICA_SERVER_CORE_ADMISSION_H
#define REPLICA_SERVER_CORE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/frame.h"
#include "proto/status.h"
#include "replica-server/core/lane.h"

/* What a lane may not carry at all: breaking it costs the connection. Static text, NULL: allowed. */
const char *admission_forbidden(const struct replica_lane *lane, const struct frame *frame);
/* Is this epoch and session the one that is open here? */
bool admission_is_current(const struct replica_lane *lane, uint32_t epoch, uint32_t session);
/* WIRE_OK, or why this request cannot be served: session, health, range. Of an allowed frame. */
enum wire_status admission_status(const struct replica_lane *lane, const struct frame *frame);

#endif
