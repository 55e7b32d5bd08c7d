/* The control requests of a replica's lanes; replica.c's other half. Same thread. */
#ifndef REPLICA_SERVER_CORE_CONTROL_H
#define REPLICA_SERVER_CORE_CONTROL_H

#include "replica-server/core/replica.h"

/* PROMISE, ACCEPT, OPEN, JOIN or SEED: waits for its turn, is answered through the lane. */
void control_message(struct replica_lane *lane, const struct message *message);
/* replica->mark is due: its superblock write comes before the next request. */
void control_mark(struct replica *replica);
/* The answers that control_message() found owed are given: it may wait among the other lanes'. */
void control_queue(struct replica_lane *lane);
/* May this kind of request under this ballot be served here? REFUSAL_NONE, or the reason and a sentence (lent). */
enum refusal control_judge(const struct replica *replica, enum message_kind kind, const struct ballot *ballot,
			   const char **ret_why);
/* Answers PROBE and PROMISE. `lane` may be NULL: nobody to tell. */
void control_send_state(struct replica *replica, struct replica_lane *lane);

/* Writes the alternate slot, then calls `next`. One at a time: only the running control request, or the end of the
 * replica's life, writes it. */
void replica_write_superblock(struct replica *replica, void (*next)(struct replica *replica, int error));

#endif
