/* The faults, one function each, and their weights. Knows how to break, not what must hold. */
#include "tests/drill/fault.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "tests/drill/points.h"
#include "tests/native/lib/tool.h"

#define POINT_WAIT_MS 1200u /* for an armed process to come to its point */

static void pause_up_to(struct cluster *cluster, unsigned ms)
{
	sleep_ms((unsigned)cluster_random(cluster, ms + 1));
}

static struct server *pick_server(struct cluster *cluster)
{
	return &cluster->servers[cluster_random(cluster, cluster->server_count)];
}

static void gateway_kill(struct cluster *cluster, struct fault *fault)
{
	fault->gateway_killed_ns = clock_now_ns();
	process_signal(&cluster_host(cluster)->gateway, SIGKILL);
	fault->kills++;
}

static void server_kill(struct server *server, struct fault *fault)
{
	process_signal(&server->process, SIGKILL);
	fault->kills++;
}

static void server_back(struct cluster *cluster, struct server *server)
{
	server_start(cluster, server, NULL);
	server_wait(cluster, server);
}

static void gateway_killed(struct cluster *cluster, struct fault *fault)
{
	gateway_kill(cluster, fault);
	pause_up_to(cluster, 50);
	gateway_start(cluster, cluster_host(cluster), NULL);
}

static void gateway_killed_attaching(struct cluster *cluster, struct fault *fault)
{
	gateway_killed(cluster, fault);
	pause_up_to(cluster, 60);
	gateway_killed(cluster, fault);
}

static void gateway_stopped(struct cluster *cluster, struct fault *fault)
{
	process_signal(&cluster_host(cluster)->gateway, SIGSTOP);
	pause_up_to(cluster, 3 * cluster->deadline_ms);
	process_signal(&cluster_host(cluster)->gateway, SIGCONT);
}

static void server_killed(struct cluster *cluster, struct fault *fault)
{
	struct server *server = pick_server(cluster);

	snprintf(fault->detail, sizeof(fault->detail), "%s", server->process.name);
	server_kill(server, fault);
	pause_up_to(cluster, 250);
	server_back(cluster, server);
}

static void server_stopped(struct cluster *cluster, struct fault *fault)
{
	struct server *server = pick_server(cluster);

	snprintf(fault->detail, sizeof(fault->detail), "%s", server->process.name);
	process_signal(&server->process, SIGSTOP);
	pause_up_to(cluster, 3 * cluster->deadline_ms);
	process_signal(&server->process, SIGCONT);
}

static void two_servers_killed(struct cluster *cluster, struct fault *fault)
{
	struct server *one = pick_server(cluster), *other = pick_server(cluster);

	snprintf(fault->detail, sizeof(fault->detail), "%s, %s", one->process.name, other->process.name);
	server_kill(one, fault);
	pause_up_to(cluster, 100);
	if (other != one)
		server_kill(other, fault);
	pause_up_to(cluster, 400);
	server_back(cluster, one);
	pause_up_to(cluster, 100);
	if (other != one)
		server_back(cluster, other);
}

/* One is left, for longer than a policy may wait. */
static void majority_killed(struct cluster *cluster, struct fault *fault)
{
	unsigned count = cluster->server_count, left = (unsigned)cluster_random(cluster, count);

	snprintf(fault->detail, sizeof(fault->detail), "%s is left", cluster->servers[left].process.name);
	for (unsigned i = 1; i < count; i++)
		server_kill(&cluster->servers[(left + i) % count], fault);
	pause_up_to(cluster, 2000);
	for (unsigned i = 1; i < count; i++)
		server_back(cluster, &cluster->servers[(left + i) % count]);
}

/* In a random order, and back in another one. */
static void all_killed(struct cluster *cluster, struct fault *fault)
{
	unsigned count = cluster->server_count, first = (unsigned)cluster_random(cluster, count);
	bool gateway_first = cluster_random(cluster, 2);

	if (gateway_first)
		gateway_kill(cluster, fault);
	for (unsigned i = 0; i < count; i++)
		server_kill(&cluster->servers[(first + i) % count], fault);
	if (!gateway_first)
		gateway_kill(cluster, fault);
	first = (unsigned)cluster_random(cluster, count);
	if (cluster_random(cluster, 2)) {
		gateway_start(cluster, cluster_host(cluster), NULL);
		gateway_first = true;
	} else {
		gateway_first = false;
	}
	for (unsigned i = 0; i < count; i++) {
		server_back(cluster, &cluster->servers[(first + i) % count]);
		pause_up_to(cluster, 40);
	}
	if (!gateway_first)
		gateway_start(cluster, cluster_host(cluster), NULL);
}

static const char *pick_point(struct cluster *cluster, const struct point *points, unsigned count, struct fault *fault)
{
	const struct point *point = &points[cluster_random(cluster, count)];

	fault->is_armed = true;
	snprintf(fault->detail, sizeof(fault->detail), "%s:%u", point->name,
		 1 + (unsigned)cluster_random(cluster, point->passages));
	return fault->detail;
}

static void point_reached(const struct process *process, struct fault *fault)
{
	if (!WIFSIGNALED(process->status) || WTERMSIG(process->status) != SIGKILL)
		tool_die(EXIT_WRONG, "%s %s; see %s", process->name, process_end_text(process), process->log_path);
	fault->has_reached = true;
	fault->kills++;
}

/* Armed at its start; a server that is lost and comes back brings it to the points of eviction and rejoin. */
static void gateway_point(struct cluster *cluster, struct fault *fault)
{
	struct host *host = cluster_host(cluster);
	struct server *server = pick_server(cluster);

	gateway_kill(cluster, fault);
	gateway_start(cluster, host, pick_point(cluster, gateway_points, gateway_point_count, fault));
	if (!process_wait(&host->gateway, 300)) {
		server_kill(server, fault);
		(void)process_wait(&host->gateway, 100);
		server_back(cluster, server);
		(void)process_wait(&host->gateway, POINT_WAIT_MS);
	}
	if (process_is_alive(&host->gateway))
		gateway_kill(cluster, fault);
	else
		point_reached(&host->gateway, fault);
	fault->gateway_killed_ns = clock_now_ns();
	gateway_start(cluster, host, NULL);
}

static void server_point(struct cluster *cluster, struct fault *fault)
{
	struct server *server = pick_server(cluster);

	server_kill(server, fault);
	server_start(cluster, server, pick_point(cluster, server_points, server_point_count, fault));
	server_wait(cluster, server);
	if (cluster_random(cluster, 3) == 0)
		gateway_killed(cluster, fault);
	(void)process_wait(&server->process, POINT_WAIT_MS);
	if (process_is_alive(&server->process))
		server_kill(server, fault);
	else
		point_reached(&server->process, fault);
	pause_up_to(cluster, 100);
	server_back(cluster, server);
}

static const char *pick_direction(struct cluster *cluster)
{
	return cluster_random(cluster, 2) ? "up" : "down";
}

static void block_one_way(struct cluster *cluster, struct fault *fault, const char *order)
{
	struct server *server = pick_server(cluster);
	const char *direction = pick_direction(cluster);

	snprintf(fault->detail, sizeof(fault->detail), "%s %s", server->process.name, direction);
	server_proxy(server, "%s %s", order, direction);
	pause_up_to(cluster, 3 * cluster->deadline_ms);
	server_proxy(server, "go");
}

/* One direction's bytes vanish; when it heals, the connections that lost some are broken. */
static void partition(struct cluster *cluster, struct fault *fault)
{
	block_one_way(cluster, fault, "drop");
}

static void zero_window(struct cluster *cluster, struct fault *fault)
{
	block_one_way(cluster, fault, "stop");
}

static void cut(struct cluster *cluster, struct fault *fault)
{
	struct server *server = pick_server(cluster);

	snprintf(fault->detail, sizeof(fault->detail), "%s %s", server->process.name, pick_direction(cluster));
	server_proxy(server, "cut %s %u times=2 how=%s", fault->detail + 2, (unsigned)cluster_random(cluster, 200000),
		     cluster_random(cluster, 2) ? "rst" : "fin");
	server_proxy(server, "reset"); /* bytes are counted from the start of a connection */
	pause_up_to(cluster, 400);
	server_proxy(server, "clear");
}

/* Two gateways may refuse each other for a while; one of them ends up with the volume. */
static void succeed(struct cluster *cluster, struct host *old, struct host *successor)
{
	for (unsigned i = 0; i < 40; i++) {
		gateway_start(cluster, successor, NULL);
		if (host_wait_served(cluster, successor, 20000))
			return;
		if (process_is_alive(&successor->gateway))
			break;
		pause_up_to(cluster, 100);
	}
	tool_die(EXIT_WRONG, "%s is not served after %s was to be succeeded; see %s", successor->app.name,
		 old->gateway.name, successor->gateway.log_path);
}

/* The volume is attached elsewhere while its gateway lives, is stopped, or is dead. */
static void takeover(struct cluster *cluster, struct fault *fault)
{
	static const char *const ways[] = {"from a live one", "from a stopped one", "from a dead one"};
	struct host *old = cluster_host(cluster), *successor;
	unsigned way = (unsigned)cluster_random(cluster, 3);

	snprintf(fault->detail, sizeof(fault->detail), "%s", ways[way]);
	old->contended_ns = clock_now_ns();
	if (way == 1)
		process_signal(&old->gateway, SIGSTOP);
	if (way == 2)
		gateway_kill(cluster, fault);
	successor = cluster_add_host(cluster);
	succeed(cluster, old, successor);
	process_signal(&old->gateway, SIGCONT);
	pause_up_to(cluster, 500); /* the old one may try what it likes */
	host_retire(cluster, old);
}

static const struct {
	const char *name;
	unsigned weight;
	void (*act)(struct cluster *cluster, struct fault *fault);
} faults[FAULT_KIND_COUNT] = {
	[FAULT_GATEWAY_KILLED] = {"gateway killed", 10, gateway_killed},
	[FAULT_GATEWAY_KILLED_ATTACHING] = {"gateway killed while attaching", 6, gateway_killed_attaching},
	[FAULT_GATEWAY_STOPPED] = {"gateway stopped", 3, gateway_stopped},
	[FAULT_GATEWAY_POINT] = {"gateway killed at a fail point", 14, gateway_point},
	[FAULT_SERVER_KILLED] = {"replica killed", 8, server_killed},
	[FAULT_SERVER_STOPPED] = {"replica stopped", 4, server_stopped},
	[FAULT_SERVER_POINT] = {"replica killed at a fail point", 14, server_point},
	[FAULT_TWO_SERVERS_KILLED] = {"two replicas killed", 6, two_servers_killed},
	[FAULT_MAJORITY_KILLED] = {"majority killed", 4, majority_killed},
	[FAULT_ALL_KILLED] = {"all killed", 4, all_killed},
	[FAULT_PARTITION] = {"one direction lost", 4, partition},
	[FAULT_ZERO_WINDOW] = {"one direction not read", 4, zero_window},
	[FAULT_CUT] = {"connection cut", 4, cut},
	[FAULT_TAKEOVER] = {"attached elsewhere", 4, takeover},
};

const char *fault_name(enum fault_kind kind)
{
	return faults[kind].name;
}

static enum fault_kind pick_kind(struct cluster *cluster)
{
	unsigned total = 0, kind = 0, at;

	for (unsigned i = 0; i < FAULT_KIND_COUNT; i++)
		total += faults[i].weight;
	at = (unsigned)cluster_random(cluster, total);
	while (at >= faults[kind].weight)
		at -= faults[kind++].weight;
	return (enum fault_kind)kind;
}

void fault_do(struct cluster *cluster, struct fault *ret)
{
	enum fault_kind kind = pick_kind(cluster);

	if (kind == FAULT_TAKEOVER && cluster->host_count == DRILL_HOSTS_MAX)
		kind = FAULT_GATEWAY_KILLED;
	*ret = (struct fault){.kind = kind, .begin_ns = clock_now_ns()};
	faults[kind].act(cluster, ret);
}
