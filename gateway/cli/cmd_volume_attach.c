/* `lockstep volume attach`: starts the volume's gateway and waits until its device is there, or shows why not.
 * It never speaks to a replica itself: the gateway does, and its admin socket says how far it is. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file_io.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/launch.h"
#include "gateway/cli/volumes.h"
#include "gateway/drivers/volume_file.h"

#define POLL_MS 100

struct args {
	bool no_systemd, force;
	uint64_t timeout;
	const char *mode, *frontend, *loss;
	struct text_list more;
};

static const struct option_spec options[] = {
	{"timeout", OPTION_NUMBER, "SECONDS", "give up and stop the gateway after so long (60)",
	 offsetof(struct args, timeout), 1, 86400, 0},
	{"no-systemd", OPTION_FLAG, NULL, "start a detached process also where systemd runs",
	 offsetof(struct args, no_systemd), 0, 0, 0},
	{"mode", OPTION_TEXT, "MODE", "auto, zero-copy or copy", offsetof(struct args, mode), 0, 0, 0},
	{"frontend", OPTION_TEXT, "KIND", "ublk, or shm:PATH for tests", offsetof(struct args, frontend), 0, 0, 0},
	{"force", OPTION_FLAG, NULL, "attach without replicas in sync that are missing; needs --accept-data-loss",
	 offsetof(struct args, force), 0, 0, 0},
	{"accept-data-loss", OPTION_TEXT, "VOLUME@EPOCH", "what only they have is lost: as the refusal says it",
	 offsetof(struct args, loss), 0, 0, 0},
	{"gateway-option", OPTION_LIST, "OPTION",
	 "passed on to lockstep-gateway(8), e.g. --gateway-option=--bulk-min=0", offsetof(struct args, more), 0, 0, 0},
	OPTION_END,
};

struct attachment {
	struct cli *cli;
	const struct args *args;
	struct volume_spec spec;
	char path[PATH_MAX];
	char run_dir[PATH_MAX];
	struct launch launch;
	struct admin_reply reply;
	uint64_t started_ns;
	char said[400]; /* the last progress line */
};

static bool wants_ublk(const struct args *args)
{
	return !args->frontend || !strcmp(args->frontend, "ublk");
}

static bool uses_systemd(const struct args *args)
{
	return launch_has_systemd() && !args->no_systemd;
}

static enum exit_code check_rights(struct attachment *a)
{
	const char *name = a->spec.name;

	if (wants_ublk(a->args) && geteuid() != 0)
		return cli_fail(a->cli, EXIT_NOT_PERMITTED, name,
				"attaching makes a block device, which needs root; run it with sudo");
	if (!uses_systemd(a->args))
		return EXIT_DONE;
	if (a->args->mode || a->args->frontend || a->args->loss || a->args->more.count || a->cli->config_dir ||
	    strcmp(a->cli->run_dir, RUN_DIR_DEFAULT) != 0)
		return cli_fail(
			a->cli, EXIT_USAGE, name,
			"systemd's unit takes no options and knows only the standard directories; add --no-systemd, "
			"or edit lockstep-gateway@%s.service",
			name);
	return EXIT_DONE;
}

/* Two words for it, so that neither habit nor a script gives data up by accident. */
static enum exit_code check_force(struct attachment *a)
{
	const char *name = a->spec.name, *loss = a->args->loss;
	size_t chars = strlen(name);

	if (!a->args->force && !loss)
		return EXIT_DONE;
	if (!loss)
		return cli_fail(
			a->cli, EXIT_USAGE, "--force",
			"needs --accept-data-loss=%s@EPOCH, with the epoch that the refusal of the attach shows", name);
	if (!a->args->force)
		return cli_fail(a->cli, EXIT_USAGE, "--accept-data-loss", "has no effect without --force");
	if (strncmp(loss, name, chars) != 0 || loss[chars] != '@')
		return cli_fail(a->cli, EXIT_USAGE, "--accept-data-loss", "'%s' is not %s@EPOCH; nothing is given up",
				loss, name);
	return EXIT_DONE;
}

static enum exit_code check_not_attached(struct attachment *a)
{
	struct err err;
	int error = volumes_status(a->cli, a->spec.name, &a->reply, &err);

	if (volumes_is_not_attached(error))
		return EXIT_DONE;
	if (error)
		return cli_fail_err(a->cli, exit_code_from_errno(error), a->spec.name, &err);
	return cli_fail(a->cli, EXIT_EXISTS, a->spec.name, "is attached already as %s (%s, pid %d)",
			a->reply.status.device[0] ? a->reply.status.device : "no device yet", a->reply.status.state,
			(int)a->reply.status.pid);
}

struct arg_list {
	char *items[LAUNCH_ARGS_MAX + 1];
	unsigned count;
};

static void add_arg(struct arg_list *list, const char *arg)
{
	if (list->count < LAUNCH_ARGS_MAX)
		list->items[list->count++] = (char *)arg; /* execv(3) does not write to it */
}

static void add_option(struct arg_list *list, const char *option, const char *value)
{
	if (!value)
		return;
	add_arg(list, option);
	add_arg(list, value);
}

static int start_detached(struct attachment *a, struct err *err)
{
	struct arg_list list = {.count = 0};
	char program[PATH_MAX], log[PATH_MAX], file[PATH_MAX];
	int error;

	error = launch_find_gateway(program, err);
	if (!error)
		error = directory_make(a->cli->run_dir, 0755, err);
	if (!error)
		error = cli_run_path(a->cli, a->spec.name, "log", log, sizeof(log), err);
	if (error)
		return error;
	if (!realpath(a->path, file) || !realpath(a->cli->run_dir, a->run_dir))
		return err_set(err, -errno, "%s: %s", a->path, strerror(errno));
	add_arg(&list, program);
	add_option(&list, "--volume-file", file);
	add_option(&list, "--run-dir", a->run_dir);
	add_option(&list, "--mode", a->args->mode);
	add_option(&list, "--frontend", a->args->frontend);
	add_option(&list, "--accept-data-loss", a->args->loss);
	for (unsigned i = 0; i < a->args->more.count; i++)
		add_arg(&list, a->args->more.items[i]);
	return launch_detached(&a->launch, a->spec.name, log, list.items, err);
}

static void show_progress(struct attachment *a, const char *text)
{
	if (!strcmp(a->said, text))
		return;
	snprintf(a->said, sizeof(a->said), "%s", text);
	cli_progress(a->cli, "%s: %s", a->spec.name, text);
}

/* "attaching, 1 of 2 replicas up, waits for b (10.0.0.2:7420)", or the reason: from the gateway's own status. */
static void show_state(struct attachment *a)
{
	const struct admin_status *status = &a->reply.status;
	char text[sizeof(a->said)];
	unsigned up = 0, replicas = 0;

	for (unsigned i = 0; i < status->leg_count; i++) {
		replicas += strcmp(status->legs[i].kind, "witness") != 0;
		up += !strcmp(status->legs[i].state, "up");
	}
	if (status->reason[0])
		snprintf(text, sizeof(text), "%s, %u of %u replicas up; %s", status->state, up, replicas,
			 status->reason);
	else
		snprintf(text, sizeof(text), "%s, %u of %u replicas up%s%s", status->state, up, replicas,
			 status->waits_for[0] ? ", waits for " : "", status->waits_for);
	show_progress(a, text);
}

static bool is_serving(const struct admin_status *status)
{
	return status->device[0] && strcmp(status->state, "attaching") != 0 && strcmp(status->state, "failed") != 0;
}

static enum exit_code give_up(struct attachment *a, enum exit_code code, const char *reason)
{
	bool stopped = launch_stop(&a->launch, 10000);

	return cli_fail(a->cli, code, a->spec.name, "%s (last: %s); %s", reason, a->said[0] ? a->said : "nothing heard",
			stopped ? "the gateway was stopped" : "the gateway does not stop; see its log");
}

/* Until the device is there, the gateway ends, or time is up. */
static enum exit_code wait_attached(struct attachment *a)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * (long)NS_PER_MS};
	uint64_t limit_ns = (a->args->timeout ? a->args->timeout : 60) * NS_PER_S;
	enum exit_code code;
	struct err err;

	for (;;) {
		if (launch_has_ended(&a->launch, &code, &err))
			return cli_fail_err(a->cli, code, a->spec.name, &err);
		if (!volumes_status(a->cli, a->spec.name, &a->reply, &err)) {
			show_state(a);
			if (is_serving(&a->reply.status))
				return EXIT_DONE;
		}
		if (cli_was_interrupted())
			return give_up(a, EXIT_INTERRUPTED, "interrupted");
		if (clock_now_ns() - a->started_ns > limit_ns)
			return give_up(a, EXIT_TIMEOUT, "not attached in time");
		nanosleep(&pause, NULL);
	}
}

static enum exit_code report(struct attachment *a)
{
	const struct admin_status *status = &a->reply.status;
	double seconds = (double)(clock_now_ns() - a->started_ns) / (double)NS_PER_S;

	if (a->cli->json)
		return cli_result(a->cli,
				  json_pack("{s:s, s:o, s:s, s:o, s:i, s:o, s:f}", "volume", a->spec.name, "device",
					    cli_json_text(status->device), "mode", status->mode, "mode_reason",
					    cli_json_text(status->mode_reason), "pid", (int)status->pid, "log",
					    cli_json_text(a->launch.log), "seconds", seconds));
	cli_progress_end(a->cli);
	printf("%s\nmode: %s (%s)\n", status->device, status->mode, status->mode_reason);
	printf("log: %s\n", a->launch.log);
	return EXIT_DONE;
}

static enum exit_code attach(struct attachment *a)
{
	enum exit_code code;
	struct err err;
	int error;

	code = volumes_load(a->cli, a->cli->operands[0], a->path, &a->spec);
	if (!code)
		code = check_force(a);
	if (!code)
		code = check_rights(a);
	if (!code)
		code = check_not_attached(a);
	if (code)
		return code;
	cli_hold_signals();
	a->started_ns = clock_now_ns();
	show_progress(a, "starting its gateway");
	if (uses_systemd(a->args))
		error = launch_by_systemd(&a->launch, a->spec.name, &err);
	else
		error = start_detached(a, &err);
	if (error)
		return cli_fail_err(a->cli, exit_code_from_errno(error), a->spec.name, &err);
	code = wait_attached(a);
	return code ? code : report(a);
}

static enum exit_code run(struct cli *cli, void *data)
{
	struct attachment *a = calloc(1, sizeof(*a));
	enum exit_code code;

	if (!a)
		return cli_fail(cli, EXIT_INTERNAL, cli->operands[0], "out of memory");
	a->cli = cli;
	a->args = data;
	code = attach(a);
	free(a);
	return code;
}

const struct command command_volume_attach = {
	.group = "volume",
	.name = "attach",
	.operands = "NAME",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "start the volume's gateway; prints the block device",
	.detail = "Needs root. Where systemd runs, the unit lockstep-gateway@NAME is started; elsewhere a detached "
		  "process\n"
		  "that logs to RUN-DIR/NAME.log.",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
