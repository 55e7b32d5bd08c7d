/* `lockstep events`: what happened to the volumes, from the event files; no gateway is asked, and none is needed. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/event_source.h"
#include "gateway/cli/event_time.h"
#include "gateway/cli/volumes.h"
#include "gateway/drivers/volume_file.h"

#define POLL_MS 200

struct args {
	bool follow;
	uint64_t count;
	const char *since;
};

static const struct option_spec options[] = {
	{"follow", OPTION_FLAG, NULL, "then wait for more and show them as they come", offsetof(struct args, follow), 0,
	 0, 0},
	{"count", OPTION_NUMBER, "N", "stop after N events", offsetof(struct args, count), 1, UINT32_MAX, 0},
	{"since", OPTION_TEXT, "TIME", "only those since 2026-11-28T17:00:00Z, or 10m, 2h, 3d ago",
	 offsetof(struct args, since), 0, 0, 0},
	OPTION_END,
};

struct line {
	char *text;
	size_t nth; /* as it was read */
};

struct watched {
	char name[VOLUME_NAME_MAX + 1];
	struct event_source *source;
};

struct reader {
	struct cli *cli;
	const struct args *args;
	const char *only; /* the volume named; NULL: all */
	char since[EVENT_TIME_CHARS];
	unsigned count;
	struct watched *watched; /* NAME_LIST_MAX */
	/* Lines of one round, to be put in the order of their times. */
	struct line *lines;
	size_t line_count, line_cap;
	bool has_no_memory;
	uint64_t shown;
	json_t *list;
};

static bool make_room(struct reader *r)
{
	size_t cap = r->line_cap ? 2 * r->line_cap : 256;
	struct line *lines;

	if (r->line_count < r->line_cap)
		return true;
	lines = realloc(r->lines, cap * sizeof(*lines));
	if (!lines)
		return false;
	r->lines = lines;
	r->line_cap = cap;
	return true;
}

static void keep_line(void *ctx, const char *line)
{
	struct reader *r = ctx;
	char *text;

	if (r->since[0] && strcmp(line + strlen("time="), r->since) < 0)
		return;
	text = make_room(r) ? strdup(line) : NULL;
	if (!text) {
		r->has_no_memory = true;
		return;
	}
	cli_sanitize(text);
	r->lines[r->line_count] = (struct line){text, r->line_count};
	r->line_count++;
}

static bool is_number(const struct event_field *field)
{
	static const char *const keys[] = {"set", "gen", "duration_ms", "bytes", "count", "code", "pid", "rss_bytes"};

	if (field->value_chars == 0 || field->value_chars > 18)
		return false;
	for (unsigned i = 0; i < ARRAY_COUNT(keys); i++) {
		if (strlen(keys[i]) == field->key_chars && !strncmp(keys[i], field->key, field->key_chars))
			return strspn(field->value, "0123456789") >= field->value_chars;
	}
	return false;
}

static json_t *line_json(const char *line)
{
	char key[64], value[EVENT_LINE_CHARS_MAX];
	json_t *object = json_object();
	struct event_field field;

	while (object && event_line_next(&line, &field)) {
		snprintf(key, sizeof(key), "%.*s", (int)field.key_chars, field.key);
		snprintf(value, sizeof(value), "%.*s", (int)field.value_chars, field.value);
		json_object_set_new(object, key,
				    is_number(&field) ? json_integer(strtoll(value, NULL, 10)) : cli_json_text(value));
	}
	return object;
}

static bool is_enough(const struct reader *r)
{
	return r->args->count && r->shown >= r->args->count;
}

/* While following, every event is a document of its own: a list would never be whole. */
static void show_line(struct reader *r, const char *line)
{
	r->shown++;
	if (!r->cli->json)
		puts(line);
	else if (r->args->follow)
		(void)cli_result(r->cli, line_json(line));
	else
		json_array_append_new(r->list, line_json(line));
}

/* By time, which stands first; those of one moment as they were read. */
static int compare_lines(const void *a, const void *b)
{
	const struct line *first = a, *second = b;
	int order = strncmp(first->text, second->text, strlen("time=") + EVENT_TIME_CHARS - 1);

	return order ? order : first->nth < second->nth ? -1 : 1;
}

static void show_lines(struct reader *r)
{
	if (r->count > 1 && r->line_count)
		qsort(r->lines, r->line_count, sizeof(*r->lines), compare_lines);
	for (size_t i = 0; i < r->line_count; i++) {
		if (!is_enough(r))
			show_line(r, r->lines[i].text);
		free(r->lines[i].text);
	}
	r->line_count = 0;
	fflush(stdout);
}

static void watch(struct reader *r, const char *name)
{
	struct watched *watched = &r->watched[r->count];

	for (unsigned i = 0; i < r->count; i++) {
		if (!strcmp(r->watched[i].name, name))
			return;
	}
	if (r->count == NAME_LIST_MAX)
		return;
	watched->source = event_source_new(r->cli->run_dir, name);
	if (!watched->source) {
		r->has_no_memory = true;
		return;
	}
	snprintf(watched->name, sizeof(watched->name), "%s", name);
	r->count++;
}

/* Volumes may come while others are followed. */
static int find_volumes(struct reader *r, struct err *err)
{
	struct name_list names;
	int error;

	if (r->only) {
		watch(r, r->only);
		return 0;
	}
	error = volumes_event_files(r->cli, &names, err);
	for (unsigned i = 0; !error && i < names.count; i++)
		watch(r, names.names[i]);
	if (!error)
		name_list_free(&names);
	return error;
}

static int read_round(struct reader *r, struct err *err)
{
	int error = find_volumes(r, err);

	for (unsigned i = 0; !error && i < r->count; i++)
		error = event_source_read(r->watched[i].source, keep_line, r, err);
	if (!error && r->has_no_memory)
		error = err_set(err, -ENOMEM, "out of memory");
	show_lines(r);
	return error;
}

/* A volume that was never attached here has no events; one that is not there at all is a mistake. */
static enum exit_code check_known(struct reader *r)
{
	char path[PATH_MAX];
	struct err err;

	if (!r->only)
		return EXIT_DONE;
	if (volume_file_path(r->cli->config_dir, r->only, path, sizeof(path), &err))
		return cli_fail_err(r->cli, EXIT_USAGE, r->only, &err);
	watch(r, r->only);
	if (r->has_no_memory || event_source_exists(r->watched[0].source) || !access(path, F_OK))
		return EXIT_DONE;
	return cli_fail(
		r->cli, EXIT_NOT_FOUND, r->only,
		"no such volume: there is neither %s nor an event of it in %s; 'lockstep volume list' shows what "
		"there is",
		path, r->cli->run_dir);
}

static enum exit_code read_all(struct reader *r)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * (long)NS_PER_MS};
	struct err err;
	int error;

	if (r->args->follow)
		cli_hold_signals();
	do {
		error = read_round(r, &err);
		if (error)
			return cli_fail_err(r->cli, exit_code_from_errno(error), "events", &err);
		if (is_enough(r) || !r->args->follow)
			break;
		nanosleep(&pause, NULL);
	} while (!cli_was_interrupted() && !ferror(stdout));
	if (r->args->follow)
		return EXIT_DONE;
	return cli_result(r->cli, json_pack("{s:O}", "events", r->list));
}

static enum exit_code run(struct cli *cli, void *data)
{
	struct reader r = {.cli = cli, .args = data, .only = cli->operand_count ? cli->operands[0] : NULL};
	enum exit_code code = EXIT_DONE;
	struct err err;

	r.list = json_array();
	r.watched = calloc(NAME_LIST_MAX, sizeof(*r.watched));
	if (!r.watched || !r.list)
		code = cli_fail(cli, EXIT_INTERNAL, "events", "out of memory");
	if (!code && r.args->since && event_since_parse(r.args->since, (uint64_t)time(NULL) * 1000, r.since, &err))
		code = cli_fail_err(cli, EXIT_USAGE, "--since", &err);
	if (!code)
		code = check_known(&r);
	if (!code)
		code = read_all(&r);
	for (unsigned i = 0; i < r.count; i++)
		event_source_free(r.watched[i].source);
	free(r.watched);
	free(r.lines);
	json_decref(r.list);
	return code;
}

const struct command command_events = {
	.name = "events",
	.operands = "[NAME]",
	.operands_max = 1,
	.summary = "show what happened: attaches, evictions, rejoins, suspensions, losses",
	.detail = "One line an event, key=value, oldest first; also of volumes whose gateway is gone. The run "
		  "directory keeps\n"
		  "the last 256 to 512 KiB of each volume; the journal has them all.",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
