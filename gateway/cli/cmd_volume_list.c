/* `lockstep volume list` and `show`: what the files say, and whether a gateway serves it. Asks no replica. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/status_view.h"
#include "gateway/cli/volumes.h"
#include "gateway/drivers/volume_file.h"

struct row {
	struct volume_spec spec;
	char path[PATH_MAX];
	struct admin_reply reply;
	int status_error; /* of asking the gateway */
	struct err err;
};

/* A killed gateway's socket is still there, and over ublk its device: that is not detached. */
static bool is_detached(const struct row *row)
{
	return row->status_error == -ENOENT;
}

static const char *state_of(const struct row *row)
{
	if (!row->status_error)
		return row->reply.status.state;
	return is_detached(row) ? "detached" : "unreachable";
}

static const char *device_of(const struct row *row)
{
	return row->status_error ? "" : row->reply.status.device;
}

static void ask_gateway(struct cli *cli, struct row *row)
{
	row->status_error = volumes_status(cli, row->spec.name, &row->reply, &row->err);
	if (!row->status_error)
		status_sanitize(&row->reply.status);
}

static json_t *row_json(const struct row *row)
{
	json_t *json = volumes_json(&row->spec, row->path);

	if (json && !json_object_set_new(json, "state", cli_json_text(state_of(row))) &&
	    !json_object_set_new(json, "device", cli_json_text(device_of(row))))
		return json;
	json_decref(json);
	return NULL;
}

static void print_row(const struct row *row)
{
	unsigned replicas, witnesses;
	char size[SIZE_TEXT_CHARS];

	size_format_rough(row->spec.size_bytes, size);
	volume_kind_counts(&row->spec, &replicas, &witnesses);
	printf("%-20s %9s  %4u  %8u  %9u  %-10s %s\n", row->spec.name, size, row->spec.set_count, replicas, witnesses,
	       state_of(row), device_of(row));
}

/* A file that cannot be read is part of the list, not the end of it. */
static int list_one(struct cli *cli, const char *name, struct row *row, json_t *volumes, json_t *errors)
{
	int error = volume_file_path(cli->config_dir, name, row->path, sizeof(row->path), &row->err);

	if (!error)
		error = volumes_read(row->path, name, &row->spec, &row->err);
	if (error) {
		json_array_append_new(errors, json_pack("{s:o, s:o}", "name", cli_json_text(name), "message",
							cli_json_text(row->err.text)));
		cli_warn(cli, "%s", row->err.text);
		return error;
	}
	ask_gateway(cli, row);
	if (cli->json)
		json_array_append_new(volumes, row_json(row));
	else
		print_row(row);
	return 0;
}

static enum exit_code list(struct cli *cli, void *args)
{
	struct row *row = calloc(1, sizeof(*row));
	json_t *volumes = json_array(), *errors = json_array();
	struct name_list names = {.count = 0};
	enum exit_code code = EXIT_DONE;
	struct err err;

	if (!row || volumes_names(cli, &names, &err)) {
		code = row ? cli_fail_err(cli, exit_code_from_errno(err.code), "volumes", &err)
			   : cli_fail(cli, EXIT_INTERNAL, "volume list", "out of memory");
		goto out;
	}
	if (!cli->json && names.count)
		printf("%-20s %9s  %4s  %8s  %9s  %-10s %s\n", "NAME", "SIZE", "SETS", "REPLICAS", "WITNESSES", "STATE",
		       "DEVICE");
	for (unsigned i = 0; i < names.count; i++) {
		if (list_one(cli, names.names[i], row, volumes, errors))
			code = EXIT_BAD_FILE;
	}
	if (!names.count)
		cli_progress(cli, "no volumes yet; 'lockstep volume create --help' tells how to make one");
	if (cli_result(cli, json_pack("{s:O, s:O}", "volumes", volumes, "errors", errors)))
		code = EXIT_INTERNAL;
out:
	json_decref(volumes);
	json_decref(errors);
	name_list_free(&names);
	free(row);
	return code;
}

static void print_sets(const struct volume_spec *spec)
{
	char uuid[UUID_CHARS + 1], size[SIZE_TEXT_CHARS];

	for (unsigned s = 0; s < spec->set_count; s++) {
		const struct set_spec *set = &spec->sets[s];

		uuid_format(&set->uuid, uuid);
		size_format_rough(volume_set_bytes(spec, s), size);
		printf("set %u: %s, uuid %s\n", s, size, uuid);
		for (unsigned i = 0; i < set->replica_count; i++) {
			uuid_format(&set->replicas[i].uuid, uuid);
			printf("  %-7s %-12s %-24s %s\n", voter_kind_name(set->replicas[i].kind), set->replicas[i].name,
			       set->replicas[i].address, uuid);
		}
	}
}

/* What the file says, and nothing of what is as always. */
static void print_policy(const struct volume_policy *policy)
{
	char text[POLICY_TEXT_CHARS];

	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
		if (policy_give(policy, i, text))
			printf("%s: %s\n", policy_key(i), text);
	}
}

static void print_volume(const struct row *row)
{
	char uuid[UUID_CHARS + 1], size[SIZE_TEXT_CHARS], chunk[SIZE_TEXT_CHARS];

	uuid_format(&row->spec.uuid, uuid);
	size_format_rough(row->spec.size_bytes, size);
	size_format(row->spec.chunk_bytes, chunk);
	printf("%s: %s (%" PRIu64 " bytes), blocks of %u, uuid %s\n", row->spec.name, size, row->spec.size_bytes,
	       row->spec.block_bytes, uuid);
	if (row->spec.set_count > 1)
		printf("striped over %u mirror sets in chunks of %s\n", row->spec.set_count, chunk);
	printf("file: %s\n", row->path);
	print_policy(&row->spec.policy);
	print_sets(&row->spec);
	if (!row->status_error)
		status_print(stdout, &row->reply.status);
	else if (is_detached(row))
		printf("state: %s\n", state_of(row));
	else
		printf("state: %s: %s\n", state_of(row), row->err.text);
}

static enum exit_code show_row(struct cli *cli, struct row *row)
{
	json_t *status;

	ask_gateway(cli, row);
	if (cli->json) {
		status = row->status_error ? json_null() : status_json(&row->reply.status);
		return cli_result(cli, json_pack("{s:o, s:o}", "volume", row_json(row), "status", status));
	}
	print_volume(row);
	return EXIT_DONE;
}

static enum exit_code show(struct cli *cli, void *args)
{
	struct row *row = calloc(1, sizeof(*row));
	enum exit_code code;

	if (!row)
		return cli_fail(cli, EXIT_INTERNAL, cli->operands[0], "out of memory");
	code = volumes_load(cli, cli->operands[0], row->path, &row->spec);
	if (!code)
		code = show_row(cli, row);
	free(row);
	return code;
}

const struct command command_volume_list = {
	.group = "volume",
	.name = "list",
	.operands = "",
	.summary = "list the volumes that have a file, and whether they are attached",
	.run = list,
};

const struct command command_volume_show = {
	.group = "volume",
	.name = "show",
	.operands = "NAME",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "show one volume: sets, replicas, and its gateway's status",
	.run = show,
};
