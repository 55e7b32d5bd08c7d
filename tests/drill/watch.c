/* Looks at processes, at the growth of a history and into superblocks: what the replicas have durably, not what a
 * gateway says of them. Changes nothing. */
#include "tests/drill/watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "replica-server/core/superblock.h"
#include "tests/native/lib/tool.h"

#define PROGRESS_S 40u
#define CONVERGE_S 30u
#define FLAPS 10u /* missed answers in that time: nothing is stuck, it is only slow */
#define LOOK_MS 10u
#define SOME_RECORDS 1024u /* bytes of history */

static void must_live(struct process *process)
{
	if (!process_is_alive(process))
		tool_die(EXIT_WRONG, "%s %s; see %s", process->name, process_end_text(process), process->log_path);
}

void watch_alive(struct cluster *cluster)
{
	for (unsigned i = 0; i < cluster->server_count; i++) {
		must_live(&cluster->servers[i].process);
		must_live(&cluster->servers[i].proxy);
	}
	must_live(&cluster_host(cluster)->gateway);
	if (!cluster_host(cluster)->is_done)
		must_live(&cluster_host(cluster)->app);
}

static off_t bytes_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

void watch_progress(struct cluster *cluster)
{
	const struct host *host = cluster_host(cluster);
	uint64_t deadline = clock_now_ns() + PROGRESS_S * cluster->slow * NS_PER_S;
	off_t before = bytes_of(host->history_path);

	while (bytes_of(host->history_path) < before + SOME_RECORDS) {
		watch_alive(cluster);
		if (clock_now_ns() > deadline)
			tool_die(EXIT_WRONG, "no request is answered within %u s; see %s", PROGRESS_S * cluster->slow,
				 host->gateway.log_path);
		sleep_ms(LOOK_MS);
	}
}

/* The directory of the server's replica of a set. False: it has none. */
static bool replica_dir_of(const struct server *server, unsigned set, char path[384])
{
	DIR *dir = opendir(server->data_dir);
	char prefix[24];
	struct dirent *entry;
	bool found = false;

	snprintf(prefix, sizeof(prefix), "vol.%u.", set);
	while (dir && !found && (entry = readdir(dir))) {
		found = strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
		if (found)
			snprintf(path, 384, "%.200s/%.150s", server->data_dir, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool read_superblock(const struct server *server, unsigned set, struct superblock *ret)
{
	static uint8_t image[SUPERBLOCK_FILE_BYTES];
	struct superblock_slots slots;
	char dir[384], path[512];
	ssize_t got = 0;
	int fd;

	if (!replica_dir_of(server, set, dir))
		return false;
	snprintf(path, sizeof(path), "%s/superblock", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		got = read(fd, image, sizeof(image));
	close(fd);
	/* A slot may be half written just now. */
	return got == (ssize_t)sizeof(image) && superblock_choose(image, ret, &slots) == 0;
}

static bool all_are_in(const struct config *config)
{
	for (unsigned i = 0; i < config->voter_count; i++)
		if (config->voters[i].kind == VOTER_REPLICA && config->voters[i].state != VOTER_IN)
			return false;
	return true;
}

static bool is_converged(const struct cluster *cluster, unsigned set)
{
	struct superblock first, other;

	if (!read_superblock(&cluster->servers[0], set, &first) || !all_are_in(&first.config))
		return false;
	for (unsigned i = 1; i < cluster->server_count; i++)
		if (!read_superblock(&cluster->servers[i], set, &other) ||
		    config_compare(&first.config, &other.config) != 0)
			return false;
	return true;
}

static bool all_converge(struct cluster *cluster, unsigned seconds)
{
	uint64_t deadline = clock_now_ns() + seconds * cluster->slow * NS_PER_S;

	for (unsigned set = 0; set < cluster->set_count; set++)
		while (!is_converged(cluster, set)) {
			watch_alive(cluster);
			if (clock_now_ns() > deadline)
				return false;
			sleep_ms(LOOK_MS);
		}
	return true;
}

/* How often the gateway gave a replica up because it did not answer in time. */
static unsigned missed_answers(const struct host *host)
{
	FILE *log = fopen(host->gateway.log_path, "re");
	char line[1024];
	unsigned count = 0;

	while (log && fgets(line, sizeof(line), log))
		count += strstr(line, "event=lane_closed") && strstr(line, "no answer");
	if (log)
		fclose(log);
	return count;
}

void watch_converged(struct cluster *cluster)
{
	struct host *host = cluster_host(cluster);
	unsigned missed = missed_answers(host);

	if (all_converge(cluster, CONVERGE_S))
		return;
	if (missed_answers(host) > missed + FLAPS) {
		printf("a deadline of %u ms is too short for this machine\n", cluster->deadline_ms);
		cluster_be_patient(cluster);
		process_signal(&host->gateway, SIGKILL);
		gateway_start(cluster, host, NULL);
		if (all_converge(cluster, 4 * CONVERGE_S))
			return;
	}
	tool_die(EXIT_WRONG, "not all replicas are in sync after %u s; see %s", CONVERGE_S * cluster->slow,
		 host->gateway.log_path);
}

unsigned watch_data_files(const struct cluster *cluster, unsigned set, char paths[][512])
{
	unsigned count = 0;
	char dir[384];

	for (unsigned i = 0; i < cluster->first_witness; i++)
		if (replica_dir_of(&cluster->servers[i], set, dir))
			snprintf(paths[count++], 512, "%s/data", dir);
	return count;
}
