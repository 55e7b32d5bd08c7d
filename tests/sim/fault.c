/* Faults: one at a time is struck, by weight; most end by themselves after an outage. Knows everything of the world and
 * nothing of the protocol. */
#include "tests/sim/fault.h"

#include "tests/sim/world.h"

#define REPLACE_TRIES 8u /* outages, until the others must have gone on without it */

/* What EVENT_HEAL undoes. */
enum heal {
	HEAL_BLOCK,
	HEAL_REFUSE,
	HEAL_SERVER,
	HEAL_SERVER_PAUSE,
	HEAL_GATEWAY,
	HEAL_GATEWAY_PAUSE,
	HEAL_DISK,
	HEAL_REPLACE, /* or loses its directory for good */
	HEAL_RETURN,
	HEAL_CALM
};

void faults_reset(struct world *world)
{
	world->faults = (struct faults){0};
}

void faults_begin(struct world *world)
{
	if (world->options.fault_ms)
		world_post(world, world_delay(world, 1000 * (uint64_t)world->options.fault_ms),
			   (struct event){.kind = EVENT_FAULT});
}

static uint64_t outage(struct world *world)
{
	return world_delay(world, 1000 * (uint64_t)world->options.outage_ms);
}

static void post_heal(struct world *world, enum heal kind, uint64_t object)
{
	world_post(world, outage(world), (struct event){.kind = EVENT_HEAL, .a = kind, .b = object});
}

static struct server *any_server(struct world *world)
{
	return &world->servers[random_below(&world->random, world->geometry.servers)];
}

static struct gateway *any_gateway(struct world *world)
{
	struct gateway *gateway = &world->gateways[random_below(&world->random, SIM_GATEWAYS)];

	return gateway->process.is_up ? gateway : &world->gateways[world->in_use];
}

static struct conn *any_conn(struct world *world)
{
	unsigned from = (unsigned)random_below(&world->random, SIM_CONNS_MAX);

	for (unsigned i = 0; i < SIM_CONNS_MAX; i++) {
		struct conn *conn = &world->net.conns[(from + i) % SIM_CONNS_MAX];

		if (conn->is_used)
			return conn;
	}
	return NULL;
}

/* ---- network ---- */

static void cut(struct world *world)
{
	struct conn *conn = any_conn(world);

	if (!conn)
		return;
	TRACE(world, "fault: connection % of gateway % and server % is cut", net_index(world, conn), conn->gateway,
	      conn->server);
	net_cut(world, conn);
}

static void block(struct world *world)
{
	unsigned server = any_server(world)->index, gateway = any_gateway(world)->index;
	uint64_t way = random_below(&world->random, 3);

	TRACE(world, "fault: nothing passes between gateway % and server % (way %)", gateway, server, way);
	if (way != 1)
		net_block(world, gateway, server, TO_SERVER, true);
	if (way != 0)
		net_block(world, gateway, server, TO_GATEWAY, true);
	post_heal(world, HEAL_BLOCK, (uint64_t)gateway << 8 | server);
}

static void stall(struct world *world)
{
	struct conn *conn = any_conn(world);
	enum direction direction = (enum direction)random_below(&world->random, 2);

	if (!conn)
		return;
	TRACE(world, "fault: connection % stalls in direction %", net_index(world, conn), direction);
	conn->streams[direction].not_before_ns = world->now_ns + outage(world);
}

static void refuse(struct world *world)
{
	struct server *server = any_server(world);

	TRACE(world, "fault: server % refuses connections", server->index);
	server->refuses = true;
	post_heal(world, HEAL_REFUSE, server->index);
}

static void replay(struct world *world)
{
	struct server *server = any_server(world);
	unsigned from = (unsigned)random_below(&world->random, SIM_SERVER_LANES);

	for (unsigned i = 0; i < SIM_SERVER_LANES; i++) {
		struct server_lane *lane = &server->lanes[(from + i) % SIM_SERVER_LANES];

		if (!lane->is_used || lane->is_closing || !lane->has_last_reply)
			continue;
		TRACE(world, "fault: server % repeats a reply on connection %", server->index, lane->conn);
		stream_add(&world->net.conns[lane->conn].streams[TO_GATEWAY], lane->last_reply, FRAME_BYTES);
		world->net.conns[lane->conn].is_lying = true;
		net_kick(world, &world->net.conns[lane->conn], TO_GATEWAY);
		return;
	}
}

/* ---- servers and their disks ---- */

static void server_ends(struct world *world)
{
	struct server *server = any_server(world);

	if (!server->process.is_up)
		return;
	if (random_below(&world->random, 4) == 0 && !server->process.is_paused)
		server_stop(world, server);
	else
		server_kill(world, server);
	post_heal(world, HEAL_SERVER, server->index);
}

static void server_pauses(struct world *world)
{
	struct server *server = any_server(world);

	if (!server->process.is_up)
		return;
	TRACE(world, "fault: server % is stopped", server->index);
	process_pause(world, PROCESS_SERVER(server->index));
	post_heal(world, HEAL_SERVER_PAUSE, server->index);
}

static void power(struct world *world)
{
	struct server *server = any_server(world);

	server_power_loss(world, server);
	post_heal(world, HEAL_SERVER, server->index);
}

static void rack_power(struct world *world)
{
	TRACE(world, "fault: all servers lose power");
	for (unsigned i = 0; i < world->geometry.servers; i++) {
		server_power_loss(world, &world->servers[i]);
		post_heal(world, HEAL_SERVER, i);
	}
}

/* Its host is broken; whether its directory was lost with it, the operator sees when the others do without it. */
static void directory_lost(struct world *world)
{
	struct server *server = any_server(world);

	if (!server->process.is_up || server->is_old)
		return;
	TRACE(world, "fault: the directory of server % is about to be lost", server->index);
	if (random_below(&world->random, 2))
		server_kill(world, server);
	else
		server_power_loss(world, server);
	post_heal(world, HEAL_REPLACE, (uint64_t)REPLACE_TRIES << 8 | server->index);
}

/* From a backup, or with the old disk. */
static void directory_returns(struct world *world)
{
	struct server *server = any_server(world);

	struct superblock sb;

	/* Before the new one has its vote, the old one would rightly have its own again. */
	if (!server->has_old || server->is_old || disk_read_superblock(&server->disk, &sb) || sb.life == 0 ||
	    server->set_back.newer.is_there || set_back_is_beside(world, server))
		return;
	TRACE(world, "fault: server % is started with the directory that it had lost", server->index);
	server_swap(world, server);
	server_start(world, server);
	post_heal(world, HEAL_RETURN, server->index);
}

/* One operation of a kind will fail. */
static void disk_fails(struct world *world, struct server *server, unsigned *operations)
{
	*operations += 1 + (unsigned)random_below(&world->random, 3);
	world->faults.disk_errors = true;
	post_heal(world, HEAL_DISK, server->index);
}

static void eio(struct world *world)
{
	struct server *server = any_server(world);

	TRACE(world, "fault: the disk of server % fails writes", server->index);
	disk_fails(world, server, &server->disk.fail_writes);
}

static void eio_read(struct world *world)
{
	struct server *server = any_server(world);

	TRACE(world, "fault: the disk of server % fails reads", server->index);
	disk_fails(world, server, &server->disk.fail_reads);
}

static void enospc(struct world *world)
{
	struct server *server = any_server(world);

	TRACE(world, "fault: the disk of server % is full", server->index);
	disk_fails(world, server, &server->disk.fail_space);
}

static void fsync_fails(struct world *world)
{
	struct server *server = any_server(world);

	TRACE(world, "fault: the disk of server % fails an fsync", server->index);
	server->disk.fail_syncs = 1;
	world->faults.disk_errors = true;
	post_heal(world, HEAL_DISK, server->index);
}

static void truncate_file(struct world *world)
{
	struct server *server = any_server(world);
	const unsigned *blocks = world->geometry.in_set[server->set];
	unsigned count = world->geometry.in_set_count[server->set];

	if (!count || !geometry_has_data(&world->geometry, server->index))
		return;
	TRACE(world, "fault: the data file of server % is cut off", server->index);
	disk_truncate(world, server, world->geometry.set_offset[blocks[random_below(&world->random, count)]]);
}

static void slow(struct world *world)
{
	struct server *server = any_server(world);

	TRACE(world, "fault: the disk of server % is slow", server->index);
	server->disk.slow_until_ns = world->now_ns + 4 * outage(world);
}

static void flip(struct world *world)
{
	struct server *server = any_server(world);

	if (server->process.is_up)
		return;
	TRACE(world, "fault: a bit flips in the metadata of server %", server->index);
	disk_flip_bit(world, server);
}

static void set_back(struct world *world)
{
	struct server *server;

	if (set_back_strike(world, &server))
		post_heal(world, HEAL_SERVER, server->index);
}

/* ---- gateways ---- */

static void gateway_ends(struct world *world)
{
	struct gateway *gateway = any_gateway(world);

	if (!gateway->process.is_up)
		return;
	TRACE(world, "fault: gateway % is killed", gateway->index);
	gateway_kill(world, gateway);
	post_heal(world, HEAL_GATEWAY, gateway->index);
}

static void gateway_host_ends(struct world *world)
{
	struct gateway *gateway = any_gateway(world);

	TRACE(world, "fault: the host of gateway % dies", gateway->index);
	gateway_kill(world, gateway);
	app_abandon(world, gateway);
	post_heal(world, HEAL_GATEWAY, gateway->index);
}

static void gateway_pauses(struct world *world)
{
	struct gateway *gateway = any_gateway(world);

	if (!gateway->process.is_up)
		return;
	TRACE(world, "fault: gateway % is stopped", gateway->index);
	process_pause(world, PROCESS_GATEWAY(gateway->index));
	post_heal(world, HEAL_GATEWAY_PAUSE, gateway->index);
}

/* The other host attaches, while this one runs, is stopped, or is gone. */
static void takeover(struct world *world)
{
	struct gateway *other = &world->gateways[1 - world->in_use];

	if (other->process.is_up)
		return;
	TRACE(world, "fault: gateway % attaches beside gateway %", other->index, world->in_use);
	app_abandon(world, other);
	other->is_wanted = true;
	gateway_start(world, other);
}

/* Each host keeps some of the voters, seldom one is reached by both, for longer than a lease: what it is for. */
static void split_now(struct world *world)
{
	uint64_t length_ns = LEASE_MS * 1000000ull + outage(world);

	TRACE(world, "fault: the network is split between the gateways");
	for (unsigned i = 0; i < world->geometry.servers; i++) {
		unsigned gateway = (unsigned)random_below(&world->random, SIM_GATEWAYS);

		if (random_below(&world->random, geometry_has_data(&world->geometry, i) ? 8 : 2) == 0)
			continue;
		net_block(world, gateway, i, TO_SERVER, true);
		net_block(world, gateway, i, TO_GATEWAY, true);
		world_post(world, length_ns,
			   (struct event){.kind = EVENT_HEAL, .a = HEAL_BLOCK, .b = (uint64_t)gateway << 8 | i});
	}
	takeover(world);
}

/* Sometimes the last answers before it are late, though nobody is lost for that yet. */
static void split(struct world *world)
{
	uint64_t late_ns = world->options.deadline_ms * 750000ull;

	if (random_below(&world->random, 2)) {
		split_now(world);
		return;
	}
	for (unsigned i = 0; i < SIM_CONNS_MAX; i++)
		world->net.conns[i].streams[TO_GATEWAY].not_before_ns = world->now_ns + late_ns;
	world_post(world, late_ns + 2000ull * world->options.net_us,
		   (struct event){.kind = EVENT_HEAL, .a = HEAL_CALM});
}

static const struct {
	size_t weight_at;
	void (*strike)(struct world *world);
} table[] = {
	{offsetof(struct options, w_cut), cut},
	{offsetof(struct options, w_block), block},
	{offsetof(struct options, w_stall), stall},
	{offsetof(struct options, w_refuse), refuse},
	{offsetof(struct options, w_replay), replay},
	{offsetof(struct options, w_server_kill), server_ends},
	{offsetof(struct options, w_server_pause), server_pauses},
	{offsetof(struct options, w_power), power},
	{offsetof(struct options, w_rack_power), rack_power},
	{offsetof(struct options, w_eio), eio},
	{offsetof(struct options, w_eio_read), eio_read},
	{offsetof(struct options, w_enospc), enospc},
	{offsetof(struct options, w_fsync), fsync_fails},
	{offsetof(struct options, w_slow), slow},
	{offsetof(struct options, w_flip), flip},
	{offsetof(struct options, w_truncate), truncate_file},
	{offsetof(struct options, w_gateway_kill), gateway_ends},
	{offsetof(struct options, w_gateway_death), gateway_host_ends},
	{offsetof(struct options, w_gateway_pause), gateway_pauses},
	{offsetof(struct options, w_takeover), takeover},
	{offsetof(struct options, w_split), split},
	{offsetof(struct options, w_set_back), set_back},
	{offsetof(struct options, w_replace), directory_lost},
	{offsetof(struct options, w_return), directory_returns},
};

static uint32_t weight(const struct world *world, size_t i)
{
	return *(const uint32_t *)(const void *)((const char *)&world->options + table[i].weight_at);
}

void faults_strike(struct world *world)
{
	uint64_t sum = 0, dice;

	if (world->faults.over)
		return;
	faults_begin(world);
	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		sum += weight(world, i);
	if (sum == 0)
		return;
	dice = random_below(&world->random, sum);
	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		if (dice < weight(world, i)) {
			world->counters.faults++;
			world->faults.struck = true;
			table[i].strike(world);
			return;
		}
		dice -= weight(world, i);
	}
}

/* ---- the end of an outage ---- */

static void heal_block(struct world *world, unsigned gateway, unsigned server)
{
	net_block(world, gateway, server, TO_SERVER, false);
	net_block(world, gateway, server, TO_GATEWAY, false);
}

/* The store's errors stay until its server is started again. */
static void heal_disk(struct world *world, struct server *server)
{
	server->disk.fail_writes = server->disk.fail_reads = server->disk.fail_space = server->disk.fail_syncs = 0;
	if (server->process.is_up && server->replica.state == REPLICA_FAILED) {
		TRACE(world, "server % has failed and is started again", server->index);
		server_kill(world, server);
		server_start(world, server);
	}
}

static void heal_replace(struct world *world, struct server *server, uint64_t tries)
{
	if (server->process.is_up || server->is_away || server->is_old)
		return;
	if (truth_can_replace(world, server)) {
		server_replace(world, server);
	} else if (tries > 0 && !world->faults.over) {
		post_heal(world, HEAL_REPLACE, (tries - 1) << 8 | server->index);
		return;
	}
	server_start(world, server);
}

/* The operator puts the new one back. */
static void heal_return(struct world *world, struct server *server)
{
	if (!server->is_old)
		return;
	server_swap(world, server);
	if (!server->is_away)
		server_start(world, server);
}

void faults_heal(struct world *world, uint64_t kind, uint64_t object)
{
	switch ((enum heal)kind) {
	case HEAL_BLOCK:
		heal_block(world, (unsigned)(object >> 8), object & 0xff);
		break;
	case HEAL_REFUSE:
		world->servers[object].refuses = false;
		break;
	case HEAL_SERVER:
		if (!world->servers[object].is_away)
			server_start(world, &world->servers[object]);
		break;
	case HEAL_SERVER_PAUSE:
		if (!world->servers[object].is_away)
			process_resume(world, PROCESS_SERVER((uint32_t)object));
		break;
	case HEAL_GATEWAY:
		if (world->gateways[object].is_wanted)
			gateway_start(world, &world->gateways[object]);
		break;
	case HEAL_GATEWAY_PAUSE:
		process_resume(world, PROCESS_GATEWAY((uint32_t)object));
		break;
	case HEAL_REPLACE:
		heal_replace(world, &world->servers[object & 0xff], object >> 8);
		break;
	case HEAL_RETURN:
		heal_return(world, &world->servers[object]);
		break;
	case HEAL_CALM: /* before the storm */
		if (!world->faults.over)
			split_now(world);
		break;
	case HEAL_DISK:
		if (!world->servers[object].is_away)
			heal_disk(world, &world->servers[object]);
		break;
	}
}

static void heal_server(struct world *world, struct server *server)
{
	server->refuses = false;
	server->disk.slow_until_ns = 0;
	process_resume(world, PROCESS_SERVER(server->index));
	heal_disk(world, server);
	heal_return(world, server);
	server_start(world, server);
	for (unsigned j = 0; j < SIM_GATEWAYS; j++)
		heal_block(world, j, server->index);
}

void faults_call_back(struct world *world)
{
	for (unsigned i = 0; i < world->geometry.servers; i++) {
		world->servers[i].is_away = false;
		if (world->options.w_replace && !world->servers[i].process.is_up && random_below(&world->random, 2) &&
		    truth_can_replace(world, &world->servers[i]))
			server_replace(world, &world->servers[i]);
		heal_server(world, &world->servers[i]);
	}
}

void faults_heal_all(struct world *world)
{
	world->faults.over = true;
	for (unsigned i = 0; i < world->geometry.servers; i++)
		heal_server(world, &world->servers[i]);
	for (unsigned i = 0; i < SIM_GATEWAYS; i++)
		process_resume(world, PROCESS_GATEWAY(i));
}
