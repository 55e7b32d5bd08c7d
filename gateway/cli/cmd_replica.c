/* `lockstep replica list` and `show`: what servers say they keep. Reads only, changes nothing on a server. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/size.h"
#include "gateway/cli/client.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/volumes.h"
#include "gateway/drivers/volume_file.h"

#define SERVER_COUNT_MAX 256u

struct args {
	struct text_list servers;
	uint64_t timeout;
};

static const struct option_spec options[] = {
	{"server", OPTION_LIST, "HOST:PORT", "ask this server; once per server (all servers of all volumes)",
	 offsetof(struct args, servers), 0, 0, 0},
	{"timeout", OPTION_NUMBER, "SECONDS", "how long to wait for each server (5)", offsetof(struct args, timeout), 1,
	 3600, 0},
	OPTION_END,
};

struct survey {
	struct cli *cli;
	int timeout_ms;
	const char *wanted; /* uuid or its first digits; NULL: all */
	unsigned count;
	char addresses[SERVER_COUNT_MAX][ADDRESS_CHARS_MAX + 1];
	/* Of the server being asked. */
	const char *address;
	json_t *replicas;
	unsigned found, failed;
	enum exit_code code;
};

static void add_address(struct survey *s, const char *address)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (!strcmp(s->addresses[i], address))
			return;
	}
	if (s->count < SERVER_COUNT_MAX)
		snprintf(s->addresses[s->count++], sizeof(s->addresses[0]), "%s", address);
}

static enum exit_code add_named(struct survey *s, const struct text_list *servers)
{
	char text[ADDRESS_CHARS_MAX + 1];
	struct address address;
	struct err err;

	for (unsigned i = 0; i < servers->count; i++) {
		if (address_parse(servers->items[i], PORT_DEFAULT, &address, &err))
			return cli_fail_err(s->cli, EXIT_USAGE, "--server", &err);
		address_format(&address, text);
		add_address(s, text);
	}
	return EXIT_DONE;
}

static enum exit_code add_from_volumes(struct survey *s)
{
	struct volume_spec *spec = calloc(1, sizeof(*spec));
	struct name_list names = {.count = 0};
	char path[PATH_MAX];
	struct err err;
	int error = spec ? volumes_names(s->cli, &names, &err) : err_set(&err, -ENOMEM, "out of memory");

	for (unsigned i = 0; !error && i < names.count; i++) {
		if (volume_file_path(s->cli->config_dir, names.names[i], path, sizeof(path), &err) ||
		    volume_file_load(path, spec, &err)) {
			cli_warn(s->cli, "%s", err.text);
			continue;
		}
		for (unsigned leg = 0; leg < volume_leg_count(spec); leg++)
			add_address(s, volume_leg_replica(spec, leg, NULL)->address);
	}
	name_list_free(&names);
	free(spec);
	if (error)
		return cli_fail_err(s->cli, exit_code_from_errno(error), "volumes", &err);
	if (!s->count)
		return cli_fail(s->cli, EXIT_USAGE, "--server",
				"is missing: there is no volume here to take the servers from; say --server HOST:PORT");
	return EXIT_DONE;
}

static const char *kind_name(const struct replica_info *info)
{
	return voter_kind_name(info->is_witness ? VOTER_WITNESS : VOTER_REPLICA);
}

/* What is blank is in good health, and yet not what people expect of a replica. */
static const char *health_of(const struct replica_info *info)
{
	return info->is_blank && !strcmp(info->health, "ok") ? "blank: no vote and no data yet" : info->health;
}

static json_t *replica_json(const struct replica_info *info)
{
	char volume[UUID_CHARS + 1], set[UUID_CHARS + 1], replica[UUID_CHARS + 1];

	uuid_format(&info->volume_uuid, volume);
	uuid_format(&info->set_uuid, set);
	uuid_format(&info->replica_uuid, replica);
	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:b, s:b, s:o}", "volume",
			 cli_json_text(info->volume_name), "kind", kind_name(info), "volume_uuid", volume, "set_uuid",
			 set, "uuid", replica, "set_index", (int)info->set_index, "gen", (int)info->gen, "epoch",
			 (int)info->epoch, "set_bytes", (json_int_t)info->set_bytes, "allocated_bytes",
			 (json_int_t)info->allocated_bytes, "session_open", info->session_open, "blank", info->is_blank,
			 "health", cli_json_text(info->health));
}

static void print_line(const struct survey *s, const struct replica_info *info)
{
	char uuid[UUID_CHARS + 1], size[SIZE_TEXT_CHARS], allocated[SIZE_TEXT_CHARS];

	uuid_format(&info->replica_uuid, uuid);
	size_format_rough(info->set_bytes, size);
	size_format_rough(info->allocated_bytes, allocated);
	printf("%-22s %-16s %3u  %-7s %s %9s %9s  %-6s %s\n", s->address, info->volume_name, info->set_index,
	       kind_name(info), uuid, info->is_witness ? "-" : size, info->is_witness ? "-" : allocated,
	       info->session_open ? "open" : "closed", health_of(info));
}

static void print_details(const struct survey *s, const struct replica_info *info)
{
	char volume[UUID_CHARS + 1], set[UUID_CHARS + 1], replica[UUID_CHARS + 1], size[SIZE_TEXT_CHARS],
		allocated[SIZE_TEXT_CHARS];

	uuid_format(&info->volume_uuid, volume);
	uuid_format(&info->set_uuid, set);
	uuid_format(&info->replica_uuid, replica);
	size_format_rough(info->set_bytes, size);
	size_format_rough(info->allocated_bytes, allocated);
	printf("%s %s\n  server     %s\n  volume     %s (%s)\n  set        %u (%s)\n", kind_name(info), replica,
	       s->address, info->volume_name, volume, info->set_index, set);
	if (info->is_witness)
		printf("  size       of the set: %s; a witness keeps none of it\n", size);
	else
		printf("  size       %s (%" PRIu64 " bytes), %s allocated\n", size, info->set_bytes, allocated);
	printf("  epoch, gen %u, %u\n  session    %s\n  health     %s\n", info->epoch, info->gen,
	       info->session_open ? "open" : "closed", health_of(info));
}

static bool take_replica(void *ctx, const struct replica_info *info)
{
	struct survey *s = ctx;
	char uuid[UUID_CHARS + 1];

	uuid_format(&info->replica_uuid, uuid);
	if (s->wanted && strncasecmp(uuid, s->wanted, strlen(s->wanted)) != 0)
		return true;
	s->found++;
	if (s->cli->json)
		json_array_append_new(s->replicas, replica_json(info));
	else if (s->wanted)
		print_details(s, info);
	else
		print_line(s, info);
	return true;
}

static json_t *server_json(const struct survey *s, const struct client *client, const char *error)
{
	char boot_id[UUID_CHARS + 1] = "", incarnation[17] = "";

	if (client) {
		uuid_format(&client_welcome(client)->boot_id, boot_id);
		snprintf(incarnation, sizeof(incarnation), "%016" PRIx64, client_welcome(client)->incarnation);
	}
	return json_pack("{s:s, s:b, s:o, s:s, s:s, s:o, s:O}", "address", s->address, "reachable", client != NULL,
			 "server", cli_json_text(client ? client_welcome(client)->server : ""), "incarnation",
			 incarnation, "boot_id", boot_id, "error", cli_json_text(error), "replicas", s->replicas);
}

/* A server that cannot be asked is part of the answer; the exit code tells. */
static void ask_server(struct survey *s, json_t *servers)
{
	struct client *client = NULL;
	struct err err = {.code = 0};
	int error;

	s->replicas = json_array();
	error = client_open(s->address, s->timeout_ms, &client, &err);
	if (!error)
		error = client_list(client, take_replica, s, &err);
	if (error) {
		s->failed++;
		s->code = exit_code_from_errno(error);
		cli_warn(s->cli, "%s", err.text);
	}
	json_array_append_new(servers, server_json(s, client, err.text));
	json_decref(s->replicas);
	client_close(client);
}

static enum exit_code ask_all(struct survey *s)
{
	json_t *servers = json_array();

	if (!s->cli->json && !s->wanted)
		printf("%-22s %-16s %3s  %-7s %-36s %9s %9s  %-6s %s\n", "SERVER", "VOLUME", "SET", "KIND", "UUID",
		       "SIZE", "ALLOCATED", "SESSION", "HEALTH");
	for (unsigned i = 0; i < s->count; i++) {
		s->address = s->addresses[i];
		ask_server(s, servers);
	}
	if (s->wanted && !s->found) {
		json_decref(servers);
		return cli_fail(s->cli, s->failed ? s->code : EXIT_NOT_FOUND, s->wanted,
				"no such replica or witness on %u servers asked%s; 'lockstep replica list' shows them",
				s->count, s->failed ? ", of which some did not answer" : "");
	}
	if (cli_result(s->cli, json_pack("{s:o}", "servers", servers)))
		return EXIT_INTERNAL;
	return s->wanted ? EXIT_DONE : s->code;
}

static enum exit_code survey(struct cli *cli, const struct args *args, const char *wanted)
{
	struct survey *s = calloc(1, sizeof(*s));
	enum exit_code code;

	if (!s)
		return cli_fail(cli, EXIT_INTERNAL, "replica", "out of memory");
	s->cli = cli;
	s->timeout_ms = (int)(args->timeout ? args->timeout : 5) * 1000;
	s->wanted = wanted;
	code = args->servers.count ? add_named(s, &args->servers) : add_from_volumes(s);
	if (!code)
		code = ask_all(s);
	free(s);
	return code;
}

static enum exit_code list(struct cli *cli, void *args)
{
	return survey(cli, args, NULL);
}

static enum exit_code show(struct cli *cli, void *args)
{
	const char *wanted = cli->operands[0];

	if (strlen(wanted) < 8 || strspn(wanted, "0123456789abcdefABCDEF-") != strlen(wanted))
		return cli_fail(cli, EXIT_USAGE, wanted, "is neither a replica's uuid nor its first 8 or more digits");
	return survey(cli, args, wanted);
}

const struct command command_replica_list = {
	.group = "replica",
	.name = "list",
	.operands = "",
	.summary = "list the replicas and witnesses that servers keep",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = list,
};

const struct command command_replica_show = {
	.group = "replica",
	.name = "show",
	.operands = "UUID",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "show one replica or witness; its first 8 digits do",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = show,
};
