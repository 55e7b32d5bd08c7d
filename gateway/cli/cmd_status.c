/* `lockstep status`: asks the gateway of one volume, or every socket in the run directory. Reads only. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "gateway/cli/commands.h"
#include "gateway/cli/status_view.h"
#include "gateway/cli/volumes.h"

struct args {
	uint64_t watch, count;
};

static const struct option_spec options[] = {
	{"watch", OPTION_NUMBER_OR_NOTHING, "SECONDS", "show it again and again (2)", offsetof(struct args, watch), 1,
	 86400, 2},
	{"count", OPTION_NUMBER, "N", "with --watch: stop after N times", offsetof(struct args, count), 1, UINT32_MAX,
	 0},
	OPTION_END,
};

/* What a socket without a healthy gateway behind it looks like. */
static json_t *unreachable_json(const char *name, const struct err *err)
{
	return json_pack("{s:o, s:s, s:o}", "name", cli_json_text(name), "state", "unreachable", "last_error",
			 cli_json_text(err->text));
}

/* One volume's status printed or appended to `list`. */
static int show(struct cli *cli, const char *name, json_t *list, struct err *err)
{
	struct admin_reply *reply = calloc(1, sizeof(*reply));
	int error = reply ? volumes_status(cli, name, reply, err) : err_set(err, -ENOMEM, "out of memory");

	if (error) {
		json_array_append_new(list, unreachable_json(name, err));
		if (!cli->json && error != -ENOMEM)
			printf("%s: unreachable: %s\n", name, err->text);
		goto out;
	}
	status_sanitize(&reply->status);
	if (cli->json)
		json_array_append_new(list, status_json(&reply->status));
	else
		status_print(stdout, &reply->status);
out:
	free(reply);
	return error;
}

/* A dead gateway's socket is an answer too ("unreachable"): it is not this command that failed. Missing rights are. */
static enum exit_code show_all(struct cli *cli, json_t *list)
{
	struct name_list names;
	struct err err;
	int error = volumes_sockets(cli, &names, &err);

	if (error)
		return cli_fail_err(cli, exit_code_from_errno(error), cli->run_dir, &err);
	for (unsigned i = 0; i < names.count && error != -EACCES; i++)
		error = show(cli, names.names[i], list, &err);
	if (!names.count && !cli->json)
		printf("no volume is attached (no socket in %s)\n", cli->run_dir);
	name_list_free(&names);
	return error == -EACCES ? cli_fail_err(cli, EXIT_NOT_PERMITTED, cli->run_dir, &err) : EXIT_DONE;
}

static enum exit_code show_named(struct cli *cli, const char *name, json_t *list)
{
	char path[1024];
	struct err err;
	int error = cli_run_path(cli, name, "sock", path, sizeof(path), &err);

	if (!error && access(path, F_OK))
		return cli_fail(cli, EXIT_NOT_FOUND, name,
				"is not attached: there is no %s; 'lockstep volume attach %s' attaches it", path, name);
	if (!error)
		error = show(cli, name, list, &err);
	return error ? cli_fail_err(cli, exit_code_from_errno(error), name, &err) : EXIT_DONE;
}

static enum exit_code once(struct cli *cli)
{
	json_t *list = json_array();
	enum exit_code code;

	if (!list)
		return cli_fail(cli, EXIT_INTERNAL, "status", "out of memory");
	code = cli->operand_count ? show_named(cli, cli->operands[0], list) : show_all(cli, list);
	if (!code)
		return cli_result(cli, json_pack("{s:o}", "volumes", list));
	json_decref(list);
	return code;
}

static enum exit_code run(struct cli *cli, void *data)
{
	const struct args *args = data;
	uint64_t rounds = args->watch ? (args->count ? args->count : UINT64_MAX) : 1;
	enum exit_code code = EXIT_DONE;

	if (args->count && !args->watch)
		return cli_fail(cli, EXIT_USAGE, "--count", "only makes sense with --watch");
	if (args->watch)
		setvbuf(stdout, NULL, _IOFBF, 64 * KIB); /* a picture is drawn in one go */
	for (uint64_t i = 0; i < rounds && !code && !ferror(stdout); i++) {
		const struct timespec pause = {.tv_sec = (time_t)args->watch};

		if (i)
			nanosleep(&pause, NULL);
		if (args->watch && !cli->json && isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		else if (i && !cli->json)
			putchar('\n');
		code = once(cli);
		fflush(stdout);
	}
	return code;
}

const struct command command_status = {
	.name = "status",
	.operands = "[NAME]",
	.operands_max = 1,
	.summary = "show how attached volumes are: state, replicas, mode, counters",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
