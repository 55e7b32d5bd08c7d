/* The status line: sums over all data threads, as key=value. Control thread. */
#ifndef REPLICA_SERVER_DRIVERS_STATS_H
#define REPLICA_SERVER_DRIVERS_STATS_H

#include "replica-server/drivers/server.h"

/* On SIGUSR1, after every thread has published, and at the end. */
void stats_log(struct server *server);

#endif
