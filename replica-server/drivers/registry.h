/* Which replicas this server has: found at start, added by CREATE, taken out by DELETE. Control thread only. */
#ifndef REPLICA_SERVER_DRIVERS_REGISTRY_H
#define REPLICA_SERVER_DRIVERS_REGISTRY_H

#include "common/compiler.h"
#include "common/err.h"
#include "proto/message.h"
#include "replica-server/drivers/hosted.h"
#include "replica-server/drivers/server.h"

/* Opens and locks the data directories, sweeps what a crash left, opens every replica. A bad replica is kept with its
 * health and does not stop the others; a directory that is missing, foreign, in use or not writable is refused. */
int registry_open(struct server *server, struct err *err) must_check;
/* After the data threads have stopped. */
void registry_close(struct server *server);

/* The served one if there is one, else one that is not. NULL: none. */
struct hosted *registry_find(const struct server *server, const struct uuid *replica_uuid);
/* Makes the replica and gives it to its data thread. REFUSAL_NONE, or the reason and the sentence in `err`. */
enum refusal registry_create(struct server *server, const struct message_create *create, bool is_blank,
			     struct err *err);
/* The data thread has let go: removes the directory and frees `hosted`. */
int registry_remove(struct server *server, struct hosted *hosted, struct err *err) must_check;
/* Up to MESSAGE_LIST_MAX replicas by uuid, above `after`. */
void registry_list(const struct server *server, const struct uuid *after, struct message_listing *ret);

#endif
