/* A replica that this server has, served or not: what the control thread and the replica's data thread share.
 * Made and freed by the control thread; between "added" and "removed" the part marked so belongs to the data thread. */
#ifndef REPLICA_SERVER_DRIVERS_HOSTED_H
#define REPLICA_SERVER_DRIVERS_HOSTED_H

#include <pthread.h>
#include <stdbool.h>

#include "common/list.h"
#include "replica-server/core/replica.h"
#include "replica-server/drivers/replica_dir.h"
#include "replica-server/drivers/store_file.h"

#define HOSTED_MAX 1024u /* replicas of one server */

struct hosted {
	struct list node;		     /* the server's list; control thread */
	char name[REPLICA_DIR_NAME_MAX + 1]; /* of its directory */
	unsigned root_idx;
	bool delete_asked;
	bool is_served; /* else info.health says why not; only `info` means something then */
	unsigned thread_idx;
	struct replica_identity identity;
	struct replica_dir dir;
	/* The data thread's. */
	struct store_file file;
	struct replica replica;
	struct list thread_node;
	bool is_removing;
	/* Published by the data thread, read by the control thread. */
	pthread_mutex_t lock;
	struct replica_info info;
};

#endif
