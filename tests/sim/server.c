/* The life of a simulated replica-server: start, end, its store's buffers. What its connections carry is server_lane.c.
 */
#include "tests/sim/server.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#define BUFFER_BYTES DIGEST_PIECE_BYTES /* what is accounted for all but a copy of more pieces */

static_assert(BUFFER_BYTES >= SIM_PAYLOAD_BYTES, "an application's requests fit as well");

static struct server *server_of(struct store *store)
{
	return container_of(store, struct server, disk.store);
}

static void store_submit(struct store *store, struct store_op *op)
{
	struct server *server = server_of(store);

	disk_submit(server->world, server, op);
}

static struct io_buf *store_buf_get(struct store *store, uint32_t bytes)
{
	struct server *server = server_of(store);
	struct io_buf *buf;

	assert(bytes <= REGION_BYTES);
	if (!server->free_buffer_count)
		return NULL;
	buf = server->free_buffers[--server->free_buffer_count];
	buf->cap = bytes <= BUFFER_BYTES ? BUFFER_BYTES : (uint32_t)REGION_BYTES;
	return buf;
}

static void store_buf_put(struct store *store, struct io_buf *buf)
{
	struct server *server = server_of(store);

	memset(buf->data, SIM_POISON, SIM_SECTOR_BYTES); /* whoever still looks at it is found out */
	assert(server->free_buffer_count < server->world->options.buffers);
	server->free_buffers[server->free_buffer_count++] = buf;
}

static const struct store_ops store_ops = {
	.submit = store_submit,
	.buf_get = store_buf_get,
	.buf_put = store_buf_put,
};

void server_init(struct world *world, unsigned index)
{
	struct server *server = &world->servers[index];

	server->index = index;
	server->world = world;
	server->buffer_memory = malloc((size_t)SIM_BUFFERS_MAX * REGION_BYTES);
	if (!server->buffer_memory)
		abort();
	for (unsigned i = 0; i < SIM_BUFFERS_MAX; i++)
		server->buffers[i] = (struct io_buf){server->buffer_memory + (size_t)i * REGION_BYTES, BUFFER_BYTES};
	disk_init(&server->disk);
	set_back_init(&server->set_back);
	server->disk.store.ops = &store_ops;
}

/* What the process held in memory. */
static void forget(struct server *server)
{
	if (server->has_replica)
		replica_fini(&server->replica);
	if (server->has_pool)
		served_pool_fini(&server->pool);
	server->has_replica = server->has_pool = false;
	for (unsigned i = 0; i < SIM_SERVER_LANES; i++)
		server->lanes[i].is_used = false;
	server->answered_session = 0;
	server->is_stopping = server->has_failed = false;
	server->forgotten_epoch = 0;
	memset(server->flushes, 0, sizeof(server->flushes));
	memset(server->stable, 0, sizeof(server->stable));
	for (unsigned i = 0; i < SIM_BLOCKS_MAX; i++)
		server->disk.blocks[i].life_seq = 0;
}

void server_fini(struct server *server)
{
	forget(server);
	free(server->buffer_memory);
	free(server->process.waiting);
	disk_fini(&server->disk);
	set_back_fini(&server->set_back);
}

static void new_boot(struct world *world, struct server *server)
{
	for (unsigned i = 0; i < sizeof(server->identity.boot_id.bytes); i++)
		server->identity.boot_id.bytes[i] = (uint8_t)random_next(&world->random);
}

void server_reset(struct world *world, unsigned index)
{
	struct server *server = &world->servers[index];

	forget(server);
	server->process.is_up = server->process.is_paused = false;
	server->process.incarnation = 0;
	server->process.waiting_count = 0;
	server->set = index / world->geometry.voters;
	server->drift_ppm = random_drift(&world->random, world->options.drift_pm);
	server->host_is_up = true;
	server->refuses = server->is_away = false;
	server->answered_epoch = server->forgotten_epoch = server->started_failed_syncs = 0;
	server->has_old = server->is_old = false;
	new_boot(world, server);
	disk_reset(world, server);
	set_back_reset(&server->set_back);
}

static void nothing_changed(struct replica *replica)
{
	(void)replica;
}

static void replica_has_stopped(struct replica *replica)
{
	struct server *server = container_of(replica, struct server, replica);

	server->is_stopping = true; /* the process ends with the event: server_settle() */
	(void)replica;
}

static void start_replica(struct world *world, struct server *server, const struct superblock *sb)
{
	struct replica_options options = {
		.server = &server->identity,
		.store = &server->disk.store,
		.pool = &server->pool,
		.unstable_extents = world->options.extents,
		.changed = nothing_changed,
		.stopped = replica_has_stopped,
	};
	int error = served_pool_init(&server->pool, world->options.served);

	if (!error)
		error = replica_init(&server->replica, sb, &options);
	if (error)
		abort();
	server->has_pool = server->has_replica = true;
	if (!geometry_has_data(&world->geometry, server->index))
		return;
	(void)stamps_load_block(&server->replica.stamps, 0, server->disk.stamps + STAMPS_BLOCK_BYTES);
}

struct uuid server_boot_id(const struct server *server)
{
	struct superblock sb;

	if (server->has_replica)
		return server->replica.boot_id;
	if (disk_read_superblock(&server->disk, &sb)) /* server_start() complains */
		return server->identity.boot_id;
	return superblock_boot_id(&sb, &server->identity.boot_id);
}

uint64_t server_clock(const struct world *world, const struct server *server)
{
	return drifted(world->now_ns, server->drift_ppm);
}

void server_start(struct world *world, struct server *server)
{
	struct superblock sb;
	int error;

	if (server->process.is_up)
		return;
	server->host_is_up = true;
	error = disk_read_superblock(&server->disk, &sb);
	if (error)
		world_violation(world, "server %u: its superblock is unreadable after a crash (%d)", server->index,
				error);
	if (sb.promised.epoch < server->answered_epoch)
		world_violation(world, "server %u: promised epoch %u, but starts with %u", server->index,
				server->answered_epoch, sb.promised.epoch);
	disk_reread(world, server, sb.failed_syncs != server->started_failed_syncs);
	set_back_note_start(world, server);
	superblock_start(&sb, &server->identity.boot_id);
	disk_write_superblock(&server->disk, &sb);
	server->started_failed_syncs = sb.failed_syncs;
	server->identity.incarnation = random_next(&world->random) | 1;
	/* The first start was long ago. */
	server->identity.started_ns = world->now_ns > SIM_EPOCH_NS ? server_clock(world, server) : 0;
	server->free_buffer_count = world->options.buffers;
	for (unsigned i = 0; i < world->options.buffers; i++)
		server->free_buffers[i] = &server->buffers[i];
	start_replica(world, server, &sb);
	server->replica.now_ns = server_clock(world, server);
	server->replica.now_s = 1 + world->now_ns / 1000000000ull;
	truth_stored(world, server); /* a power loss may have left a whole slot */
	server->process.is_up = true;
	net_host_is_back(world, server->index);
	TRACE(world, "server % starts: promised epoch %, gen %", server->index, sb.promised.epoch, sb.config.gen);
}

void server_stop(struct world *world, struct server *server)
{
	TRACE(world, "server % is asked to stop", server->index);
	replica_stop(&server->replica);
	server_settle(world, server);
}

void server_kill(struct world *world, struct server *server)
{
	if (!server->process.is_up)
		return;
	TRACE(world, "server % dies", server->index);
	process_die(world, PROCESS_SERVER(server->index));
	for (unsigned i = 0; i < SIM_SERVER_LANES; i++) {
		struct server_lane *lane = &server->lanes[i];

		if (lane->is_used && !lane->is_closing)
			net_server_leaves(world, &world->net.conns[lane->conn], false);
	}
	disk_drop_inflight(world, server);
	forget(server);
}

void server_power_loss(struct world *world, struct server *server)
{
	TRACE(world, "server % loses power", server->index);
	world->counters.power_losses++;
	if (server->process.is_up)
		process_die(world, PROCESS_SERVER(server->index));
	for (unsigned i = 0; i < SIM_CONNS_MAX; i++) {
		struct conn *conn = &world->net.conns[i];

		if (conn->is_used && conn->server == server->index && conn->server_open)
			net_server_vanishes(world, conn);
	}
	disk_power_loss(world, server);
	forget(server);
	server->host_is_up = false;
	new_boot(world, server);
}

void server_on_disk(struct world *world, struct server *server, struct store_op *op)
{
	disk_complete(world, server, op);
	server_settle(world, server);
}

void server_lane_gone(struct world *world, struct server *server, unsigned index, uint64_t serial)
{
	struct server_lane *lane = &server->lanes[index];

	if (!lane->is_used || lane->serial != serial)
		return;
	if (lane->is_attached)
		replica_lane_closed(&lane->lane);
	lane->is_used = false;
	server_settle(world, server);
}

static void wake_sender(struct world *world, struct server_lane *lane)
{
	struct conn *conn = &world->net.conns[lane->conn];
	struct stream *stream = &conn->streams[TO_SERVER];

	if (lane->is_closing || !stream->is_full || server_room(world, conn) == 0)
		return;
	stream->is_full = false;
	net_kick(world, conn, TO_SERVER);
}

void server_settle(struct world *world, struct server *server)
{
	bool moved = true;

	for (unsigned i = 0; i < SIM_SERVER_LANES; i++)
		server->lanes[i].waits = false;
	while (moved) {
		moved = false;
		for (unsigned i = 0; i < SIM_SERVER_LANES; i++) {
			while (server_lane_parse(&server->lanes[i]))
				moved = true;
		}
	}
	for (unsigned i = 0; i < SIM_SERVER_LANES; i++) {
		if (server->lanes[i].is_used)
			wake_sender(world, &server->lanes[i]);
	}
	if (server->is_stopping) /* the replica has stopped in order */
		server_kill(world, server);
}
