/* What must hold of the frames a gateway sends: numbers without gaps, one range per number, and no number called stable
 * before every replica has it on its disk (R5). */
#include "tests/sim/world.h"

static uint64_t blocks_of(struct world *world, unsigned set, const struct frame *frame)
{
	unsigned from, to = geometry_find(&world->geometry, set, frame->offset, frame->length, &from);
	uint64_t blocks = 0;

	for (unsigned i = from; i < to; i++)
		blocks |= 1ull << world->geometry.in_set[set][i];
	return blocks;
}

void gateway_check_change(struct world *world, struct gateway *gateway, unsigned leg, const struct frame *frame,
			  unsigned slot)
{
	unsigned set = leg / world->geometry.voters;
	struct wseq_range *range = &gateway->wseqs[set][frame->wseq % SIM_WSEQ_MAX];
	struct app_slot *app = &gateway->device.slots[slot % SIM_SLOTS_MAX];
	uint64_t blocks = blocks_of(world, set, frame);

	if (frame->flags & FRAME_F_COPY) {
		if (slot < engine_resync_slot(gateway->engine, 0))
			world_violation(world, "gateway %u: slot %u sends a copy", gateway->index, slot);
		return;
	}
	if (frame->wseq > gateway->last_wseq[set] + 1)
		world_violation(world, "gateway %u: write number %llu follows %llu", gateway->index,
				(unsigned long long)frame->wseq, (unsigned long long)gateway->last_wseq[set]);
	if (frame->wseq == gateway->last_wseq[set] + 1) {
		gateway->last_wseq[set]++;
		*range = (struct wseq_range){.blocks = blocks, .epoch = frame->epoch};
	}
	range->epoch = frame->epoch; /* sent again after an attach in place */
	if (range->blocks != blocks)
		world_violation(world, "gateway %u: write number %llu changes its range", gateway->index,
				(unsigned long long)frame->wseq);
	if (slot >= SIM_SLOTS_MAX || !app->is_active || (blocks & ~app->blocks))
		world_violation(world, "gateway %u: a write of slot %u that nobody asked for", gateway->index, slot);
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		if (!(blocks & 1ull << i))
			continue;
		app->seq[i] = disk_seq(frame->epoch, frame->wseq);
		history_sent(world, i, app->seq[i], app->write_no);
	}
}

static void check_durable(struct world *world, struct gateway *gateway, unsigned set, uint64_t wseq)
{
	const struct wseq_range *range = &gateway->wseqs[set][wseq % SIM_WSEQ_MAX];
	uint64_t seq = disk_seq(range->epoch, wseq);
	uint8_t in = truth_in_sync(world, gateway, set);

	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		if (!(range->blocks & 1ull << i) || !history_keeps(world, i, seq))
			continue;
		for (unsigned j = 0; j < world->geometry.replicas; j++) {
			struct server *server = &world->servers[set * world->geometry.voters + j];

			if (in & 1u << j && !disk_holds(world, server, i, seq, true))
				world_violation(
					world,
					"gateway %u calls write %llu stable; server %u has not block %u of it on disk",
					gateway->index, (unsigned long long)wseq, server->index, i);
		}
	}
}

void gateway_check_stable(struct world *world, struct gateway *gateway, unsigned leg, uint64_t stable_upto)
{
	unsigned set = leg / world->geometry.voters;

	if (stable_upto > gateway->last_wseq[set])
		world_violation(world, "gateway %u calls write %llu stable, which was never sent", gateway->index,
				(unsigned long long)stable_upto);
	while (gateway->stable_upto[set] < stable_upto)
		check_durable(world, gateway, set, ++gateway->stable_upto[set]);
}
