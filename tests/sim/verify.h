/* Verifies beside everything else that happens: what they compare, under the range lock and among replicas in sync,
 * must be equal, whatever was lost, evicted and taken back meanwhile (P10). */
#ifndef TESTS_SIM_VERIFY_H
#define TESTS_SIM_VERIFY_H

#include "gateway/core/engine.h"

struct world;
struct gateway;

/* With each tick of the gateway: begins one when it is time. */
void sim_verify_tick(struct world *world, struct gateway *gateway);
/* EVENT_DIFFERENCE: a violation, unless a disk has lied about a block in that range. */
void sim_verify_found(struct world *world, struct gateway *gateway, const struct engine_event *event);

#endif
