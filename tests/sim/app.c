/* The applications of one device: what they ask for, what memory it uses, and what they make of the answers. */
#include "tests/sim/app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#define PAYLOADS (3 * SIM_SLOTS_MAX)

static_assert(PAYLOADS <= SIM_PAYLOADS_MAX, "payloads fit");

void app_init(struct device *device)
{
	device->memory = calloc(SIM_PAYLOADS_MAX, SIM_PAYLOAD_BYTES);
	if (!device->memory)
		abort();
	for (unsigned i = 0; i < SIM_PAYLOADS_MAX; i++)
		device->payloads[i].bytes = device->memory + (size_t)i * SIM_PAYLOAD_BYTES;
}

void app_fini(struct device *device)
{
	free(device->memory);
}

void app_reset(struct world *world, struct gateway *gateway)
{
	struct device *device = &gateway->device;

	(void)world;
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++)
		device->slots[i].is_active = device->slots[i].is_given = false;
	for (unsigned i = 0; i < SIM_PAYLOADS_MAX; i++) {
		device->payloads[i].is_used = device->payloads[i].is_live = false;
		device->payloads[i].refs = 0;
	}
	device->active = 0;
	device->is_superseded = false;
}

static void post_next(struct world *world, struct gateway *gateway, unsigned slot, uint64_t delay_ns)
{
	/* The application lives as long as its host: no process to die with. */
	world_post(world, delay_ns, (struct event){.kind = EVENT_APP, .a = gateway->index, .b = slot});
}

void app_begin(struct world *world, struct gateway *gateway)
{
	gateway->device.is_superseded = false;
	post_next(world, gateway, SIM_SLOTS_MAX, 0);
	for (unsigned i = 0; i < world->options.queue_depth; i++)
		post_next(world, gateway, i, world_delay(world, world->options.think_us));
}

bool app_is_idle(const struct gateway *gateway)
{
	return gateway->device.active == 0;
}

/* ---- memory ---- */

struct payload *app_payload(struct gateway *gateway, unsigned payload)
{
	assert(payload < SIM_PAYLOADS_MAX);
	return &gateway->device.payloads[payload];
}

static unsigned take_payload(struct gateway *gateway, unsigned slot)
{
	struct device *device = &gateway->device;

	for (unsigned i = 0; i < PAYLOADS; i++) {
		struct payload *payload = &device->payloads[i];

		if (payload->is_used)
			continue;
		payload->is_used = payload->is_live = true;
		payload->refs = 0;
		payload->slot = slot;
		payload->serial = ++device->serial;
		return i;
	}
	return SIM_NO_PAYLOAD;
}

static void free_if_unused(struct payload *payload)
{
	if (!payload->is_live && payload->refs == 0)
		payload->is_used = false;
}

void app_payload_put(struct world *world, struct gateway *gateway, unsigned index)
{
	struct payload *payload = app_payload(gateway, index);

	(void)world;
	assert(payload->refs > 0);
	payload->refs--;
	free_if_unused(payload);
}

/* The request is completed: its memory is the application's again, who uses it for something else at once. */
static void give_back(struct world *world, struct gateway *gateway, struct app_slot *slot)
{
	struct payload *payload;

	if (slot->payload == SIM_NO_PAYLOAD)
		return;
	payload = app_payload(gateway, slot->payload);
	if (payload->refs && !world->options.pinned && gateway->process.is_up)
		world_violation(world, "gateway %u: a write completes while %u sends still use its memory",
				gateway->index, payload->refs);
	payload->is_live = false;
	memset(payload->bytes, SIM_POISON, (size_t)slot->count * world->geometry.block_bytes);
	free_if_unused(payload);
}

void app_fill(struct world *world, struct gateway *gateway, unsigned index, uint32_t at, const uint8_t *bytes,
	      uint32_t length)
{
	struct app_slot *slot = &gateway->device.slots[index % SIM_SLOTS_MAX];

	if (index >= SIM_SLOTS_MAX || !slot->is_active || slot->request.op != REQUEST_READ ||
	    at + (uint64_t)length > slot->request.length)
		world_violation(world, "gateway %u: bytes are written to memory that slot %u does not have",
				gateway->index, index);
	memcpy(app_payload(gateway, slot->payload)->bytes + at, bytes, length);
}

static void post_scribble(struct world *world, struct gateway *gateway, unsigned payload)
{
	world_post(world, world_delay(world, world->options.net_us),
		   (struct event){.kind = EVENT_SCRIBBLE,
				  .process = PROCESS_GATEWAY(gateway->index),
				  .a = payload,
				  .serial = app_payload(gateway, payload)->serial});
}

void app_scribble(struct world *world, struct gateway *gateway, unsigned index, uint64_t serial)
{
	struct payload *payload = app_payload(gateway, index);
	struct app_slot *slot = &gateway->device.slots[payload->slot];
	struct write_info *write;
	unsigned n;

	if (!payload->is_live || payload->serial != serial)
		return;
	write = &world->history.writes[slot->write_no];
	n = (unsigned)random_below(&world->random, slot->count);
	history_fill(world, slot->write_no, write->variants++, slot->first + n,
		     payload->bytes + (size_t)n * world->geometry.block_bytes);
	slot->scribbles++;
	world->counters.scribbles++;
	TRACE(world, "the application changes block % of write % in flight", slot->first + n, slot->write_no);
	if (write->variants < 200 && random_below(&world->random, 3))
		post_scribble(world, gateway, index);
}

/* ---- requests ---- */

static enum request_op pick_op(struct world *world)
{
	const struct options *o = &world->options;
	uint64_t dice =
		random_below(&world->random, (uint64_t)o->reads + o->writes + o->flushes + o->discards + o->zeroes);

	if (dice < o->reads)
		return REQUEST_READ;
	if (dice < (uint64_t)o->reads + o->writes)
		return REQUEST_WRITE;
	if (dice < (uint64_t)o->reads + o->writes + o->flushes)
		return REQUEST_FLUSH;
	return dice < (uint64_t)o->reads + o->writes + o->flushes + o->discards ? REQUEST_DISCARD : REQUEST_ZEROES;
}

static void pick_range(struct world *world, struct app_slot *slot)
{
	const struct geometry *g = &world->geometry;
	bool is_hot = random_chance(&world->random, world->options.hot_pm);
	unsigned cluster = is_hot ? 0 : (unsigned)random_below(&world->random, world->options.clusters);
	unsigned most = (unsigned)random_range(&world->random, 1, SIM_CLUSTER_BLOCKS), in_cluster, last;

	in_cluster = (unsigned)random_below(&world->random, SIM_CLUSTER_BLOCKS);
	slot->count = 1 + (unsigned)random_below(&world->random, most);
	if (slot->count > SIM_CLUSTER_BLOCKS - in_cluster)
		slot->count = SIM_CLUSTER_BLOCKS - in_cluster;
	slot->first = cluster * SIM_CLUSTER_BLOCKS + in_cluster;
	last = slot->first + slot->count - 1;
	if ((slot->request.op == REQUEST_DISCARD || slot->request.op == REQUEST_ZEROES) &&
	    random_below(&world->random, 8) == 0)
		last = (unsigned)random_range(&world->random, last, g->blocks - 1);
	slot->request.offset = g->offset[slot->first];
	slot->request.length = g->offset[last] + g->block_bytes - g->offset[slot->first];
	slot->blocks = 0;
	for (unsigned i = slot->first; i <= last; i++)
		slot->blocks |= 1ull << i;
}

static bool is_change(const struct app_slot *slot)
{
	return slot->request.op != REQUEST_READ && slot->request.op != REQUEST_FLUSH;
}

/* False: no memory for it now. */
static bool prepare_memory(struct world *world, struct gateway *gateway, struct app_slot *slot, unsigned index)
{
	uint32_t block_bytes = world->geometry.block_bytes;
	uint8_t *bytes;

	slot->payload = SIM_NO_PAYLOAD;
	if (slot->request.op != REQUEST_READ && slot->request.op != REQUEST_WRITE)
		return true;
	slot->payload = take_payload(gateway, index);
	if (slot->payload == SIM_NO_PAYLOAD)
		return false;
	bytes = app_payload(gateway, slot->payload)->bytes;
	memset(bytes, SIM_POISON, (size_t)slot->count * block_bytes);
	for (unsigned i = 0; slot->request.op == REQUEST_WRITE && i < slot->count; i++)
		history_fill(world, slot->write_no, 0, slot->first + i, bytes + (size_t)i * block_bytes);
	return true;
}

static void give(struct world *world, struct gateway *gateway, unsigned index)
{
	struct app_slot *slot = &gateway->device.slots[index];

	if (!slot->is_active || slot->is_given || !gateway->engine || gateway->process.is_paused)
		return;
	if (!gateway->is_attached && !world->options.reconcile)
		return;
	slot->is_given = true;
	memset(slot->seq, 0, sizeof(slot->seq[0]) * world->geometry.blocks);
	engine_set_now(gateway->engine, world->now_ns);
	engine_submit(gateway->engine, &slot->request);
}

/* Changes first, in any order, and reads when all of them are there (R11). */
void app_give_all(struct world *world, struct gateway *gateway)
{
	unsigned from = (unsigned)random_below(&world->random, SIM_SLOTS_MAX);

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < SIM_SLOTS_MAX; i++) {
			unsigned index = (from + i) % SIM_SLOTS_MAX;

			if (is_change(&gateway->device.slots[index]) == (pass == 0))
				give(world, gateway, index);
		}
	}
}

static void begin(struct world *world, struct gateway *gateway, unsigned index)
{
	struct app_slot *slot = &gateway->device.slots[index];

	slot->is_active = true;
	slot->is_given = slot->is_orphan = false;
	slot->scribbles = 0;
	gateway->device.active++;
	world->counters.ops++;
	slot->start = ++world->tick;
	TRACE(world, "gateway % slot %: op % flags % of block % to write %", gateway->index, index, slot->request.op,
	      slot->request.flags, slot->first, slot->write_no);
	if (slot->request.op == REQUEST_FLUSH)
		memcpy(slot->floor, world->history.completed_seq, sizeof(slot->floor));
	if (slot->request.op == REQUEST_WRITE && random_chance(&world->random, world->options.scribble_pm))
		post_scribble(world, gateway, slot->payload);
	app_give_all(world, gateway);
}

void app_next(struct world *world, struct gateway *gateway, unsigned index)
{
	struct app_slot *slot = &gateway->device.slots[index % SIM_SLOTS_MAX];

	if (index == SIM_SLOTS_MAX) {
		app_give_all(world, gateway);
		return;
	}
	if (slot->is_active || world->ops_left == 0 || world->phase > PHASE_CALM)
		return;
	if (!gateway->is_attached || gateway->process.is_paused || world->history.write_count >= SIM_WRITES_MAX - 1) {
		post_next(world, gateway, index, world_delay(world, 2000));
		return;
	}
	slot->request = (struct request){.slot = index, .op = pick_op(world)};
	slot->blocks = 0;
	slot->first = slot->count = 0;
	slot->write_no = 0;
	if (slot->request.op != REQUEST_FLUSH)
		pick_range(world, slot);
	if (is_change(slot)) {
		slot->request.flags = random_chance(&world->random, world->options.fua_pm) ? REQUEST_F_FUA : 0;
		slot->request.flags |=
			slot->request.op == REQUEST_ZEROES && random_below(&world->random, 2) ? REQUEST_F_NO_UNMAP : 0;
		slot->write_no =
			history_write_begins(world, gateway->index, slot->blocks, slot->request.op != REQUEST_WRITE);
	}
	if (!prepare_memory(world, gateway, slot, index)) {
		if (is_change(slot))
			world->history.write_count--; /* it was the last one, and nobody has seen it */
		post_next(world, gateway, index, world_delay(world, 500));
		return;
	}
	world->ops_left--;
	begin(world, gateway, index);
}

void app_audit(struct world *world, struct gateway *gateway)
{
	for (unsigned i = 0; i < world->geometry.blocks / SIM_CLUSTER_BLOCKS; i++) {
		unsigned index = i % world->options.queue_depth;
		struct app_slot *slot = &gateway->device.slots[index];

		if (slot->is_active)
			continue; /* a shallow queue reads some of them */
		slot->request = (struct request){.slot = index, .op = REQUEST_READ};
		slot->first = i * SIM_CLUSTER_BLOCKS;
		slot->count = SIM_CLUSTER_BLOCKS;
		slot->blocks = 0xffull << slot->first;
		slot->write_no = 0;
		slot->request.offset = world->geometry.offset[slot->first];
		slot->request.length = (uint64_t)slot->count * world->geometry.block_bytes;
		if (prepare_memory(world, gateway, slot, index))
			begin(world, gateway, index);
	}
}

/* ---- answers ---- */

static struct server *server_of(struct world *world, unsigned block, unsigned replica)
{
	return &world->servers[world->geometry.set_of[block] * world->geometry.replicas + replica];
}

/* Of a write that was repeated because its buffer changed, a power loss may leave the first version. */
static bool replicas_agree(struct world *world, unsigned block)
{
	const uint8_t *first = disk_block_bytes(world, &server_of(world, block, 0)->disk, block);

	for (unsigned i = 1; i < world->geometry.replicas; i++) {
		if (memcmp(first, disk_block_bytes(world, &server_of(world, block, i)->disk, block),
			   world->geometry.block_bytes) != 0)
			return false;
	}
	return true;
}

/* P1: on every replica, and durable there if it was FUA. */
/* A replica may lose what it acknowledged, and the gateway not know it yet; but not once it serves there again. */
static void check_kept(struct world *world, struct gateway *gateway, struct server *server, unsigned block,
		       uint64_t seq)
{
	const struct disk_block *it = &server->disk.blocks[block];

	if (it->cache_seq >= seq)
		return;
	if (server->process.is_up && gateway->status.legs[server->index].incarnation == server->identity.incarnation)
		world_violation(world,
				"a write completes, but server %u lost block %u of it and was opened again since",
				server->index, block);
	server->lost_epoch = (uint32_t)(seq >> 32);
}

static void check_change(struct world *world, struct gateway *gateway, struct app_slot *slot, unsigned block)
{
	bool is_everywhere = true, is_fua = slot->request.flags & REQUEST_F_FUA;

	if (slot->seq[block] == 0)
		world_violation(world, "write %u completes, and block %u of it was never sent", slot->write_no, block);
	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		struct server *server = server_of(world, block, i);
		const struct disk_block *it = &server->disk.blocks[block];

		if (it->applied_seq < slot->seq[block])
			world_violation(world, "write %u completes, but server %u has not block %u of it",
					slot->write_no, server->index, block);
		check_kept(world, gateway, server, block, slot->seq[block]);
		if (is_fua && it->durable_seq < slot->seq[block] && history_keeps(world, block, slot->seq[block]))
			world_violation(world, "FUA write %u completes, but block %u is not on the disk of server %u",
					slot->write_no, block, server->index);
		is_everywhere &= it->cache_seq >= slot->seq[block] && !it->is_forgotten && !it->is_cut_off;
	}
	if (world->history.completed_seq[block] < slot->seq[block])
		world->history.completed_seq[block] = slot->seq[block];
	if (is_everywhere && replicas_agree(world, block))
		history_heal(world, block, slot->write_no, slot->seq[block]);
	else if (!is_everywhere)
		history_taint(world, block); /* a replica lost it between its acknowledgement and now */
}

static void check_flush(struct world *world, const struct app_slot *slot)
{
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		for (unsigned j = 0; j < world->geometry.replicas; j++) {
			const struct server *server = server_of(world, i, j);

			if (server->disk.blocks[i].durable_seq < slot->floor[i] &&
			    history_keeps(world, i, slot->floor[i]))
				world_violation(world,
						"a FLUSH completes, but block %u is not on the disk of server %u", i,
						server->index);
		}
	}
}

static void succeeded(struct world *world, struct gateway *gateway, struct app_slot *slot)
{
	const uint8_t *bytes = slot->payload == SIM_NO_PAYLOAD ? NULL : app_payload(gateway, slot->payload)->bytes;

	/* A write that every replica acknowledged may have waited for its memory only. */
	if (gateway_status(gateway)->state == VOLUME_FAILED && !is_change(slot))
		world_violation(world, "gateway %u: a request succeeds after the volume failed", gateway->index);
	if (is_change(slot) && gateway->device.is_superseded && !slot->is_orphan)
		world_violation(world, "gateway %u: write %u succeeds, begun after another gateway attached",
				gateway->index, slot->write_no);
	for (unsigned i = 0; slot->request.op == REQUEST_READ && i < slot->count; i++)
		history_read_ends(world, slot->first + i, bytes + (size_t)i * world->geometry.block_bytes, slot->start);
	if (slot->request.op == REQUEST_FLUSH)
		check_flush(world, slot);
	if (!is_change(slot) || slot->is_orphan)
		return;
	/* Healing begins a block's history with this write; the others get it as their next entry. */
	history_write_ends(world, slot->write_no);
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		if (slot->blocks & 1ull << i)
			check_change(world, gateway, slot, i);
	}
}

static void failed(struct world *world, struct gateway *gateway, struct app_slot *slot, int error)
{
	/* A buffer that never rests, while replicas come and go, is given up today. */
	bool never_rests = slot->scribbles >= 2 && world->faults.struck;

	if (gateway_status(gateway)->state != VOLUME_FAILED && !world->faults.disk_errors && !never_rests)
		world_violation(world, "gateway %u: a request fails (%d) without a reason", gateway->index, error);
	world->counters.io_errors++;
	if (!is_change(slot))
		return;
	/* What a failed gateway sent may still take effect, until the next attach. */
	if (gateway_status(gateway)->state == VOLUME_FAILED)
		world->history.writes[slot->write_no].owner = SIM_NO_OWNER;
	else
		history_write_unknown(world, slot->write_no);
}

void app_completed(struct world *world, struct gateway *gateway, unsigned index, int error)
{
	struct app_slot *slot = &gateway->device.slots[index % SIM_SLOTS_MAX];

	if (index >= SIM_SLOTS_MAX || !slot->is_active || !slot->is_given)
		world_violation(world, "gateway %u: slot %u completes, which nobody waits for", gateway->index, index);
	TRACE(world, "gateway % slot % completes (%)", gateway->index, index, (uint64_t)-error);
	if (error)
		failed(world, gateway, slot, error);
	else
		succeeded(world, gateway, slot);
	give_back(world, gateway, slot);
	slot->is_active = slot->is_given = false;
	gateway->device.active--;
	post_next(world, gateway, index, world_delay(world, world->options.think_us));
}

void app_abandon(struct world *world, struct gateway *gateway)
{
	struct device *device = &gateway->device;

	history_disown(world, gateway->index);
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++)
		device->slots[i].is_active = device->slots[i].is_given = false;
	for (unsigned i = 0; i < SIM_PAYLOADS_MAX; i++) {
		device->payloads[i].is_used = device->payloads[i].is_live = false;
		device->payloads[i].refs = 0;
	}
	device->active = 0;
}

void app_orphan(struct world *world, struct gateway *gateway)
{
	(void)world;
	gateway->device.is_superseded = true;
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++)
		gateway->device.slots[i].is_orphan |= gateway->device.slots[i].is_active;
}
