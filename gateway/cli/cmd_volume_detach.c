/* `lockstep volume detach`: asks the gateway to make all durable, take the device away and end. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/process.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/mounts.h"
#include "gateway/cli/volumes.h"
#include "proto/admin_client.h"

#define POLL_MS 50
#define END_MS 10000 /* from the gateway's answer to its end */

struct args {
	bool force;
	uint64_t timeout;
};

static const struct option_spec options[] = {
	{"force", OPTION_FLAG, NULL, "also while it is open or a replica is missing: what is unwritten may be lost",
	 offsetof(struct args, force), 0, 0, 0},
	{"timeout", OPTION_NUMBER, "SECONDS", "how long to wait for the last bytes to be durable (60)",
	 offsetof(struct args, timeout), 1, 86400, 0},
	OPTION_END,
};

struct detachment {
	struct cli *cli;
	const struct args *args;
	const char *name;
	char socket[PATH_MAX];
	struct admin_reply status, reply;
};

static enum exit_code refuse_dead(struct detachment *d, int error, const struct err *err)
{
	if (error == -ENOENT)
		return cli_fail(d->cli, EXIT_NOT_FOUND, d->name, "is not attached: there is no %s", d->socket);
	return cli_fail_err(d->cli, error == -ECONNREFUSED ? EXIT_NOT_FOUND : exit_code_from_errno(error), d->name,
			    err);
}

static enum exit_code check_unused(struct detachment *d)
{
	const char *device = d->status.status.device;
	char point[PATH_MAX];

	if (d->args->force || !mounts_of_device(device, point, sizeof(point)))
		return EXIT_DONE;
	return cli_fail(d->cli, EXIT_BUSY, d->name, "%s is mounted on %s; 'umount %s' first", device, point, point);
}

/* The socket goes when the process ends: only then may the next attach begin. */
static bool wait_gone(const struct detachment *d)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * (long)NS_PER_MS};
	pid_t pid = d->status.status.pid;

	for (int waited = 0; waited < END_MS; waited += POLL_MS) {
		if (access(d->socket, F_OK) < 0 && (pid <= 1 || process_has_ended(pid)))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* It said why: that is never an internal error, such as the EIO of a volume that had failed before. */
static enum exit_code code_of_refusal(int error)
{
	enum exit_code code = exit_code_from_errno(error < 0 ? error : -EREMOTEIO);

	return code == EXIT_INTERNAL ? EXIT_REFUSED : code;
}

static enum exit_code ask(struct detachment *d)
{
	const struct admin_request request = {.kind = ADMIN_DETACH, .force = d->args->force};
	int timeout_ms = (int)(d->args->timeout ? d->args->timeout : 60) * 1000;
	struct err err;
	int error;

	cli_progress(d->cli, "%s: making everything durable and taking %s away", d->name, d->status.status.device);
	error = admin_client_call(d->socket, &request, timeout_ms, &d->reply, &err);
	if (error)
		return cli_fail_err(d->cli, exit_code_from_errno(error), d->name, &err);
	if (d->reply.kind == ADMIN_REFUSED)
		return cli_fail(d->cli, code_of_refusal(d->reply.error), d->name, "%s", d->reply.text);
	if (!wait_gone(d))
		return cli_fail(d->cli, EXIT_TIMEOUT, d->name,
				"detached, but its gateway (pid %d) does not end; see its log",
				(int)d->status.status.pid);
	return EXIT_DONE;
}

static enum exit_code detach(struct detachment *d)
{
	enum exit_code code;
	struct err err;
	int error;

	if (cli_run_path(d->cli, d->name, "sock", d->socket, sizeof(d->socket), &err))
		return cli_fail_err(d->cli, EXIT_USAGE, d->name, &err);
	error = volumes_status(d->cli, d->name, &d->status, &err);
	if (error)
		return refuse_dead(d, error, &err);
	code = check_unused(d);
	if (!code)
		code = ask(d);
	if (code)
		return code;
	if (d->cli->json)
		return cli_result(d->cli, json_pack("{s:o, s:b, s:o}", "volume", cli_json_text(d->name), "detached", 1,
						    "message", cli_json_text(d->reply.text)));
	cli_progress_end(d->cli);
	cli_sanitize(d->reply.text);
	printf("volume %s detached%s%s\n", d->name, d->reply.text[0] ? ": " : "", d->reply.text);
	return EXIT_DONE;
}

static enum exit_code run(struct cli *cli, void *data)
{
	struct detachment *d = calloc(1, sizeof(*d));
	enum exit_code code;

	if (!d)
		return cli_fail(cli, EXIT_INTERNAL, cli->operands[0], "out of memory");
	d->cli = cli;
	d->args = data;
	d->name = cli->operands[0];
	code = detach(d);
	free(d);
	return code;
}

const struct command command_volume_detach = {
	.group = "volume",
	.name = "detach",
	.operands = "NAME",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "make everything durable, take the block device away, end the gateway",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
