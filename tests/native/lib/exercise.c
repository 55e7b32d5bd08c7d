/* The exerciser's engine: one operation per slot of the shared memory, each checked when it completes.
 * Knows no replicas, no network and no processes: only a volume that must behave as one register per sector. */
#include "tests/native/lib/exercise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "gateway/drivers/shm_ring.h"
#include "tests/native/lib/expect.h"
#include "tests/native/lib/stamp.h"
#include "tests/native/lib/tool.h"

#define UNREAD_BYTE 0xa5 /* in a read's memory before it: anything not written by the gateway shows */
#define SPENT_BYTE 0x5a	 /* in a write's memory after it: anything sent after completion shows (P6) */
#define GUARD_BYTES 4096u
#define BUSY_PERIOD_NS (100 * NS_PER_MS)

struct flight {
	struct operation operation;
	bool busy, again; /* again: a verification's read that failed, to be done once more */
	uint64_t op, value, begin, begin_ns;
};

struct exercise {
	const struct exercise_options *options;
	struct shm_client *client;
	struct workload workload;
	struct expect *expect;
	struct history *history;
	struct history_run *runs; /* scratch: as many as a payload has sectors */
	struct flight flights[QUEUE_DEPTH_MAX];
	uint64_t volume_bytes, clock, op_count, started_ns, progress_ns, next_issue_ns, served_ns;
	bool is_verifying; /* served_ns: the last operation that did not fail */
	int image_fd;	   /* >= 0 while the whole volume is read */
	struct exercise_totals totals;
};

static void load_initial(struct exercise *exercise)
{
	uint8_t sector[SECTOR_BYTES];
	FILE *file;

	if (!exercise->options->initial_path)
		return;
	file = fopen(exercise->options->initial_path, "re");
	if (!file)
		tool_die(EXIT_CANNOT, "%s: %s", exercise->options->initial_path, strerror(errno));
	for (uint64_t at = 0; at < exercise->volume_bytes / SECTOR_BYTES; at++) {
		if (fread(sector, 1, SECTOR_BYTES, file) != SECTOR_BYTES)
			tool_die(EXIT_CANNOT, "%s: shorter than the volume", exercise->options->initial_path);
		expect_initial(exercise->expect, at, stamp_read(sector, at));
	}
	fclose(file);
}

static void wait_for_gateway(struct exercise *exercise)
{
	int timeout_ms = (int)exercise->options->gateway_seconds * 1000;

	if (shm_client_wait_gateway(exercise->client, &exercise->totals.gateways, timeout_ms) != 0)
		tool_die(EXIT_WRONG, "no gateway serves %s after %u s", exercise->options->shm_path,
			 exercise->options->gateway_seconds);
	exercise->volume_bytes = shm_client_volume_bytes(exercise->client);
	exercise->progress_ns = clock_now_ns();
}

struct exercise *exercise_new(const struct exercise_options *options)
{
	struct exercise *exercise = tool_zalloc(sizeof(*exercise));
	struct err err = {0};

	exercise->options = options;
	exercise->image_fd = -1;
	if (shm_client_create(options->shm_path, options->depth, options->io_bytes, &exercise->client, &err) != 0)
		tool_die(EXIT_CANNOT, "%s", err.text);
	wait_for_gateway(exercise);
	workload_init(&exercise->workload, &options->workload, exercise->volume_bytes,
		      shm_client_block_bytes(exercise->client));
	exercise->expect = expect_new(exercise->volume_bytes / SECTOR_BYTES);
	load_initial(exercise);
	exercise->history = history_open(options->history_path, options->workload.seed, exercise->volume_bytes);
	exercise->runs = tool_zalloc(options->io_bytes / SECTOR_BYTES * sizeof(*exercise->runs));
	exercise->started_ns = clock_now_ns();
	return exercise;
}

_Noreturn static void finding(struct exercise *exercise, const struct flight *flight, const char *what)
{
	history_close(exercise->history);
	tool_die(EXIT_WRONG,
		 "WRONG: op %llu (kind %d, offset %llu, length %llu, issued %llu, now %llu): %s\nseed %llu; replay: %s",
		 (unsigned long long)flight->op, (int)flight->operation.kind,
		 (unsigned long long)flight->operation.offset, (unsigned long long)flight->operation.length,
		 (unsigned long long)flight->begin, (unsigned long long)exercise->clock, what,
		 (unsigned long long)exercise->options->workload.seed, exercise->options->replay);
}

_Noreturn static void finding_in_sector(struct exercise *exercise, const struct flight *flight, uint64_t sector,
					const uint8_t *bytes, uint64_t value)
{
	char what[160] = "", legal[1024], text[1400];

	if (value == VALUE_GARBAGE)
		stamp_describe(bytes, sector, what);
	expect_describe(exercise->expect, sector, legal, sizeof(legal));
	snprintf(text, sizeof(text), "sector %llu holds value %#llx %s; legal: %s", (unsigned long long)sector,
		 (unsigned long long)value, what, legal);
	finding(exercise, flight, text);
}

static uint8_t *payload(struct exercise *exercise, unsigned slot)
{
	return shm_client_payload(exercise->client, slot);
}

/* How much memory behind the payload is watched for writes past its end. */
static uint32_t guard_bytes(const struct exercise *exercise, uint64_t length)
{
	uint64_t left = exercise->options->io_bytes - length;

	return left < GUARD_BYTES ? (uint32_t)left : GUARD_BYTES;
}

static void prepare(struct exercise *exercise, unsigned slot, struct flight *flight)
{
	const struct operation *operation = &flight->operation;
	uint64_t first = operation->offset >> SECTOR_SHIFT, count = operation->length >> SECTOR_SHIFT;
	uint8_t *bytes = payload(exercise, slot);

	if (operation->kind == HISTORY_READ)
		memset(bytes, UNREAD_BYTE, operation->length + guard_bytes(exercise, operation->length));
	if (operation->kind == HISTORY_WRITE) {
		flight->value = (exercise->options->workload.seed << 40) + flight->op;
		for (uint64_t i = 0; i < count; i++)
			stamp_write(bytes + (i << SECTOR_SHIFT), flight->value, first + i);
	}
	if (operation->kind != HISTORY_READ)
		expect_write_begin(exercise->expect, flight->op, flight->value, first, count, flight->begin);
}

static void issue(struct exercise *exercise, unsigned slot, const struct operation *operation)
{
	static const enum shm_op ops[] = {
		[HISTORY_READ] = SHM_READ,	 [HISTORY_WRITE] = SHM_WRITE, [HISTORY_ZEROES] = SHM_ZEROES,
		[HISTORY_DISCARD] = SHM_DISCARD, [HISTORY_FLUSH] = SHM_FLUSH,
	};
	struct flight *flight = &exercise->flights[slot];
	int error;

	*flight = (struct flight){
		.operation = *operation,
		.busy = true,
		.op = ++exercise->op_count,
		.begin = ++exercise->clock,
		.begin_ns = clock_now_ns(),
		.value = VALUE_ZERO,
	};
	prepare(exercise, slot, flight);
	error = shm_client_submit(exercise->client, slot, ops[operation->kind], operation->flags, operation->offset,
				  operation->length);
	if (error)
		tool_die(EXIT_CANNOT, "submit: %s", strerror(-error));
}

static bool is_legal(struct exercise *exercise, const struct flight *flight, uint64_t sector, uint64_t value)
{
	if (exercise->options->record_only)
		return value != VALUE_GARBAGE;
	return expect_read(exercise->expect, sector, value, flight->begin, exercise->clock);
}

/* Checks every sector; returns how many runs of equal values there were. */
static unsigned check_read(struct exercise *exercise, const struct flight *flight, const uint8_t *bytes)
{
	uint64_t first = flight->operation.offset >> SECTOR_SHIFT, count = flight->operation.length >> SECTOR_SHIFT;
	unsigned runs = 0;

	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *sector = bytes + (i << SECTOR_SHIFT);
		uint64_t value = stamp_read(sector, first + i);

		if (!is_legal(exercise, flight, first + i, value))
			finding_in_sector(exercise, flight, first + i, sector, value);
		if (runs == 0 || exercise->runs[runs - 1].value != value)
			exercise->runs[runs++] = (struct history_run){.value = value};
		exercise->runs[runs - 1].sectors++;
	}
	for (uint32_t i = 0; i < guard_bytes(exercise, flight->operation.length); i++)
		if (bytes[flight->operation.length + i] != UNREAD_BYTE)
			finding(exercise, flight, "memory behind the read's payload was written");
	exercise->totals.sectors_checked += count;
	return runs;
}

static void save_to_image(struct exercise *exercise, const struct flight *flight, const uint8_t *bytes)
{
	if (exercise->image_fd < 0)
		return;
	if (pwrite(exercise->image_fd, bytes, flight->operation.length, (off_t)flight->operation.offset) !=
	    (ssize_t)flight->operation.length)
		tool_die(EXIT_CANNOT, "%s: %s", exercise->options->image_path, strerror(errno));
}

static unsigned finish_well(struct exercise *exercise, unsigned slot, struct flight *flight)
{
	const struct operation *operation = &flight->operation;
	uint64_t first = operation->offset >> SECTOR_SHIFT, count = operation->length >> SECTOR_SHIFT;
	unsigned runs = 0;

	exercise->totals.bytes += operation->length;
	if (operation->kind == HISTORY_READ) {
		exercise->totals.reads++;
		runs = check_read(exercise, flight, payload(exercise, slot));
		save_to_image(exercise, flight, payload(exercise, slot));
		return runs;
	}
	expect_write_end(exercise->expect, flight->op, first, count, flight->begin, exercise->clock);
	if (operation->kind == HISTORY_WRITE) {
		exercise->totals.writes++;
		memset(payload(exercise, slot), SPENT_BYTE, operation->length);
	}
	return 0;
}

static void finish_badly(struct exercise *exercise, const struct flight *flight, int error)
{
	const struct operation *operation = &flight->operation;

	char text[80];

	exercise->totals.errors++;
	if (exercise->options->errors_allowed && operation->kind != HISTORY_READ)
		expect_write_failed(exercise->expect, flight->op, operation->offset >> SECTOR_SHIFT,
				    operation->length >> SECTOR_SHIFT, exercise->clock);
	if (exercise->options->errors_allowed)
		return;
	snprintf(text, sizeof(text), "failed with %s", err_name(error));
	finding(exercise, flight, text);
}

static struct history_record record_of(const struct flight *flight)
{
	return (struct history_record){
		.op = flight->op,
		.offset = flight->operation.offset,
		.length = flight->operation.length,
		.begin = flight->begin,
		.end = EXPECT_OPEN,
		.begin_ns = flight->begin_ns,
		.end_ns = EXPECT_OPEN,
		.value = flight->value,
		.kind = flight->operation.kind,
	};
}

static void finish(struct exercise *exercise, const struct shm_completion *completion)
{
	struct flight *flight = &exercise->flights[completion->slot];
	struct history_record record = record_of(flight);
	unsigned runs = 0;

	if (!flight->busy)
		tool_die(EXIT_WRONG, "WRONG: slot %u completed twice", completion->slot);
	exercise->totals.ops++;
	record.error = completion->error;
	record.end = ++exercise->clock;
	record.end_ns = exercise->progress_ns = clock_now_ns();
	if (completion->error) {
		finish_badly(exercise, flight, completion->error);
		flight->again = exercise->is_verifying;
	} else {
		runs = finish_well(exercise, completion->slot, flight);
		exercise->served_ns = record.end_ns;
	}
	flight->busy = false;
	history_append(exercise->history, &record, exercise->runs, runs);
}

/* How long a pause of --busy lasts from now on; 0: it is time to work. */
static uint64_t pause_left_ns(const struct exercise *exercise, uint64_t now_ns)
{
	uint64_t at_ns = (now_ns - exercise->started_ns) % BUSY_PERIOD_NS;

	if (!exercise->options->busy_percent || at_ns < BUSY_PERIOD_NS / 100 * exercise->options->busy_percent)
		return 0;
	return BUSY_PERIOD_NS - at_ns;
}

/* Until the next operation is due, at most half a second. */
static int patience_ms(const struct exercise *exercise)
{
	uint64_t now_ns = clock_now_ns(), left_ms, pause_ns = pause_left_ns(exercise, now_ns);

	if (pause_ns > 0)
		return (int)(pause_ns / NS_PER_MS) + 1;
	if (!exercise->options->rate)
		return 500;
	left_ms = exercise->next_issue_ns > now_ns ? (exercise->next_issue_ns - now_ns) / NS_PER_MS : 0;
	return left_ms < 500 ? (int)left_ms + 1 : 500;
}

/* Waits for completions and handles them. Looks for a new gateway meanwhile: a killed one leaves its requests
 * submitted. */
static void reap(struct exercise *exercise)
{
	struct shm_completion done[64];
	unsigned count;

	if (shm_client_wait(exercise->client, patience_ms(exercise)) != 0) {
		uint64_t quiet_ns = clock_now_ns() - exercise->progress_ns;

		if (quiet_ns > exercise->options->stall_seconds * NS_PER_S)
			tool_die(EXIT_WRONG,
				 "WRONG: %u requests in flight and no completion for %u s\nseed %llu; replay: %s",
				 shm_client_outstanding(exercise->client), exercise->options->stall_seconds,
				 (unsigned long long)exercise->options->workload.seed, exercise->options->replay);
		(void)!shm_client_wait_gateway(exercise->client, &exercise->totals.gateways, 0);
		return;
	}
	count = shm_client_poll(exercise->client, done, ARRAY_COUNT(done));
	for (unsigned i = 0; i < count; i++)
		finish(exercise, &done[i]);
	history_flush(exercise->history);
}

/* Nobody will answer what is still in flight. */
static void abandon(struct exercise *exercise)
{
	for (unsigned slot = 0; slot < exercise->options->depth; slot++) {
		struct history_record record = record_of(&exercise->flights[slot]);

		if (exercise->flights[slot].busy)
			history_append(exercise->history, &record, NULL, 0);
	}
}

static void drain(struct exercise *exercise, const volatile int *stop)
{
	exercise->progress_ns = clock_now_ns();
	while (shm_client_outstanding(exercise->client) > 0 && *stop != EXERCISE_ABANDON)
		reap(exercise);
	if (*stop == EXERCISE_ABANDON)
		abandon(exercise);
	expect_horizon(exercise->expect, exercise->clock);
	(void)!shm_client_wait_gateway(exercise->client, &exercise->totals.gateways, 0);
}

/* What died before the oldest operation in flight was issued can be forgotten. */
static void move_horizon(struct exercise *exercise)
{
	uint64_t oldest = exercise->clock;

	for (unsigned slot = 0; slot < exercise->options->depth; slot++)
		if (exercise->flights[slot].busy && exercise->flights[slot].begin < oldest)
			oldest = exercise->flights[slot].begin;
	expect_horizon(exercise->expect, oldest);
}

/* Not ahead of its rate; when it fell behind, it does not rush either. */
static bool may_issue(struct exercise *exercise)
{
	uint64_t now_ns = clock_now_ns(), step_ns;

	if (pause_left_ns(exercise, now_ns) > 0)
		return false;
	if (!exercise->options->rate)
		return true;
	step_ns = NS_PER_S / exercise->options->rate;
	if (now_ns < exercise->next_issue_ns)
		return false;
	exercise->next_issue_ns =
		(exercise->next_issue_ns + step_ns > now_ns ? exercise->next_issue_ns : now_ns) + step_ns;
	return true;
}

static bool is_over(const struct exercise *exercise)
{
	const struct exercise_options *options = exercise->options;

	if (options->ops_max && exercise->op_count >= options->ops_max)
		return true;
	return options->seconds && clock_now_ns() - exercise->started_ns > options->seconds * NS_PER_S;
}

void exercise_run(struct exercise *exercise, const volatile int *stop)
{
	while (!*stop && !is_over(exercise)) {
		for (unsigned slot = 0; slot < exercise->options->depth; slot++)
			if (!exercise->flights[slot].busy && may_issue(exercise)) {
				struct operation operation = workload_next(&exercise->workload);

				issue(exercise, slot, &operation);
			}
		reap(exercise);
		move_horizon(exercise);
	}
	drain(exercise, stop);
}

static void open_image(struct exercise *exercise)
{
	const char *path = exercise->options->image_path;

	if (!path)
		return;
	exercise->image_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (exercise->image_fd < 0 || ftruncate(exercise->image_fd, (off_t)exercise->volume_bytes) != 0)
		tool_die(EXIT_CANNOT, "%s: %s", path, strerror(errno));
}

/* What failed comes again: a volume that is suspended fails reads by policy and will serve them later. */
static void read_again(struct exercise *exercise, unsigned slot)
{
	static const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
	struct operation operation = exercise->flights[slot].operation;

	if (clock_now_ns() - exercise->served_ns > exercise->options->stall_seconds * NS_PER_S)
		finding(exercise, &exercise->flights[slot], "failed, as all else has for as long as a stall may last");
	exercise->flights[slot].again = false;
	nanosleep(&pause, NULL);
	issue(exercise, slot, &operation);
}

/* Issues what an idle slot does next in a sweep that has come to `at`; returns how far it has come then. */
static uint64_t sweep_on(struct exercise *exercise, unsigned slot, enum history_kind kind, uint64_t at)
{
	struct operation operation = {.kind = kind, .offset = at, .length = exercise->options->io_bytes};

	if (exercise->flights[slot].again) {
		read_again(exercise, slot);
		return at;
	}
	if (operation.length > exercise->volume_bytes - at)
		operation.length = exercise->volume_bytes - at;
	if (operation.length > 0)
		issue(exercise, slot, &operation);
	return at + operation.length;
}

static bool is_under_way(const struct exercise *exercise)
{
	for (unsigned slot = 0; slot < exercise->options->depth; slot++)
		if (exercise->flights[slot].busy || exercise->flights[slot].again)
			return true;
	return false;
}

/* One operation after the other over the whole volume, as large as a payload can be. */
static void sweep(struct exercise *exercise, enum history_kind kind, const volatile int *stop)
{
	uint64_t at = 0;

	do {
		for (unsigned slot = 0; slot < exercise->options->depth; slot++)
			if (!exercise->flights[slot].busy)
				at = sweep_on(exercise, slot, kind, at);
		reap(exercise);
	} while (!*stop && (at < exercise->volume_bytes || is_under_way(exercise)));
	drain(exercise, stop);
}

void exercise_fill(struct exercise *exercise, const volatile int *stop)
{
	sweep(exercise, HISTORY_WRITE, stop);
}

void exercise_verify_all(struct exercise *exercise)
{
	static const int never;

	open_image(exercise);
	exercise->is_verifying = true;
	exercise->served_ns = clock_now_ns();
	sweep(exercise, HISTORY_READ, &never);
	exercise->is_verifying = false;
	if (exercise->image_fd >= 0 && close(exercise->image_fd) != 0)
		tool_die(EXIT_CANNOT, "%s: %s", exercise->options->image_path, strerror(errno));
	exercise->image_fd = -1;
}

struct exercise_totals exercise_totals(const struct exercise *exercise)
{
	struct exercise_totals totals = exercise->totals;

	totals.seconds = (double)(clock_now_ns() - exercise->started_ns) / (double)NS_PER_S;
	return totals;
}

void exercise_free(struct exercise *exercise)
{
	history_close(exercise->history);
	shm_client_free(exercise->client);
	expect_free(exercise->expect);
	free(exercise->runs);
	free(exercise);
}
