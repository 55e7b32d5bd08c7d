/* The applications of one device: what they ask for, what memory it uses, and what they make of the answers. */
#include "tests/sim/app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#define HELD_STEPS 60u /* of the network or a disk, each at its slowest */
#define HELD_REST_NS (2000 * SIM_MS)
#define HELD_LEASE_NS (3400 * SIM_MS)
#define PAYLOADS (3 * SIM_SLOTS_MAX)

static_assert(PAYLOADS <= SIM_RESYNC_PAYLOAD, "payloads fit");

void app_init(struct device *device)
{
	/* The resync's are large, and hardly touched. */
	device->memory = calloc(1, SIM_RESYNC_PAYLOAD * (size_t)SIM_PAYLOAD_BYTES + RESYNC_SLOTS * REGION_BYTES);
	if (!device->memory)
		abort();
	for (unsigned i = 0; i < SIM_RESYNC_PAYLOAD; i++)
		device->payloads[i].bytes = device->memory + (size_t)i * SIM_PAYLOAD_BYTES;
	for (unsigned i = 0; i < RESYNC_SLOTS; i++)
		device->payloads[SIM_RESYNC_PAYLOAD + i].bytes =
			device->memory + SIM_RESYNC_PAYLOAD * (size_t)SIM_PAYLOAD_BYTES + i * REGION_BYTES;
}

void app_fini(struct device *device)
{
	free(device->memory);
}

/* Requests and memory of a device that is new. */
static void clear(struct device *device)
{
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++)
		device->slots[i].is_active = device->slots[i].is_given = false;
	for (unsigned i = 0; i < SIM_PAYLOADS_MAX; i++) {
		device->payloads[i].is_used = device->payloads[i].is_live = i >= SIM_RESYNC_PAYLOAD;
		device->payloads[i].refs = 0;
	}
	device->active = 0;
	device->superseded = 0;
	memset(device->nonces, 0, sizeof(device->nonces));
	device->is_served = false;
	device->life++;
}

void app_reset(struct world *world, struct gateway *gateway)
{
	(void)world;
	clear(&gateway->device);
	gateway->device.life = 0;
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++)
		gateway->device.slots[i].is_posted = false;
}

static void post_next(struct world *world, struct gateway *gateway, unsigned slot, uint64_t delay_ns)
{
	if (gateway->device.slots[slot].is_posted)
		return;
	gateway->device.slots[slot].is_posted = true;
	/* The application lives as long as its host: no process to die with. */
	world_post(world, delay_ns, (struct event){.kind = EVENT_APP, .a = gateway->index, .b = slot});
}

void app_begin(struct world *world, struct gateway *gateway)
{
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

/* NULL: `slot` has no such bytes. */
static uint8_t *memory_of(struct world *world, struct gateway *gateway, unsigned index, uint32_t at, uint32_t length)
{
	struct app_slot *slot = &gateway->device.slots[index % SIM_SLOTS_MAX];
	unsigned resync = engine_resync_slot(gateway->engine, 0);

	(void)world;
	if (index >= resync && index < resync + RESYNC_SLOTS)
		return at + (uint64_t)length <= REGION_BYTES
			       ? gateway->device.payloads[SIM_RESYNC_PAYLOAD + index - resync].bytes + at
			       : NULL;
	if (index >= SIM_SLOTS_MAX || !slot->is_active || slot->request.op != REQUEST_READ ||
	    at + (uint64_t)length > slot->request.length)
		return NULL;
	return app_payload(gateway, slot->payload)->bytes + at;
}

void app_fill(struct world *world, struct gateway *gateway, unsigned index, uint32_t at, const uint8_t *bytes,
	      uint32_t length)
{
	uint8_t *memory = memory_of(world, gateway, index, at, length);

	if (!memory)
		world_violation(world, "gateway %u: bytes are written to memory that slot %u does not have",
				gateway->index, index);
	if (bytes)
		memcpy(memory, bytes, length);
	else
		memset(memory, 0, length);
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
	slot->is_given = true;
	slot->ticks = 0;
	memset(slot->seq, 0, sizeof(slot->seq[0]) * world->geometry.blocks);
	gateway_set_clock(world, gateway);
	engine_submit(gateway->engine, &slot->request);
}

/* In any order, as the kernel issues them again (R11). */
void app_give_all(struct world *world, struct gateway *gateway)
{
	unsigned from = (unsigned)random_below(&world->random, SIM_SLOTS_MAX);

	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++)
		give(world, gateway, (from + i) % SIM_SLOTS_MAX);
}

static void begin(struct world *world, struct gateway *gateway, unsigned index)
{
	struct app_slot *slot = &gateway->device.slots[index];

	slot->is_active = true;
	slot->is_given = false;
	slot->orphaned = 0;
	slot->scribbles = 0;
	gateway->device.active++;
	world->counters.ops++;
	slot->start = ++world->tick;
	slot->start_ns = world->now_ns;
	TRACE(world, "gateway % slot %: op % flags % of block % to write %", gateway->index, index, slot->request.op,
	      slot->request.flags, slot->first, slot->write_no);
	for (unsigned i = 0; slot->request.op == REQUEST_FLUSH && i < world->geometry.blocks; i++) {
		slot->floor[i] = world->history.completed_seq[i];
		slot->floor_start[i] = world->history.blocks[i].completed_start;
	}
	if (slot->request.op == REQUEST_WRITE && random_chance(&world->random, world->options.scribble_pm))
		post_scribble(world, gateway, slot->payload);
	give(world, gateway, index);
}

void app_next(struct world *world, struct gateway *gateway, unsigned index)
{
	struct app_slot *slot = &gateway->device.slots[index % SIM_SLOTS_MAX];

	slot->is_posted = false;
	if (slot->is_active || world->ops_left == 0 || world->phase > PHASE_CALM)
		return;
	if (!gateway->is_attached || gateway->process.is_paused || world->history.write_count >= SIM_WRITES_MAX - 1) {
		post_next(world, gateway, index, world_delay(world, 5000));
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
	unsigned clusters = world->geometry.blocks / SIM_CLUSTER_BLOCKS;

	for (unsigned i = 0; i < world->options.queue_depth && world->audited < clusters; i++) {
		struct app_slot *slot = &gateway->device.slots[i];

		slot->request = (struct request){.slot = i, .op = REQUEST_READ};
		slot->first = world->audited++ * SIM_CLUSTER_BLOCKS;
		slot->count = SIM_CLUSTER_BLOCKS;
		slot->blocks = 0xffull << slot->first;
		slot->write_no = 0;
		slot->request.offset = world->geometry.offset[slot->first];
		slot->request.length = (uint64_t)slot->count * world->geometry.block_bytes;
		if (!prepare_memory(world, gateway, slot, i)) {
			world->audited--; /* sends of before still hold it */
			return;
		}
		begin(world, gateway, i);
	}
}

/* ---- answers ---- */

static struct server *server_of(struct world *world, unsigned block, unsigned replica)
{
	return &world->servers[world->geometry.set_of[block] * world->geometry.voters + replica];
}

/* A replica in sync may lose what it acknowledged, and the gateway not know it yet; but not once it serves there again.
 */
static void check_kept(struct world *world, struct gateway *gateway, struct server *server, unsigned block,
		       uint64_t seq)
{
	const struct leg_status *leg = &gateway->status.legs[server->index];

	if (disk_holds(world, server, block, seq, false) || !history_keeps(world, block, seq))
		return;
	if (server->process.is_up && leg->state == LEG_UP && leg->incarnation == server->identity.incarnation)
		world_violation(world,
				"a write completes, but server %u lost block %u of it and was opened again since",
				server->index, block);
}

/* A joiner that stored it and lost it since: nobody copies that again. */
static bool was_cut_off_after(const struct disk_block *it, uint64_t seq)
{
	return it->is_cut_off && it->applied_seq >= seq;
}

/* P1, P2: on every replica in sync, and durable there if it was FUA. True: it is everywhere. */
static bool check_replicas(struct world *world, struct gateway *gateway, struct app_slot *slot, unsigned block)
{
	uint8_t in = truth_in_sync(world, gateway, world->geometry.set_of[block]);
	bool is_everywhere = true;

	if (!in)
		world_violation(world, "write %u completes before its set's config is chosen", slot->write_no);
	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		struct server *server = server_of(world, block, i);
		const struct disk_block *it = disk_voters_block(server, block);

		if (!(in & 1u << i)) {
			is_everywhere &= !was_cut_off_after(it, slot->seq[block]);
			continue;
		}
		/* One that joined after it was done there may have it as a copy; or what was left of its source's file
		 * when that was cut off. */
		if (it->applied_seq < slot->seq[block] && !disk_holds(world, server, block, slot->seq[block], false) &&
		    history_keeps(world, block, slot->seq[block]))
			world_violation(world, "write %u completes, but server %u has not block %u of it",
					slot->write_no, server->index, block);
		check_kept(world, gateway, server, block, slot->seq[block]);
		if (slot->request.flags & REQUEST_F_FUA && history_keeps(world, block, slot->seq[block]) &&
		    !disk_holds(world, server, block, slot->seq[block], true))
			world_violation(world, "FUA write %u completes, but block %u is not on the disk of server %u",
					slot->write_no, block, server->index);
		is_everywhere &=
			it->cache_seq >= slot->seq[block] && !it->is_forgotten && !it->is_cut_off &&
			disk_are_equal(world, server, server_of(world, block, (unsigned)__builtin_ctz(in)), block);
	}
	return is_everywhere;
}

static void check_change(struct world *world, struct gateway *gateway, struct app_slot *slot, unsigned block)
{
	unsigned set = world->geometry.set_of[block];

	if (slot->seq[block] == 0)
		world_violation(world, "write %u completes, and block %u of it was never sent", slot->write_no, block);
	history_whole(world, block, slot->seq[block]);
	if (!check_replicas(world, gateway, slot, block) || slot->orphaned & 1u << set)
		return;
	if (world->history.completed_seq[block] < slot->seq[block])
		world->history.completed_seq[block] = slot->seq[block];
	if (slot->request.flags & REQUEST_F_FUA)
		history_flushed(world, block, world->history.writes[slot->write_no].start, slot->seq[block]);
	history_heal(world, block, slot->write_no, slot->seq[block]);
}

static void check_flush(struct world *world, struct gateway *gateway, const struct app_slot *slot)
{
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		unsigned set = world->geometry.set_of[i];
		uint8_t in = truth_in_sync(world, gateway, set);

		if (slot->orphaned & 1u << set)
			continue;
		for (unsigned j = 0; j < world->geometry.replicas; j++) {
			if (in & 1u << j && history_keeps(world, i, slot->floor[i]) &&
			    !disk_holds(world, server_of(world, i, j), i, slot->floor[i], true))
				world_violation(world,
						"a FLUSH completes, but block %u is not on the disk of server %u", i,
						server_of(world, i, j)->index);
		}
		history_flushed(world, i, slot->floor_start[i], slot->floor[i]);
	}
}

static void check_superseded(struct world *world, struct gateway *gateway, const struct app_slot *slot)
{
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		uint8_t set = (uint8_t)(1u << world->geometry.set_of[i]);

		if (slot->blocks & 1ull << i && gateway->device.superseded & ~slot->orphaned & set)
			world_violation(world, "gateway %u: write %u succeeds, begun after another gateway attached",
					gateway->index, slot->write_no);
	}
}

static void succeeded(struct world *world, struct gateway *gateway, struct app_slot *slot)
{
	const uint8_t *bytes = slot->payload == SIM_NO_PAYLOAD ? NULL : app_payload(gateway, slot->payload)->bytes;

	/* A write that every replica acknowledged may have waited for its memory only. */
	if (gateway_status(gateway)->state == VOLUME_FAILED && !is_change(slot))
		world_violation(world, "gateway %u: a request succeeds after the volume failed", gateway->index);
	for (unsigned i = 0; slot->request.op == REQUEST_READ && i < slot->count; i++)
		history_read_ends(world, slot->first + i, bytes + (size_t)i * world->geometry.block_bytes, slot->start);
	if (slot->request.op == REQUEST_FLUSH)
		check_flush(world, gateway, slot);
	if (!is_change(slot))
		return;
	check_superseded(world, gateway, slot);
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
	/* Slow disks and networks alone can pass a short deadline: no fault need have struck. */
	bool has_policy = world->options.fails;

	if (gateway_status(gateway)->state != VOLUME_FAILED && !world->faults.disk_errors && !never_rests &&
	    !has_policy)
		world_violation(world, "gateway %u: a request fails (%d) without a reason", gateway->index, error);
	world->counters.io_errors++;
	/* What was sent may still take effect, until the next attach. */
	if (is_change(slot))
		history_write_failed(world, slot->write_no);
}

/* R3.6: the longest lease of others that a promise may have named ends so long after the first config of this
 * attachment, however long the process had tried before: a contender that was cut off attaches when that is over. */
static uint64_t lease_part_ns(const struct world *world, const struct gateway *gateway, uint64_t from_ns)
{
	uint64_t until_ns = gateway->took_over_ns + HELD_LEASE_NS;

	until_ns = until_ns < world->now_ns ? until_ns : world->now_ns;
	return until_ns > from_ns ? until_ns - from_ns : 0;
}

/* P8, after the faults: a minority that is gone, or comes back, holds nothing longer than it takes to see that it owes
 * an answer, and to agree about it. Disks that fail and copies that are missing are another matter. */
static void check_held(struct world *world, const struct gateway *gateway, const struct app_slot *slot)
{
	const struct options *o = &world->options;
	uint64_t from = slot->start_ns > world->phase_ns ? slot->start_ns : world->phase_ns;
	uint64_t steps = HELD_STEPS * 20 * SIM_US * ((uint64_t)o->disk_us + o->net_us);
	uint64_t bound = 3 * (uint64_t)o->deadline_ms * SIM_MS + HELD_REST_NS + steps;

	if (world->phase == PHASE_CHAOS || world->faults.disk_errors || o->min_in_sync > 1 ||
	    gateway->started_ns > world->phase_ns || !gateway_is_owner(world, gateway))
		return;
	if (world->now_ns - from > bound + lease_part_ns(world, gateway, from))
		world_violation(world, "a request was held for %llu ms, with a majority alive",
				(unsigned long long)((world->now_ns - from) / SIM_MS));
}

/* R12. Beyond the policy's deadline: what a slow replica may take to be lost, and the lease of a gateway before. */
void app_check_deadline(struct world *world, struct gateway *gateway)
{
	const struct options *o = &world->options;
	uint64_t bound_ms = (uint64_t)o->quorum_ms + 12 * o->deadline_ms + 4000;

	if (!o->fails || !gateway->is_attached || gateway->is_detaching)
		return;
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++) {
		struct app_slot *slot = &gateway->device.slots[i];

		if (slot->is_active && slot->is_given && (uint64_t)++slot->ticks * o->tick_ms > bound_ms)
			world_violation(world,
					"gateway %u slot %u: a request waits for %llu ms, by policy %u ms are enough",
					gateway->index, i, (unsigned long long)slot->ticks * o->tick_ms, o->quorum_ms);
	}
}

void app_completed(struct world *world, struct gateway *gateway, unsigned index, int error)
{
	struct app_slot *slot = &gateway->device.slots[index % SIM_SLOTS_MAX];

	if (index >= SIM_SLOTS_MAX || !slot->is_active || !slot->is_given)
		world_violation(world, "gateway %u: slot %u completes, which nobody waits for", gateway->index, index);
	TRACE(world, "gateway % slot % completes (%)", gateway->index, index, (uint64_t)-error);
	check_held(world, gateway, slot);
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
	history_disown(world, gateway->index);
	clear(&gateway->device);
}

void app_orphan(struct world *world, struct gateway *gateway, unsigned set)
{
	(void)world;
	gateway->device.superseded |= (uint8_t)(1u << set);
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++) {
		if (gateway->device.slots[i].is_active)
			gateway->device.slots[i].orphaned |= (uint8_t)(1u << set);
	}
}
