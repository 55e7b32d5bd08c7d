/* Draws, overrides and prints a seed's options. Knows nothing of what they do. */
#include "tests/sim/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"

const struct sim_layout sim_layouts[] = {
	{"1 replica", 1, 1, 0},
	{"2 replicas", 1, 2, 0},
	{"2 replicas and a witness", 1, 2, 1},
	{"3 replicas", 1, 3, 0},
	{"3 replicas and 2 witnesses", 1, 3, 2},
	{"4 replicas and a witness", 1, 4, 1},
	{"5 replicas", 1, 5, 0},
	{"1 replica and 2 witnesses", 1, 1, 2},
	{"2 sets of 1", 2, 1, 0},
	{"2 sets of 2 and a witness", 2, 2, 1},
	{"2 sets of 3", 2, 3, 0},
	{"3 sets of 2 and a witness", 3, 2, 1},
};
const unsigned sim_layout_count = ARRAY_COUNT(sim_layouts);

struct option {
	const char *name, *text;
	size_t at;
};

static const struct option table[] = {
#define OPTION_ROW(name, text) {#name, text, offsetof(struct options, name)},
	OPTION_LIST(OPTION_ROW)
#undef OPTION_ROW
};

static uint32_t *value_of(struct options *options, const struct option *option)
{
	return (uint32_t *)(void *)((char *)options + option->at);
}

/* One of `count` numbers. */
static uint32_t pick(struct random *random, const uint32_t *numbers, size_t count)
{
	return numbers[random_below(random, count)];
}
#define PICK(random, ...) pick(random, (const uint32_t[]){__VA_ARGS__}, ARRAY_COUNT(((const uint32_t[]){__VA_ARGS__})))

static void draw_volume(struct options *o, struct random *random)
{
	o->layout = PICK(random, 0, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11);
	o->clusters = PICK(random, 1, 2, 3, 4, 6, 8);
	o->block_bytes = PICK(random, 512, 512, 512, 512, 512, 512, 512, 512, 512, 4096);
	o->queue_depth = PICK(random, 1, 2, 4, 8, 8, 16, 32);
	o->ops = (uint32_t)random_range(random, 60, 240);
	o->think_us = PICK(random, 0, 100, 1000, 5000, 50000);
	o->reads = (uint32_t)random_range(random, 5, 60);
	o->writes = (uint32_t)random_range(random, 10, 60);
	o->flushes = PICK(random, 0, 2, 5, 20);
	o->discards = PICK(random, 0, 0, 2, 10);
	o->zeroes = PICK(random, 0, 0, 2, 10);
	o->fua_pm = PICK(random, 0, 50, 200, 1000);
	o->scribble_pm = PICK(random, 0, 0, 0, 50, 300);
	o->hot_pm = PICK(random, 0, 300, 900);
	o->detach = (uint32_t)random_below(random, 2);
}

static void draw_gateway(struct options *o, struct random *random)
{
	o->pinned = (uint32_t)random_below(random, 2);
	o->bulk_min = PICK(random, 0, 512, 1024, 2048, 65536, 65536);
	o->read_run = PICK(random, 1, 2, 8, 32);
	o->deadline_ms = PICK(random, 100, 200, 400);
	o->reconnect_ms = PICK(random, 1, 5, 20);
	o->sync_ms = PICK(random, 10, 50, 200, 1000);
	o->tick_ms = PICK(random, 5, 10, 20);
	o->turn_us = PICK(random, 0, 1, 20, 200);
	o->defer_pm = PICK(random, 0, 0, 50, 300);
	o->late_release_pm = PICK(random, 0, 50, 500);
	o->drift_pm = PICK(random, 0, 0, 5, 20);
}

static void draw_policy(struct options *o, struct random *random)
{
	o->min_in_sync = PICK(random, 1, 1, 1, 1, 1, 2);
	o->fails = random_below(random, 6) == 0;
	o->quorum_ms = PICK(random, 50, 500, 2000);
	o->resync_kib = PICK(random, 0, 0, 0, 2048, 16384);
	o->slow_factor = PICK(random, 0, 4, 16);
	o->slow_ms = PICK(random, 100, 500);
	o->slow_rest_ms = PICK(random, 200, 2000);
	o->attach_wait_ms = PICK(random, 20, 200, 1000);
	o->attach_limit_ms = PICK(random, 0, 1000, 5000);
	o->partial = (uint32_t)random_below(random, 2);
}

static void draw_servers(struct options *o, struct random *random)
{
	o->net_us = PICK(random, 20, 100, 500, 2000);
	o->chop_pm = PICK(random, 0, 10, 100, 500);
	o->zombie_pm = PICK(random, 0, 200, 700);
	o->disk_us = PICK(random, 10, 100, 500, 3000);
	o->early_pm = PICK(random, 0, 200, 500);
	o->writeback_pm = PICK(random, 0, 100, 500);
	o->buffers = PICK(random, 3, 8, 64);
	o->served = PICK(random, 4, 16, 128);
	o->extents = PICK(random, 4, 32, 1024);
}

/* Each fault is there in about half of the seeds, so that some seeds show only one or two of them. */
static uint32_t weight(struct random *random, uint32_t most)
{
	return random_below(random, 2) ? 0 : (uint32_t)random_range(random, 1, most);
}

static void draw_faults(struct options *o, struct random *random)
{
	/* A lease is three seconds: only what lasts longer shows what happens at its end. */
	if (random_below(random, 5) == 0) {
		o->chaos_ms = PICK(random, 8000, 15000);
		o->fault_ms = PICK(random, 100, 300, 1000);
		o->outage_ms = PICK(random, 60, 500, 2000, 4000);
	} else {
		o->chaos_ms = PICK(random, 500, 1500, 4000);
		o->fault_ms = PICK(random, 0, 5, 15, 30, 60, 120, 240);
		o->outage_ms = PICK(random, 1, 5, 20, 60, 200);
	}
	o->w_cut = weight(random, 20);
	o->w_block = weight(random, 10);
	o->w_stall = weight(random, 10);
	o->w_refuse = weight(random, 5);
	o->w_replay = weight(random, 5) / 2;
	o->w_server_kill = weight(random, 10);
	o->w_server_pause = weight(random, 10);
	o->w_power = weight(random, 6);
	o->w_rack_power = weight(random, 3);
	o->w_eio = weight(random, 3);
	o->w_eio_read = weight(random, 3);
	o->w_enospc = weight(random, 3);
	o->w_fsync = weight(random, 2);
	o->w_slow = weight(random, 3);
	o->w_flip = weight(random, 3);
	o->w_truncate = random_below(random, 8) ? 0 : 1;
	o->w_gateway_kill = weight(random, 10);
	o->w_gateway_death = weight(random, 4);
	o->w_gateway_pause = weight(random, 10);
	o->w_takeover = weight(random, 8);
	o->w_split = o->chaos_ms < 8000 ? 0 : weight(random, 8);
	/* Requests as long as there are faults; mostly reads, because a change waits, and with it its slot. */
	if (o->w_split) {
		o->ops = (uint32_t)random_range(random, 200, 500);
		o->think_us = o->chaos_ms * 1000 / o->ops * o->queue_depth;
		o->reads = 90;
		o->writes = PICK(random, 5, 10, 30);
		o->flushes = PICK(random, 0, 1);
		o->discards = o->zeroes = 0;
	}
}

void options_draw(struct options *ret, struct random *random)
{
	*ret = (struct options){0};
	draw_volume(ret, random);
	draw_gateway(ret, random);
	draw_policy(ret, random);
	draw_servers(ret, random);
	draw_faults(ret, random);
	ret->verify_ms = PICK(random, 0, 0, 0, 5, 50, 500);
	ret->verify_repair = (uint32_t)random_below(random, 2);
	/* Last, and seldom: the other worlds stay what they were. */
	ret->w_set_back = random_below(random, 16) ? 0 : (uint32_t)random_range(random, 2, 10);
	if (random_below(random, 3) == 0) {
		ret->w_replace = (uint32_t)random_range(random, 1, 12);
		ret->w_return = (uint32_t)random_below(random, 4);
	}
	/* Nearly all of a simulated region is equal. */
	ret->unseen = PICK(random, 0, 25, 101);
}

static const struct option *find(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
			return &table[i];
	}
	return NULL;
}

int options_override(struct options *options, const char *text, const char **ret_bad)
{
	while (*text) {
		const char *equals = strchr(text, '=');
		const struct option *option = equals ? find(text, (size_t)(equals - text)) : NULL;
		char *end = NULL;

		*ret_bad = text;
		if (!option)
			return -EINVAL;
		*value_of(options, option) = (uint32_t)strtoul(equals + 1, &end, 10);
		if (end == equals + 1 || (*end && *end != ','))
			return -EINVAL;
		text = *end ? end + 1 : end;
	}
	if (options->layout < sim_layout_count && options->clusters >= 1 && options->clusters <= 8 &&
	    (options->block_bytes == 512 || options->block_bytes == 4096) && options->queue_depth >= 1 &&
	    options->queue_depth <= 32 && options->min_in_sync >= 1 && options->min_in_sync <= SET_REPLICAS_MAX &&
	    options->drift_pm <= 20)
		return 0;
	*ret_bad = "a number that is out of range";
	return -EINVAL;
}

void options_print(const struct options *options, FILE *file)
{
	struct options copy = *options;

	(void)fprintf(file, "options:");
	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		(void)fprintf(file, " %s=%u", table[i].name, *value_of(&copy, &table[i]));
	(void)fprintf(file, " (%s)\n", sim_layouts[options->layout].name);
}

void options_help(FILE *file)
{
	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		(void)fprintf(file, "  %-16s %s\n", table[i].name, table[i].text);
	for (unsigned i = 0; i < sim_layout_count; i++)
		(void)fprintf(file, "  layout=%u         %s\n", i, sim_layouts[i].name);
}
