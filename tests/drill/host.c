/* A host of a drill: a gateway, its shared memory, and the application on it. Knows nothing of faults. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "gateway/drivers/shm_ring.h"
#include "tests/drill/cluster.h"
#include "tests/native/lib/tool.h"

struct host *cluster_host(struct cluster *cluster)
{
	return &cluster->hosts[cluster->host_count - 1];
}

static void add_gateway_option(struct cluster *cluster, const char *option, const char *value)
{
	snprintf(cluster->gateway_words[cluster->gateway_word_count++], sizeof(cluster->gateway_words[0]), "%s",
		 option);
	snprintf(cluster->gateway_words[cluster->gateway_word_count++], sizeof(cluster->gateway_words[0]), "%s", value);
}

void cluster_choose_options(struct cluster *cluster)
{
	static const char *const boundaries[] = {"0", "16k", "64k", "128k"};
	static const char *const zero_copies[] = {"auto", "always", "never"};
	static const char *const syncs[] = {"20", "200", "1000"}, *const runs[] = {"1", "8", "32"};
	char deadline[16];

	/* A disk that several drills share takes its time. */
	cluster->deadline_ms = (strcmp(cluster->dir, cluster->store_dir) != 0 ? 300 : 1000) * cluster->slow;
	snprintf(deadline, sizeof(deadline), "%.1f", cluster->deadline_ms / 1000.);
	add_gateway_option(cluster, "--answer-deadline", deadline);
	cluster->may_fail = cluster_random(cluster, 5) == 0;
	add_gateway_option(cluster, "--on-no-quorum", cluster->may_fail ? "error" : "suspend");
	add_gateway_option(cluster, "--quorum-deadline", "1");
	add_gateway_option(cluster, "--reconnect", "10");
	add_gateway_option(cluster, "--bulk-min", boundaries[cluster_random(cluster, 4)]);
	add_gateway_option(cluster, "--zero-copy-send", zero_copies[cluster_random(cluster, 3)]);
	add_gateway_option(cluster, "--sync-interval", syncs[cluster_random(cluster, 3)]);
	add_gateway_option(cluster, "--read-run", runs[cluster_random(cluster, 3)]);
}

void cluster_be_patient(struct cluster *cluster)
{
	snprintf(cluster->gateway_words[1], sizeof(cluster->gateway_words[1]), "%u", 3 * cluster->slow);
}

void gateway_start(struct cluster *cluster, struct host *host, const char *failpoint)
{
	char path[256], volume[256], frontend[280];
	const char *argv[PROCESS_WORDS_MAX] = {cluster_program(cluster, "lockstep-gateway", path, sizeof(path)),
					       "--volume-file",
					       volume,
					       "--run-dir",
					       host->run_dir,
					       "--frontend",
					       frontend};
	unsigned count = 7;

	snprintf(volume, sizeof(volume), "%s/volumes/vol.yaml", cluster->dir);
	snprintf(frontend, sizeof(frontend), "shm:%s", host->shm_path);
	for (unsigned i = 0; i < cluster->gateway_word_count; i++)
		argv[count++] = cluster->gateway_words[i];
	process_start(&host->gateway, argv, failpoint);
}

static void app_start(struct cluster *cluster, struct host *host)
{
	static const char *const depths[] = {"1", "4", "16", "48"}, *const most[] = {"8k", "64k", "192k", "384k"};
	static const char *const hot[] = {"0", "64k", "512k"};
	char path[256], seed[24];
	const char *argv[] = {cluster_program(cluster, "tests/native/exerciser", path, sizeof(path)),
			      "--shm",
			      host->shm_path,
			      "--seed",
			      seed,
			      "--seconds",
			      "3600",
			      "--depth",
			      depths[cluster_random(cluster, 4)],
			      "--max",
			      most[cluster_random(cluster, 4)],
			      "--hot",
			      hot[cluster_random(cluster, 3)],
			      "--io-bytes",
			      "512k",
			      "--history",
			      host->history_path,
			      "--image",
			      host->image_path,
			      "--gateway-wait",
			      "600",
			      "--stall",
			      "600",
			      "--rate",
			      "1500",
			      "--errors-allowed",
			      "--record-only",
			      NULL};

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)host->seed);
	process_start(&host->app, argv, NULL);
}

/* The magic comes last. */
static bool is_shared_memory(const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t magic = 0;

	if (!file)
		return false;
	if (fread(&magic, sizeof(magic), 1, file) != 1)
		magic = 0;
	fclose(file);
	return magic == SHM_MAGIC;
}

struct host *cluster_add_host(struct cluster *cluster)
{
	unsigned number = cluster->host_count++;
	struct host *host = &cluster->hosts[number];
	char name[24];

	*host = (struct host){.seed = (cluster->seed * DRILL_HOSTS_MAX + number + 1) & 0xffffff};
	snprintf(name, sizeof(name), "gateway-%u", number);
	process_init(&host->gateway, cluster->dir, name);
	snprintf(name, sizeof(name), "app-%u", number);
	process_init(&host->app, cluster->dir, name);
	snprintf(host->shm_path, sizeof(host->shm_path), "/dev/shm/%.60s-%u", strrchr(cluster->dir, '/') + 1, number);
	snprintf(host->run_dir, sizeof(host->run_dir), "%s/run-%u", cluster->dir, number);
	snprintf(host->history_path, sizeof(host->history_path), "%s/history-%u", cluster->dir, number);
	snprintf(host->image_path, sizeof(host->image_path), "%s/image-%u", cluster->dir, number);
	app_start(cluster, host);
	for (unsigned waited = 0; !is_shared_memory(host->shm_path); waited++) {
		if (waited > 2000 * cluster->slow || !process_is_alive(&host->app))
			tool_die(EXIT_CANNOT, "%s has not made its shared memory", host->app.name);
		sleep_ms(5);
	}

	return host;
}

bool host_wait_served(struct cluster *cluster, struct host *host, unsigned ms)
{
	uint64_t deadline = clock_now_ns() + ms * cluster->slow * NS_PER_MS;

	/* The application opens its history when it is served. */
	while (access(host->history_path, F_OK) != 0) {
		if (clock_now_ns() > deadline || !process_is_alive(&host->gateway) || !process_is_alive(&host->app))
			return false;
		sleep_ms(5);
	}
	if (!host->serves_from_ns)
		host->serves_from_ns = clock_now_ns();
	return true;
}

void host_retire(struct cluster *cluster, struct host *host)
{
	process_signal(&host->gateway, SIGKILL);
	host->is_past = true;
	if (access(host->history_path, F_OK) != 0) {
		process_signal(&host->app, SIGKILL);
		return;
	}
	process_signal(&host->app, SIGUSR1);
	if (!process_wait(&host->app, 10000 * cluster->slow) || host->app.status != 0)
		tool_die(EXIT_WRONG, "%s %s; see %s", host->app.name, process_end_text(&host->app), host->app.log_path);
}
