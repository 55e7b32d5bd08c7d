/* The replica's core beside the gateway's: no program has both, and each calls something of its own a lane. In the
 * simulator the replica's is struct replica_lane. Include this instead of replica-server/core headers. */
#ifndef TESTS_SIM_REPLICA_CORE_H
#define TESTS_SIM_REPLICA_CORE_H

#define lane replica_lane
#define LANE_MAIN REPLICA_LANE_MAIN
#define LANE_BULK REPLICA_LANE_BULK
#include "replica-server/core/lane.h"
#include "replica-server/core/replica.h"
#include "replica-server/core/session.h"
#undef lane
#undef LANE_MAIN
#undef LANE_BULK

#endif
