/* The control requests of a replica's lanes; replica.c's other half. Same thread. */
#ifndef REPLICA_SERVER_CORE_CONTROL_H
#define REPLICA_SERVER_CORE_CONTROL_H

#include "replica-server/core/replica.h"

/* PROMISE, ACCEPT, OPEN or JOIN: waits for its turn, is answered through the lane. */
void control_queue(struct replica_lane *lane, const struct message *message);
/* Answers PROBE and PROMISE. `lane` may be NULL: nobody to tell. */
void control_send_state(const struct replica *replica, struct replica_lane *lane);

/* Writes the alternate slot, then calls `next`. One at a time: only the running control request, or the end of the
 * replica's life, writes it. */
void replica_write_superblock(struct replica *replica, void (*next)(struct replica *replica, int error));

#endif
