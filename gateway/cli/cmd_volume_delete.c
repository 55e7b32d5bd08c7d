/* `lockstep volume delete`: removes the replicas on all servers, then the volume's file. Asks every server first, so
 * that a replica in use or a server that is away is found before anything is gone. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file_io.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/volumes.h"
#include "gateway/drivers/volume_file.h"

struct args {
	bool yes, force;
	uint64_t timeout;
};

static const struct option_spec options[] = {
	{"yes", OPTION_FLAG, NULL, "do not ask", offsetof(struct args, yes), 0, 0, 0},
	{"force", OPTION_FLAG, NULL, "delete what can be reached; what cannot is left behind and named",
	 offsetof(struct args, force), 0, 0, 0},
	{"timeout", OPTION_NUMBER, "SECONDS", "how long to wait for each server (5)", offsetof(struct args, timeout), 1,
	 3600, 0},
	OPTION_END,
};

enum fate { FATE_WAITS, FATE_DELETED, FATE_WAS_GONE, FATE_LEFT };

struct deletion {
	struct cli *cli;
	const struct args *args;
	struct volume_spec spec;
	char path[PATH_MAX];
	struct servers servers;
	enum fate fates[LEG_COUNT_MAX];
	char reasons[LEG_COUNT_MAX][256]; /* of FATE_LEFT */
};

static enum exit_code check_detached(struct deletion *d)
{
	struct admin_reply *reply = calloc(1, sizeof(*reply));
	struct err err;
	int error = reply ? volumes_status(d->cli, d->spec.name, reply, &err) : err_set(&err, -ENOMEM, "out of memory");

	free(reply);
	if (volumes_is_not_attached(error))
		return EXIT_DONE;
	if (error)
		return cli_fail_err(d->cli, exit_code_from_errno(error), d->spec.name, &err);
	return cli_fail(d->cli, EXIT_BUSY, d->spec.name, "is attached; 'lockstep volume detach %s' first",
			d->spec.name);
}

static enum exit_code confirm(struct deletion *d)
{
	unsigned replicas, witnesses;
	char answer[16] = "";

	if (d->args->yes)
		return EXIT_DONE;
	if (!isatty(STDIN_FILENO) || d->cli->json)
		return cli_fail(d->cli, EXIT_USAGE, d->spec.name,
				"deleting destroys its data; say --yes, or run it on a terminal to be asked");
	volume_kind_counts(&d->spec, &replicas, &witnesses);
	printf("Delete volume %s and its data on %u replicas? Type yes: ", d->spec.name, replicas);
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) && !strcmp(answer, "yes\n"))
		return EXIT_DONE;
	return cli_fail(d->cli, EXIT_INTERRUPTED, d->spec.name, "nothing was deleted");
}

struct search {
	struct deletion *deletion;
	const struct server *server;
	const struct replica_spec *in_use;
};

/* One listed replica: is it one of ours, and open? */
static bool note_in_use(void *ctx, const struct replica_info *info)
{
	struct search *search = ctx;
	const struct volume_spec *spec = &search->deletion->spec;

	for (unsigned leg = 0; info->session_open && leg < volume_leg_count(spec); leg++) {
		const struct replica_spec *replica = volume_leg_replica(spec, leg, NULL);

		if (uuid_equal(&replica->uuid, &info->replica_uuid))
			search->in_use = replica;
	}
	return !search->in_use;
}

static enum exit_code check_server(struct deletion *d, struct server *server)
{
	struct search search = {.deletion = d, .server = server};
	struct err err;
	int error;

	if (!server->client)
		return d->args->force
			       ? EXIT_DONE
			       : cli_fail(d->cli, exit_code_from_errno(server->err.code), server->address,
					  "%s; nothing was deleted; --force goes on without it", server->err.text);
	error = client_list(server->client, note_in_use, &search, &err);
	if (error)
		return cli_fail_err(d->cli, exit_code_from_errno(error), server->address, &err);
	if (search.in_use)
		return cli_fail(d->cli, EXIT_BUSY, d->spec.name,
				"%s %s on %s is in use by a gateway; detach the volume on the host that has it",
				voter_kind_name(search.in_use->kind), search.in_use->name, server->address);
	return EXIT_DONE;
}

static enum exit_code check_servers(struct deletion *d)
{
	int timeout_ms = (int)(d->args->timeout ? d->args->timeout : 5) * 1000;
	enum exit_code code = EXIT_DONE;

	(void)servers_open(d->cli, &d->spec, timeout_ms, false, &d->servers); /* check_server() looks at each */
	for (unsigned i = 0; i < d->servers.count && !code; i++)
		code = check_server(d, &d->servers.items[i]);
	return code;
}

static void delete_replica(struct deletion *d, unsigned leg)
{
	const struct replica_spec *replica = volume_leg_replica(&d->spec, leg, NULL);
	struct server *server = servers_find(&d->servers, replica->address);
	struct message request = {.kind = MESSAGE_DELETE};
	struct err err = server->err;
	int error = server->err.code;

	cli_progress(d->cli, "deleting %s %s on %s (%u of %u)", voter_kind_name(replica->kind), replica->name,
		     replica->address, leg + 1, volume_leg_count(&d->spec));
	if (server->client) {
		request.delete.volume_uuid = d->spec.uuid;
		request.delete.replica_uuid = replica->uuid;
		error = client_call(server->client, &request, MESSAGE_DELETED, NULL, &err);
	}
	d->fates[leg] = !error ? FATE_DELETED : error == -ENOENT ? FATE_WAS_GONE : FATE_LEFT;
	if (d->fates[leg] == FATE_LEFT)
		snprintf(d->reasons[leg], sizeof(d->reasons[leg]), "%.255s", err.text);
}

static json_t *fates_json(const struct deletion *d)
{
	static const char *const names[] = {"waits", "deleted", "was-gone", "left-behind"};
	json_t *list = json_array();
	char uuid[UUID_CHARS + 1];
	unsigned set;

	for (unsigned leg = 0; leg < volume_leg_count(&d->spec); leg++) {
		const struct replica_spec *replica = volume_leg_replica(&d->spec, leg, &set);

		uuid_format(&replica->uuid, uuid);
		json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:o}", "set_index", (int)set,
						      "kind", voter_kind_name(replica->kind), "name", replica->name,
						      "uuid", uuid, "address", replica->address, "result",
						      names[d->fates[leg]], "reason", cli_json_text(d->reasons[leg])));
	}
	return list;
}

static unsigned count_left(struct deletion *d)
{
	unsigned left = 0;

	for (unsigned leg = 0; leg < volume_leg_count(&d->spec); leg++) {
		const struct replica_spec *replica = volume_leg_replica(&d->spec, leg, NULL);

		if (d->fates[leg] != FATE_LEFT)
			continue;
		left++;
		cli_warn(d->cli, "%s %s on %s is left behind: %s", voter_kind_name(replica->kind), replica->name,
			 replica->address, d->reasons[leg]);
	}
	return left;
}

/* Another volume of the same name shall not inherit them. */
static void forget_events(const struct deletion *d)
{
	static const char *const suffixes[] = {"events", "events.1", "sock"}; /* the last: of a killed gateway */
	char path[PATH_MAX];
	struct err err;

	for (unsigned i = 0; i < ARRAY_COUNT(suffixes); i++) {
		if (!cli_run_path(d->cli, d->spec.name, suffixes[i], path, sizeof(path), &err))
			unlink(path);
	}
}

static enum exit_code finish(struct deletion *d)
{
	unsigned left = count_left(d);
	struct err err;
	int error;

	if (left && !d->args->force)
		return cli_fail(
			d->cli, EXIT_REFUSED, d->spec.name,
			"%u of its replicas and witnesses could not be deleted, so %s stays; try again, or --force",
			left, d->path);
	error = file_remove(d->path, &err);
	if (error)
		return cli_fail_err(d->cli, exit_code_from_errno(error), d->path, &err);
	forget_events(d);
	if (d->cli->json)
		return cli_result(d->cli, json_pack("{s:s, s:b, s:o}", "volume", d->spec.name, "deleted", 1, "replicas",
						    fates_json(d)));
	cli_progress_end(d->cli);
	printf("volume %s deleted%s\n", d->spec.name, left ? ", but not everywhere" : "");
	return EXIT_DONE;
}

/* What is deleted cannot be brought back; the file stays, so that the rest can be deleted later. */
static enum exit_code delete_replicas(struct deletion *d)
{
	unsigned count = volume_leg_count(&d->spec);

	cli_hold_signals();
	for (unsigned leg = 0; leg < count; leg++) {
		if (cli_was_interrupted())
			return cli_fail(
				d->cli, EXIT_INTERRUPTED, d->spec.name,
				"interrupted after %u of its %u replicas and witnesses; %s stays, delete it again to "
				"go on",
				leg, count, d->path);
		delete_replica(d, leg);
	}
	return EXIT_DONE;
}

static enum exit_code delete_locked(struct deletion *d)
{
	enum exit_code code = check_detached(d);

	if (!code)
		code = confirm(d);
	if (!code)
		code = check_servers(d);
	if (!code)
		code = delete_replicas(d);
	if (!code)
		code = finish(d);
	servers_close(&d->servers);
	return code;
}

static enum exit_code run(struct cli *cli, void *data)
{
	struct deletion *d = calloc(1, sizeof(*d));
	enum exit_code code;
	struct err err;
	int lock;

	if (!d)
		return cli_fail(cli, EXIT_INTERNAL, cli->operands[0], "out of memory");
	d->cli = cli;
	d->args = data;
	code = volumes_load(cli, cli->operands[0], d->path, &d->spec);
	if (code)
		goto out;
	lock = volumes_lock(cli, &err);
	if (lock < 0) {
		code = cli_fail_err(cli, exit_code_from_errno(lock), d->spec.name, &err);
		goto out;
	}
	code = delete_locked(d);
	close(lock);
out:
	free(d);
	return code;
}

const struct command command_volume_delete = {
	.group = "volume",
	.name = "delete",
	.operands = "NAME",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "destroy a detached volume: its replicas on all servers, then its file",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
