/* Starts verifies and judges what they find. Knows no replica's state: the engine asks them. */
#include "tests/sim/verify.h"

#include "tests/sim/gateway.h"
#include "tests/sim/world.h"

void sim_verify_tick(struct world *world, struct gateway *gateway)
{
	const struct options *o = &world->options;
	const struct verify_order order = {.repair = o->verify_repair};
	struct verify_status status;
	struct err err;

	if (!o->verify_ms || world->now_ns - gateway->verify_ns < o->verify_ms * SIM_MS)
		return;
	engine_verify_status(gateway->engine, &status);
	if (status.state == VERIFY_RUNNING)
		return;
	gateway->verify_ns = world->now_ns;
	/* Refused while it is not serving. */
	if (engine_verify_start(gateway->engine, &order, &err) == 0)
		world->counters.verifies++;
}

void sim_verify_found(struct world *world, struct gateway *gateway, const struct engine_event *event)
{
	unsigned from, end = geometry_find(&world->geometry, event->set, event->offset, event->bytes, &from);

	for (unsigned i = from; i < end; i++) {
		if (world->history.blocks[world->geometry.in_set[event->set][i]].is_tainted)
			return;
	}
	world_violation(world, "a verify of gateway %u finds that replicas in sync differ: set %u, %s", gateway->index,
			event->set, event->text);
}
