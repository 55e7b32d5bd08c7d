/* The order of a drill. Knows what must hold in the end; how it is looked at is in watch.c and judge.c. */
#include "tests/drill/run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "gateway/drivers/volume_file.h"
#include "tests/drill/watch.h"
#include "tests/native/lib/tool.h"

#define FAULTS_MAX 64u
#define END_S 60u

struct drill {
	struct cluster cluster;
	struct fault faults[FAULTS_MAX];
	unsigned fault_count;
	struct drill_result *result;
};

/* With the time of day, as the daemons' logs have it. */
static void print_fault(const struct fault *fault)
{
	time_t now = time(NULL) - (time_t)((clock_now_ns() - fault->begin_ns) / NS_PER_S);
	char text[16];

	strftime(text, sizeof(text), "%H:%M:%S", gmtime(&now));
	printf("%s, about: %s%s%s\n", text, fault_name(fault->kind), fault->detail[0] ? ", " : "", fault->detail);
}

static void break_things(struct drill *drill, unsigned kills)
{
	struct cluster *cluster = &drill->cluster;

	while (drill->result->kills < kills && drill->fault_count < FAULTS_MAX) {
		struct fault *fault = &drill->faults[drill->fault_count++];
		uint64_t rest = cluster_random(cluster, 6);

		sleep_ms((unsigned)cluster_random(cluster, 200));
		fault_do(cluster, fault);
		print_fault(fault);
		drill->result->kills += fault->kills;
		/* Half of the faults come while the one before is not over. */
		if (rest == 0)
			watch_converged(cluster);
		if (rest < 3)
			watch_progress(cluster);
		watch_alive(cluster);
	}
}

static void must_end_well(struct cluster *cluster, struct process *process, int signal)
{
	process_signal(process, signal);
	if (!process_wait(process, END_S * 1000 * cluster->slow))
		tool_die(EXIT_WRONG, "%s does not end; see %s", process->name, process->log_path);
	if (process->status != 0)
		tool_die(EXIT_WRONG, "%s %s; see %s", process->name, process_end_text(process), process->log_path);
}

/* The application ends what it has in flight and reads all of the volume; then the gateway detaches. */
static void come_together(struct cluster *cluster)
{
	struct host *host = cluster_host(cluster);

	watch_progress(cluster);
	watch_converged(cluster);
	must_end_well(cluster, &host->app, SIGTERM);
	host->is_done = true;
	watch_converged(cluster);
	must_end_well(cluster, &host->gateway, SIGTERM);
}

static void join(char paths[][512], unsigned count, char *out, size_t cap)
{
	size_t used = 0;

	for (unsigned i = 0; i < count && used < cap; i++)
		used += (size_t)snprintf(out + used, cap - used, "%s%s", i ? "," : "", paths[i]);
}

static void must_be_identical(struct cluster *cluster)
{
	static char paths[DRILL_SERVERS_MAX][512], lists[2][DRILL_SERVERS_MAX * 512];
	const char *argv[12];
	char program[256];
	struct process compare;
	unsigned count = 0;

	snprintf(program, sizeof(program), "%s/tests/native/imgcompare", cluster->build);
	argv[count++] = program;
	argv[count++] = "--image";
	argv[count++] = cluster_host(cluster)->image_path;
	argv[count++] = "--chunk";
	argv[count++] = "64k";
	for (unsigned set = 0; set < cluster->set_count; set++) {
		unsigned files = watch_data_files(cluster, set, paths);

		join(paths, files, lists[set], sizeof(lists[set]));
		argv[count++] = lists[set];
	}
	argv[count] = NULL;
	process_init(&compare, cluster->dir, "compare");
	process_start(&compare, argv, NULL);
	if (!process_wait(&compare, 60000) || compare.status != 0)
		tool_die(EXIT_WRONG, "the replicas differ; see %s", compare.log_path);
}

static uint32_t block_bytes_of(const struct cluster *cluster)
{
	static struct volume_spec spec;
	struct err err;
	char path[256];

	snprintf(path, sizeof(path), "%s/volumes/vol.yaml", cluster->dir);
	if (volume_file_load(path, &spec, &err))
		tool_die(EXIT_CANNOT, "%s", err.text);
	return spec.block_bytes;
}

static struct judge *must_be_linearizable(struct cluster *cluster)
{
	struct judge *judge = judge_new(DRILL_VOLUME_MIB * MIB, block_bytes_of(cluster));
	const char *why = NULL;

	for (unsigned i = 0; i < cluster->host_count; i++) {
		const struct host *host = &cluster->hosts[i];
		bool is_last = i + 1 == cluster->host_count;

		/* What it had in flight took effect before its successor attached or never (P4). */
		uint64_t errors_from_ns = cluster->may_fail ? 0 : is_last ? UINT64_MAX : host->contended_ns;

		if (host->serves_from_ns &&
		    judge_add(judge, host->history_path, is_last ? UINT64_MAX : cluster->hosts[i + 1].serves_from_ns,
			      errors_from_ns, &why))
			tool_die(EXIT_WRONG, "%s: %s", host->history_path, why);
	}
	why = judge_verdict(judge);
	if (why)
		tool_die(EXIT_WRONG, "%s", why);
	return judge;
}

/* Numbers out of the events "reconciled" and "rejoined" of a gateway's log. */
static void count_copies(const struct host *host, struct drill_result *result)
{
	FILE *log = fopen(host->gateway.log_path, "re");
	char line[1024];
	uint64_t first, second;

	while (log && fgets(line, sizeof(line), log)) {
		const char *text = strstr(line, "text=\"");

		if (!text || sscanf(text, "text=\"%" SCNu64 "%*[^,], %" SCNu64, &first, &second) != 2)
			continue;
		if (strstr(line, "event=reconciled ")) {
			result->compared_regions += first;
			result->reconciled_bytes += second;
		} else if (strstr(line, "event=rejoined ")) {
			result->rejoined_bytes += second;
		}
	}
	if (log)
		fclose(log);
}

static void raise_to(uint64_t *longest, uint64_t ns)
{
	if (ns > *longest)
		*longest = ns;
}

static void report(struct drill *drill, struct judge *judge)
{
	struct drill_result *result = drill->result;

	for (unsigned i = 0; i < drill->fault_count; i++) {
		const struct fault *fault = &drill->faults[i];
		uint64_t until_ns = i + 1 < drill->fault_count ? drill->faults[i + 1].begin_ns : UINT64_MAX;
		struct judge_pause pause = judge_pause(judge, fault->begin_ns, until_ns);

		result->faults[fault->kind].count++;
		printf("%s, %s: %s pause %llu ms\n", fault_name(fault->kind), fault->detail,
		       pause.end_ns < until_ns ? "alone" : "with the next one in it",
		       (unsigned long long)pause.length_ns / 1000000);
		raise_to(&result->faults[fault->kind].longest_pause_ns, pause.length_ns);
		if (pause.end_ns < until_ns)
			raise_to(&result->faults[fault->kind].longest_alone_ns, pause.length_ns);
		result->points_armed += fault->is_armed;
		result->points_reached += fault->has_reached;
		if (fault->gateway_killed_ns) {
			result->gateway_kills++;
			result->in_flight_bytes += judge_bytes_in_flight(judge, fault->gateway_killed_ns);
		}
	}
	for (unsigned i = 0; i < drill->cluster.host_count; i++)
		count_copies(&drill->cluster.hosts[i], result);
	result->judged = judge_totals(judge);
}

void drill_run(const struct drill_options *options, uint64_t seed, struct drill_result *ret)
{
	static struct drill drill;
	uint64_t begin_ns = clock_now_ns();
	struct judge *judge;

	*ret = (struct drill_result){.seed = seed};
	drill.result = ret;
	cluster_start(&drill.cluster, options->build, seed);
	snprintf(ret->layout, sizeof(ret->layout), "%s", drill.cluster.layout);
	printf("seed %llu: %s, in %s\n", (unsigned long long)seed, ret->layout, drill.cluster.dir);
	break_things(&drill, options->kills);
	come_together(&drill.cluster);
	must_be_identical(&drill.cluster);
	judge = must_be_linearizable(&drill.cluster);
	report(&drill, judge);
	judge_free(judge);
	cluster_end(&drill.cluster, options->keeps);
	ret->seconds = (double)(clock_now_ns() - begin_ns) / 1e9;
	ret->is_good = true;
}
