/* `lockstep bench`: a volume on the user's own machines beside their raw disks and network. Everything it makes is new
 * and is removed again: a scratch volume on the replica-servers, a file without a name at each raw end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "gateway/cli/bench_raw.h"
#include "gateway/cli/bench_report.h"
#include "gateway/cli/bench_volume.h"
#include "gateway/cli/commands.h"

#define SECONDS_DEFAULT 5u

struct args {
	bool against_raw;
	struct text_list replicas;
	uint64_t size, seconds, raw_port;
	const char *serve, *listen;
};

static const struct option_spec options[] = {
	{"against-raw", OPTION_FLAG, NULL, "measure a scratch volume beside the raw disks and network under it",
	 offsetof(struct args, against_raw), 0, 0, 0},
	{"replica", OPTION_LIST, "[NAME=]HOST:PORT", "a lockstep-replica to measure; once per server",
	 offsetof(struct args, replicas), 0, 0, 0},
	{"size", OPTION_SIZE, "SIZE", "of the scratch volume, or of the raw end's scratch file (1G)",
	 offsetof(struct args, size), 16 * MIB, TIB, 0},
	{"seconds", OPTION_NUMBER, "SECONDS", "of every measurement (5)", offsetof(struct args, seconds), 1,
	 BENCH_SECONDS_MAX, 0},
	{"raw-port", OPTION_NUMBER, "PORT", "where the raw ends listen on the replicas' hosts (7429)",
	 offsetof(struct args, raw_port), 1, 65535, 0},
	{"serve", OPTION_TEXT, "DIR", "be a raw end, until SIGINT: let others measure DIR's disk and the network",
	 offsetof(struct args, serve), 0, 0, 0},
	{"listen", OPTION_TEXT, "ADDR:PORT", "with --serve: where (0.0.0.0:7429)", offsetof(struct args, listen), 0, 0,
	 0},
	OPTION_END,
};

struct bench {
	struct cli *cli;
	const struct args *args;
	unsigned seconds;
	uint64_t size_bytes;
	bool was_interrupted; /* a signal is told of once only */
	struct bench_report report;
	struct scratch scratch;
};

static bool is_interrupted(struct bench *bench)
{
	bench->was_interrupted = bench->was_interrupted || cli_was_interrupted();
	return bench->was_interrupted;
}

/* ---- the raw end ---- */

static void listening(void *ctx, const char *how)
{
	const struct bench *bench = ctx;

	cli_progress(bench->cli, "measuring %s for whoever asks, %s; Ctrl-C ends it", bench->args->serve, how);
}

static enum exit_code serve(struct bench *bench)
{
	const char *listen = bench->args->listen ? bench->args->listen : "0.0.0.0:7429";
	struct err err;
	int error;

	if (bench->args->against_raw || bench->args->replicas.count)
		return cli_fail(bench->cli, EXIT_USAGE, "--serve",
				"stands alone: it is what a replica's host runs while another one measures");
	cli_hold_signals();
	error = raw_serve(bench->args->serve, listen, bench->size_bytes, listening, bench, &err);
	if (error)
		return cli_fail_err(bench->cli, exit_code_from_errno(error), bench->args->serve, &err);
	cli_progress_end(bench->cli);
	return EXIT_DONE;
}

/* ---- raw disks and network ---- */

static enum exit_code plan_nodes(struct bench *bench)
{
	const struct text_list *replicas = &bench->args->replicas;

	if (replicas->count == 0 || replicas->count > SET_REPLICAS_MAX)
		return cli_fail(bench->cli, EXIT_USAGE, "--replica",
				"is needed, at least once and at most %u times: the servers that are measured",
				SET_REPLICAS_MAX);
	for (unsigned i = 0; i < replicas->count; i++) {
		struct bench_node *node = &bench->report.nodes[bench->report.node_count++];
		const char *equals = strchr(replicas->items[i], '=');
		const char *text = equals ? equals + 1 : replicas->items[i];
		struct address address;
		struct err err;

		if (address_parse(text, PORT_DEFAULT, &address, &err))
			return cli_fail_err(bench->cli, EXIT_USAGE, "--replica", &err);
		snprintf(node->name, sizeof(node->name), "%.*s", equals ? (int)(equals - replicas->items[i]) : 255,
			 replicas->items[i]);
		address.port = (uint16_t)(bench->args->raw_port ? bench->args->raw_port : RAW_PORT_DEFAULT);
		address_format(&address, node->address);
	}
	return EXIT_DONE;
}

static int measure_network(struct bench *bench, struct bench_node *node, struct err *err)
{
	struct bench_result result;
	int error;

	cli_progress(bench->cli, "%s: raw network", node->name);
	error = raw_echo(node->address, 1, &result, err);
	if (error)
		return error;
	node->round_trip_us = result.ops ? (double)result.ns / 1e3 / (double)result.ops : 0;
	error = raw_send(node->address, bench->seconds, &result, err);
	if (error)
		return error;
	node->send_mb_s = bench_mb_s(&result);
	error = raw_receive(node->address, bench->seconds, &result, err);
	node->receive_mb_s = error ? 0 : bench_mb_s(&result);
	return error;
}

static int measure_disk(struct bench *bench, struct bench_node *node, struct err *err)
{
	int error = 0;

	for (unsigned job = 0; job < BENCH_JOB_COUNT && !error && !is_interrupted(bench); job++) {
		cli_progress(bench->cli, "%s: raw disk, %s", node->name, bench_jobs[job].name);
		error = raw_disk(node->address, &bench_jobs[job], bench->seconds, &node->disk[job], err);
	}
	return error;
}

/* A host without a raw end is told, and left out: the volume can be measured all the same. */
static void measure_node(struct bench *bench, struct bench_node *node)
{
	struct err err;
	int error = measure_network(bench, node, &err);

	if (!error)
		error = measure_disk(bench, node, &err);
	node->is_measured = !error;
	if (!error)
		return;
	snprintf(node->reason, sizeof(node->reason),
		 "%.300s; run 'lockstep bench --serve DIR' there, DIR on the replica's disk", err.text);
	cli_warn(bench->cli, "%s: its raw disk and network stay unmeasured: %s", node->name, node->reason);
}

struct sender {
	pthread_t thread;
	const struct bench *bench;
	const struct bench_node *node;
	struct bench_result result;
	struct err err;
	int error;
};

static void *send_to_one(void *arg)
{
	struct sender *sender = arg;

	sender->error = raw_send(sender->node->address, sender->bench->seconds, &sender->result, &sender->err);
	return NULL;
}

/* As a write does: to all at once. The slowest counts. */
static void measure_all(struct bench *bench)
{
	struct sender senders[SET_REPLICAS_MAX];
	struct bench_report *report = &bench->report;
	unsigned begun = 0;

	cli_progress(bench->cli, "raw network to all at once");
	for (; begun < report->node_count; begun++) {
		senders[begun] = (struct sender){.bench = bench, .node = &report->nodes[begun]};
		if (!report->nodes[begun].is_measured ||
		    pthread_create(&senders[begun].thread, NULL, send_to_one, &senders[begun]))
			break;
	}
	for (unsigned i = 0; i < begun; i++) {
		double rate;

		(void)pthread_join(senders[i].thread, NULL);
		rate = senders[i].error ? 0 : bench_mb_s(&senders[i].result);
		if (i == 0 || rate < report->send_all_mb_s)
			report->send_all_mb_s = rate;
	}
	if (begun < report->node_count)
		report->send_all_mb_s = 0;
}

/* ---- the volume ---- */

/* User and system time of a process so far; 0 when it cannot be read. */
static double cpu_seconds(pid_t pid)
{
	unsigned long long user, system;
	char path[64], text[1024], *behind;
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	behind = strrchr(text, ')');
	if (!behind || sscanf(behind, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return 0;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static enum exit_code measure_job(struct bench *bench, int fd, struct bench_mode *mode, unsigned job)
{
	double before = cpu_seconds(bench->scratch.gateway);
	struct err err;
	int error;

	cli_progress(bench->cli, "volume, %s: %s", mode->name, bench_jobs[job].name);
	error = bench_io(fd, bench->size_bytes, &bench_jobs[job], bench->seconds, &mode->results[job], &err);
	if (error)
		return cli_fail_err(bench->cli, exit_code_from_errno(error), bench->scratch.device, &err);
	mode->cpu_s[job] = cpu_seconds(bench->scratch.gateway) - before;
	if (is_interrupted(bench))
		return cli_fail(bench->cli, EXIT_INTERRUPTED, bench->scratch.name, "interrupted; removing it");
	return EXIT_DONE;
}

static enum exit_code measure_device(struct bench *bench, struct bench_mode *mode)
{
	int fd = open(bench->scratch.device, O_RDWR | O_DIRECT | O_CLOEXEC), error;
	enum exit_code code = EXIT_DONE;
	struct err err;

	if (fd < 0)
		return cli_fail(bench->cli, exit_code_from_errno(-errno), bench->scratch.device, "%s", strerror(errno));
	cli_progress(bench->cli, "volume, %s: filling it", mode->name);
	error = bench_fill(fd, bench->size_bytes, &err);
	if (error)
		code = cli_fail_err(bench->cli, exit_code_from_errno(error), bench->scratch.device, &err);
	for (unsigned job = 0; job < BENCH_JOB_COUNT && !code; job++)
		code = measure_job(bench, fd, mode, job);
	close(fd);
	mode->is_measured = !code;
	return code;
}

static enum exit_code scratch_failed(struct bench *bench, enum exit_code code)
{
	return code ? cli_fail(bench->cli, code, bench->scratch.name, "%s", bench->scratch.reason) : EXIT_DONE;
}

/* A kernel that cannot do a mode refuses it at attach, with the reason: the other one is measured all the same. */
static enum exit_code measure_mode(struct bench *bench, unsigned idx)
{
	struct bench_mode *mode = &bench->report.modes[idx];
	enum exit_code code = scratch_attach(&bench->scratch, mode->name);

	if (code == EXIT_REFUSED && idx + 1 < BENCH_MODE_COUNT) {
		snprintf(mode->reason, sizeof(mode->reason), "%s", bench->scratch.reason);
		cli_warn(bench->cli, "%s is not measured: %s", mode->name, mode->reason);
		return EXIT_DONE;
	}
	if (code)
		return scratch_failed(bench, code);
	code = measure_device(bench, mode);
	return code ? code : scratch_failed(bench, scratch_detach(&bench->scratch));
}

static enum exit_code measure_volume(struct bench *bench)
{
	enum exit_code code = scratch_failed(
		bench, scratch_make(&bench->scratch, bench->cli, &bench->args->replicas, bench->size_bytes));

	for (unsigned i = 0; i < BENCH_MODE_COUNT && !code; i++)
		code = measure_mode(bench, i);
	scratch_remove(&bench->scratch);
	return code;
}

static enum exit_code measure(struct bench *bench)
{
	enum exit_code code = plan_nodes(bench);

	if (code)
		return code;
	cli_hold_signals();
	for (unsigned i = 0; i < bench->report.node_count && !is_interrupted(bench); i++)
		measure_node(bench, &bench->report.nodes[i]);
	if (!is_interrupted(bench))
		measure_all(bench);
	cli_progress_end(bench->cli);
	if (is_interrupted(bench))
		return cli_fail(bench->cli, EXIT_INTERRUPTED, "bench", "interrupted; no volume was made yet");
	if (!bench->cli->json)
		bench_print_raw(&bench->report);
	code = measure_volume(bench);
	if (code)
		return code;
	cli_progress_end(bench->cli);
	if (bench->cli->json)
		return cli_result(bench->cli, bench_json(&bench->report));
	bench_print_volume(&bench->report);
	return EXIT_DONE;
}

static enum exit_code run(struct cli *cli, void *data)
{
	const struct args *args = data;
	struct bench *bench = calloc(1, sizeof(*bench));
	enum exit_code code;

	if (!bench)
		return cli_fail(cli, EXIT_INTERNAL, "bench", "out of memory");
	bench->cli = cli;
	bench->args = args;
	bench->seconds = args->seconds ? (unsigned)args->seconds : SECONDS_DEFAULT;
	bench->size_bytes = (args->size ? args->size : GIB) / MIB * MIB;
	bench->report.modes[0].name = "zero-copy";
	bench->report.modes[1].name = "copy";
	if (args->serve)
		code = serve(bench);
	else if (args->against_raw)
		code = measure(bench);
	else
		code = cli_fail(cli, EXIT_USAGE, "--against-raw", "is missing; or --serve DIR on a replica's host");
	free(bench);
	return code;
}

const struct command command_bench = {
	.name = "bench",
	.operands = "",
	.summary = "measure a volume on your own machines beside their raw disks and network",
	.detail =
		"On each replica's host:  lockstep bench --serve DIR        (DIR on the disk that replicas are kept "
		"on)\n"
		"Here, as root:           lockstep bench --against-raw --replica node1:7420 --replica node2:7420\n"
		"It makes a scratch volume, measures it in zero-copy and in copy mode, and removes it again; no other\n"
		"volume is touched, but whatever uses the same disks and network is slower meanwhile.",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
