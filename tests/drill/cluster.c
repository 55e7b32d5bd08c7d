/* Starting and ending of what a drill runs. Decides by the seed how the volume is laid out; harms nobody. */
#include "tests/drill/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/native/lib/tool.h"

#define FIRST_PORT 7420u
#define FIRST_PROXY_PORT 8420u

uint64_t cluster_random(struct cluster *cluster, uint64_t below)
{
	return tool_random_below(&cluster->random, below);
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		tool_die(EXIT_CANNOT, "%s: %s", path, strerror(errno));
}

static void make_dirs(struct cluster *cluster)
{
	const char *tmp = getenv("TMPDIR");
	bool in_memory = cluster_random(cluster, 4);
	char path[256];

	if (snprintf(cluster->dir, sizeof(cluster->dir), "%s/lockstep-drill.XXXXXX", tmp ? tmp : "/tmp") >=
	    (int)sizeof(cluster->dir))
		tool_die(EXIT_CANNOT, "TMPDIR: too long for a socket's name");
	if (!mkdtemp(cluster->dir))
		tool_die(EXIT_CANNOT, "%s: %s", cluster->dir, strerror(errno));
	snprintf(cluster->store_dir, sizeof(cluster->store_dir), "%s", cluster->dir);
	if (in_memory) {
		snprintf(cluster->store_dir, sizeof(cluster->store_dir), "/dev/shm/%.60s",
			 strrchr(cluster->dir, '/') + 1);
		make_dir(cluster->store_dir);
	}
	snprintf(path, sizeof(path), "%s/volumes", cluster->dir);
	make_dir(path);
	setenv("LOCKSTEP_CONFIG_DIR", cluster->dir, 1);
	/* An address of its own for every drill: no port is ever taken by a neighbour. */
	snprintf(cluster->ip, sizeof(cluster->ip), "127.%d.%d.%d", 64 + (getpid() >> 16) % 64, (getpid() >> 8) & 0xff,
		 1 + getpid() % 250);
}

const char *cluster_program(const struct cluster *cluster, const char *name, char *path, size_t cap)
{
	snprintf(path, cap, "%s/%s", cluster->build, name);
	return path;
}

/* ---- servers and their proxies ---- */

void server_start(struct cluster *cluster, struct server *server, const char *failpoint)
{
	char path[256], listen[48];
	const char *argv[] = {cluster_program(cluster, "lockstep-replica", path, sizeof(path)),
			      "--listen",
			      listen,
			      "--data",
			      server->data_dir,
			      "--threads",
			      "1",
			      NULL};

	snprintf(listen, sizeof(listen), "%s:%u", cluster->ip, server->port);
	process_start(&server->process, argv, failpoint);
}

static bool is_listening(const struct cluster *cluster, unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	inet_pton(AF_INET, cluster->ip, &address.sin_addr);
	ok = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return ok;
}

static void wait_listening(struct cluster *cluster, struct process *process, unsigned port)
{
	uint64_t deadline = clock_now_ns() + 10 * cluster->slow * NS_PER_S;

	while (process_is_alive(process) && !is_listening(cluster, port)) {
		if (clock_now_ns() > deadline)
			tool_die(EXIT_WRONG, "%s does not listen", process->name);
		sleep_ms(5);
	}
}

void server_wait(struct cluster *cluster, struct server *server)
{
	wait_listening(cluster, &server->process, server->port);
}

static void proxy_start(struct cluster *cluster, struct server *server)
{
	char path[256], listen[48], target[48];
	const char *argv[] = {cluster_program(cluster, "tests/native/faultproxy", path, sizeof(path)),
			      "--listen",
			      listen,
			      "--connect",
			      target,
			      "--control",
			      server->proxy_socket,
			      NULL};

	snprintf(listen, sizeof(listen), "%s:%u", cluster->ip, server->proxy_port);
	snprintf(target, sizeof(target), "%s:%u", cluster->ip, server->port);
	process_start(&server->proxy, argv, NULL);
	wait_listening(cluster, &server->proxy, server->proxy_port);
}

void server_proxy(struct server *server, const char *format, ...)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char line[128], answer[256];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->proxy_socket);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		tool_die(EXIT_CANNOT, "%s: %s", server->proxy_socket, strerror(errno));
	tool_write_all(fd, line, strlen(line));
	if (read(fd, answer, sizeof(answer)) <= 0 || strncmp(answer, "error", 5) == 0)
		tool_die(EXIT_CANNOT, "%s: '%s' was not understood", server->proxy.name, line);
	close(fd);
}

static void make_servers(struct cluster *cluster)
{
	for (unsigned i = 0; i < cluster->server_count; i++) {
		struct server *server = &cluster->servers[i];
		char name[8];

		snprintf(name, sizeof(name), "%c", 'a' + (int)i);
		process_init(&server->process, cluster->dir, name);
		snprintf(server->data_dir, sizeof(server->data_dir), "%s/%s", cluster->store_dir, name);
		make_dir(server->data_dir);
		snprintf(name, sizeof(name), "proxy-%c", 'a' + (int)i);
		process_init(&server->proxy, cluster->dir, name);
		snprintf(server->proxy_socket, sizeof(server->proxy_socket), "%s/%s.sock", cluster->dir, name);
		server->port = FIRST_PORT + i;
		server->proxy_port = FIRST_PROXY_PORT + i;
		server_start(cluster, server, NULL);
		server_wait(cluster, server);
		proxy_start(cluster, server);
	}
}

/* ---- the volume ---- */

/* Words of a command line, with memory for those that are made. */
struct words {
	const char *argv[PROCESS_WORDS_MAX];
	char made[DRILL_SERVERS_MAX][64];
	unsigned count, made_count;
};

static void add_voter(struct words *words, const struct cluster *cluster, unsigned i)
{
	char *made = words->made[words->made_count++];

	snprintf(made, sizeof(words->made[0]), "%c=%s:%u", 'a' + (int)i, cluster->ip, cluster->servers[i].proxy_port);
	words->argv[words->count++] = i < cluster->first_witness ? "--replica" : "--witness";
	words->argv[words->count++] = made;
}

static void make_volume(struct cluster *cluster)
{
	static const char *const block_sizes[] = {"512", "4096"}, *const set_counts[] = {"0", "1", "2"};
	struct words words = {0};
	struct process create;
	char path[256], size[16];
	const char *fixed[] = {cluster_program(cluster, "lockstep", path, sizeof(path)),
			       "volume",
			       "create",
			       "vol",
			       "--size",
			       size,
			       "--block-size",
			       block_sizes[cluster_random(cluster, 2)],
			       "--chunk",
			       "64k",
			       "--sets",
			       set_counts[cluster->set_count]};

	snprintf(size, sizeof(size), "%um", DRILL_VOLUME_MIB);
	for (unsigned i = 0; i < ARRAY_COUNT(fixed); i++)
		words.argv[words.count++] = fixed[i];
	for (unsigned i = 0; i < cluster->server_count; i++)
		add_voter(&words, cluster, i);
	process_init(&create, cluster->dir, "create");
	process_start(&create, words.argv, NULL);
	if (!process_wait(&create, 20000 * cluster->slow) || create.status != 0)
		tool_die(EXIT_WRONG, "volume create %s; see %s", process_end_text(&create), create.log_path);
}

/* ---- begin and end ---- */

static void choose_layout(struct cluster *cluster)
{
	static const struct {
		unsigned replicas, witnesses, sets;
		const char *text;
	} layouts[] = {
		{2, 1, 1, "two replicas and a witness"},
		{2, 1, 2, "two replicas and a witness, two sets"},
		{3, 0, 1, "three replicas"},
		{3, 0, 2, "three replicas, two sets"},
		{5, 0, 1, "five replicas"},
	};
	unsigned pick = (unsigned)cluster_random(cluster, ARRAY_COUNT(layouts));

	cluster->server_count = layouts[pick].replicas + layouts[pick].witnesses;
	cluster->first_witness = layouts[pick].replicas;
	cluster->set_count = layouts[pick].sets;
	snprintf(cluster->layout, sizeof(cluster->layout), "%s%s%s", layouts[pick].text,
		 strcmp(cluster->dir, cluster->store_dir) != 0 ? ", in memory" : "",
		 cluster->may_fail ? ", requests fail without a majority" : "");
}

void cluster_start(struct cluster *cluster, const char *build, uint64_t seed)
{
	const char *slow = getenv("SLOW");
	struct host *host;

	*cluster =
		(struct cluster){.build = build, .seed = seed, .random = seed, .slow = slow ? (unsigned)atoi(slow) : 1};
	make_dirs(cluster);
	cluster_choose_options(cluster);
	choose_layout(cluster);
	make_servers(cluster);
	make_volume(cluster);
	for (unsigned i = 0; i < cluster->server_count; i++) {
		server_proxy(&cluster->servers[i], "delay up %u", (unsigned)cluster_random(cluster, 4));
		server_proxy(&cluster->servers[i], "delay down %u", (unsigned)cluster_random(cluster, 4));
	}
	host = cluster_add_host(cluster);
	gateway_start(cluster, host, NULL);
	if (!host_wait_served(cluster, host, 20000) && process_is_alive(&host->gateway)) {
		/* Nothing was broken yet: the machine stands still for longer than the deadline. */
		cluster_be_patient(cluster);
		process_signal(&host->gateway, SIGKILL);
		gateway_start(cluster, host, NULL);
	}
	if (!host_wait_served(cluster, host, 60000))
		tool_die(EXIT_WRONG, "the volume is not served; see %s", host->gateway.log_path);
}

static void remove_tree(const char *path)
{
	const char *argv[] = {"/bin/rm", "-rf", path, NULL};
	struct process rm;

	process_init(&rm, "/dev", "null");
	snprintf(rm.log_path, sizeof(rm.log_path), "/dev/null");
	process_start(&rm, argv, NULL);
	(void)process_wait(&rm, 60000);
}

void cluster_end(struct cluster *cluster, bool keep)
{
	for (unsigned i = 0; i < cluster->host_count; i++) {
		process_signal(&cluster->hosts[i].gateway, SIGKILL);
		process_signal(&cluster->hosts[i].app, SIGKILL);
		unlink(cluster->hosts[i].shm_path);
	}
	for (unsigned i = 0; i < cluster->server_count; i++) {
		process_signal(&cluster->servers[i].process, SIGKILL);
		process_signal(&cluster->servers[i].proxy, SIGKILL);
	}
	if (keep)
		return;
	if (strcmp(cluster->dir, cluster->store_dir) != 0)
		remove_tree(cluster->store_dir);
	remove_tree(cluster->dir);
}
