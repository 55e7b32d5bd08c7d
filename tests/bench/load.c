/* load: a closed loop of block requests through a gateway's shared-memory frontend, with as little work of its own as
 * can be: nothing is checked (the exerciser does that), a request costs it some tens of nanoseconds.
 * Commands come on standard input, one a line; each is answered by one line of JSON:
 *   fill                                            every block of the volume once
 *   run KIND BYTES DEPTH SECONDS WARM-UP-SECONDS    KIND: randwrite randread write read mixed
 * "mixed": 70 % reads, 30 % writes at random, a flush after every 32 writes. End of input ends it. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "gateway/drivers/shm_ring.h"
#include "tests/bench/lib/latency.h"
#include "tests/native/lib/tool.h"

#define GATEWAY_WAIT_MS 60000
#define STALL_MS 60000
#define MIXED_READ_PERCENT 70u
#define MIXED_FLUSH_EVERY 32u

enum kind { RANDWRITE, RANDREAD, WRITE, READ, MIXED, FILL };
static const char *const kind_names[] = {"randwrite", "randread", "write", "read", "mixed", "fill"};

struct job {
	enum kind kind;
	uint64_t bytes;
	unsigned depth;
	double seconds, warm_up;
};

struct load {
	struct shm_client *client;
	uint64_t volume_bytes, random;
	struct job job;
	uint64_t next; /* block, of the sequential kinds */
	unsigned writes_since_flush;
	uint64_t begun_ns[QUEUE_DEPTH_MAX];
	uint64_t bytes_of[QUEUE_DEPTH_MAX];
	uint64_t ops, bytes, errors;
	struct latency latency;
};

static bool is_sequential(enum kind kind)
{
	return kind == WRITE || kind == READ || kind == FILL;
}

static enum shm_op pick_op(struct load *load)
{
	switch (load->job.kind) {
	case RANDREAD:
	case READ:
		return SHM_READ;
	case MIXED:
		break;
	default:
		return SHM_WRITE;
	}
	if (load->writes_since_flush >= MIXED_FLUSH_EVERY) {
		load->writes_since_flush = 0;
		return SHM_FLUSH;
	}
	if (tool_random_below(&load->random, 100) < MIXED_READ_PERCENT)
		return SHM_READ;
	load->writes_since_flush++;
	return SHM_WRITE;
}

static void issue(struct load *load, unsigned slot, uint64_t now_ns)
{
	uint64_t blocks = load->volume_bytes / load->job.bytes;
	enum shm_op op = pick_op(load);
	uint64_t at = 0;
	int error;

	if (op != SHM_FLUSH)
		at = is_sequential(load->job.kind) ? load->next++ % blocks : tool_random_below(&load->random, blocks);
	load->begun_ns[slot] = now_ns;
	load->bytes_of[slot] = op == SHM_FLUSH ? 0 : load->job.bytes;
	error = shm_client_submit(load->client, slot, op, 0, at * load->job.bytes, load->bytes_of[slot]);
	if (error)
		tool_die(EXIT_CANNOT, "submit: %s", strerror(-error));
}

static void forget_results(struct load *load)
{
	load->ops = load->bytes = load->errors = 0;
	memset(&load->latency, 0, sizeof(load->latency));
}

static void finish(struct load *load, const struct shm_completion *done, uint64_t now_ns)
{
	load->ops++;
	load->bytes += load->bytes_of[done->slot];
	load->errors += done->error != 0;
	latency_add(&load->latency, now_ns - load->begun_ns[done->slot]);
}

/* Waits for something, takes all there is, and issues as many again while the job goes on. */
static uint64_t turn(struct load *load, bool goes_on)
{
	struct shm_completion done[QUEUE_DEPTH_MAX];
	uint64_t now_ns;
	unsigned count;

	if (shm_client_wait(load->client, STALL_MS))
		tool_die(EXIT_WRONG, "no request was completed for %d s", STALL_MS / 1000);
	count = shm_client_poll(load->client, done, load->job.depth);
	now_ns = clock_now_ns();
	for (unsigned i = 0; i < count; i++) {
		finish(load, &done[i], now_ns);
		if (goes_on)
			issue(load, done[i].slot, now_ns);
	}
	return now_ns;
}

static void begin(struct load *load)
{
	uint64_t now_ns = clock_now_ns();

	load->next = load->writes_since_flush = 0;
	forget_results(load);
	for (unsigned slot = 0; slot < load->job.depth; slot++)
		issue(load, slot, now_ns);
}

static void drain(struct load *load)
{
	while (shm_client_outstanding(load->client) > 0)
		(void)turn(load, false);
}

static void report(const struct load *load, uint64_t ns)
{
	printf("{\"ops\": %llu, \"bytes\": %llu, \"errors\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, "
	       "\"p99_us\": %.1f}\n",
	       (unsigned long long)load->ops, (unsigned long long)load->bytes, (unsigned long long)load->errors,
	       (double)ns / 1e9, (double)latency_at(&load->latency, 500) / 1e3,
	       (double)latency_at(&load->latency, 990) / 1e3);
	fflush(stdout);
}

/* What completes between two looks at the clock counts; what is still in flight at the end does not. */
static void run(struct load *load)
{
	uint64_t start_ns, now_ns, end_ns;

	begin(load);
	start_ns = now_ns = clock_now_ns();
	end_ns = start_ns + (uint64_t)(load->job.warm_up * 1e9);
	while (now_ns < end_ns)
		now_ns = turn(load, true);
	forget_results(load);
	start_ns = now_ns;
	end_ns = start_ns + (uint64_t)(load->job.seconds * 1e9);
	while (now_ns < end_ns)
		now_ns = turn(load, true);
	report(load, now_ns - start_ns);
	drain(load);
}

static void fill(struct load *load, unsigned depth, uint64_t bytes)
{
	uint64_t start_ns = clock_now_ns();
	uint64_t blocks = load->volume_bytes / bytes;

	load->job = (struct job){.kind = FILL, .bytes = bytes, .depth = depth < blocks ? depth : (unsigned)blocks};
	begin(load);
	while (load->next < blocks)
		(void)turn(load, true);
	drain(load);
	report(load, clock_now_ns() - start_ns);
}

static enum kind kind_of(const char *word)
{
	for (unsigned kind = RANDWRITE; kind < FILL; kind++)
		if (!strcmp(word, kind_names[kind]))
			return (enum kind)kind;
	tool_die(EXIT_CANNOT, "no such kind of load: %s", word);
}

static void command(struct load *load, const char *line, uint32_t io_bytes)
{
	char kind[16];
	unsigned long long bytes;
	struct job *job = &load->job;

	if (!strcmp(line, "fill\n")) {
		fill(load, shm_client_depth(load->client) < 8 ? shm_client_depth(load->client) : 8, io_bytes);
		return;
	}
	if (sscanf(line, "run %15s %llu %u %lf %lf", kind, &bytes, &job->depth, &job->seconds, &job->warm_up) != 5)
		tool_die(EXIT_CANNOT, "no such command: %s", line);
	job->kind = kind_of(kind);
	job->bytes = bytes;
	if (bytes == 0 || bytes > io_bytes || bytes > load->volume_bytes)
		tool_die(EXIT_CANNOT, "run: %llu bytes are not in 1 to %u, or more than the volume has", bytes,
			 io_bytes);
	if (job->depth == 0 || job->depth > shm_client_depth(load->client))
		tool_die(EXIT_CANNOT, "run: depth %u is not in 1 to %u", job->depth, shm_client_depth(load->client));
	run(load);
}

struct arguments {
	const char *shm;
	unsigned depth;
	uint32_t io_bytes;
};

static struct arguments parse(int argc, char **argv)
{
	static const struct option options[] = {{"shm", required_argument, NULL, 's'},
						{"depth", required_argument, NULL, 'd'},
						{"io-bytes", required_argument, NULL, 'i'},
						{NULL, 0, NULL, 0}};
	struct arguments arguments = {.depth = 256, .io_bytes = IO_BYTES_MAX};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			arguments.shm = optarg;
		else if (option == 'd')
			arguments.depth = (unsigned)tool_number(optarg, "--depth");
		else if (option == 'i')
			arguments.io_bytes = (uint32_t)tool_number(optarg, "--io-bytes");
		else
			tool_die(EXIT_CANNOT, "load --shm PATH [--depth N] [--io-bytes N]");
	}
	if (!arguments.shm || optind != argc)
		tool_die(EXIT_CANNOT, "load --shm PATH [--depth N] [--io-bytes N]");
	return arguments;
}

/* Not zeros: nothing on the way may profit from them. */
static void fill_payloads(struct load *load, uint32_t io_bytes)
{
	for (unsigned slot = 0; slot < shm_client_depth(load->client); slot++) {
		uint64_t *words = shm_client_payload(load->client, slot);

		for (uint32_t i = 0; i < io_bytes / sizeof(*words); i++)
			words[i] = tool_random(&load->random);
	}
}

int main(int argc, char **argv)
{
	struct arguments arguments = parse(argc, argv);
	struct load *load = tool_zalloc(sizeof(*load));
	uint32_t gateways = 0;
	struct err err = {0};
	char line[128];

	load->random = 1;
	if (shm_client_create(arguments.shm, arguments.depth, arguments.io_bytes, &load->client, &err))
		tool_die(EXIT_CANNOT, "%s", err.text);
	fill_payloads(load, arguments.io_bytes);
	printf("{\"ready\": true}\n");
	fflush(stdout);
	if (shm_client_wait_gateway(load->client, &gateways, GATEWAY_WAIT_MS))
		tool_die(EXIT_CANNOT, "no gateway serves %s", arguments.shm);
	load->volume_bytes = shm_client_volume_bytes(load->client);
	printf("{\"volume_bytes\": %llu}\n", (unsigned long long)load->volume_bytes);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		command(load, line, arguments.io_bytes);
	shm_client_free(load->client);
	free(load);
	return 0;
}
