/* `lockstep volume verify`: has the gateway of an attached volume compare its replicas, and shows how far it is. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/verify_view.h"
#include "gateway/cli/volumes.h"
#include "proto/admin_client.h"

#define POLL_MS 250
#define LINE_MS 5000 /* between two lines of progress where there is no terminal */

struct args {
	bool repair, follow, cancel;
	struct text_list from;
	uint64_t rate;
};

static const struct option_spec options[] = {
	{"repair", OPTION_FLAG, NULL, "copy what differs from the majority of the replicas in sync",
	 offsetof(struct args, repair), 0, 0, 0},
	{"from", OPTION_LIST, "REPLICA", "with --repair, where there is no majority: this one is right; once a set",
	 offsetof(struct args, from), 0, 0, 0},
	{"rate", OPTION_SIZE, "SIZE", "bytes compared a second (as fast as it goes beside the application)",
	 offsetof(struct args, rate), REGION_BYTES, VOLUME_BYTES_MAX, 0},
	{"follow", OPTION_FLAG, NULL, "start none; show the one that runs, or the last one",
	 offsetof(struct args, follow), 0, 0, 0},
	{"cancel", OPTION_FLAG, NULL, "end the one that runs", offsetof(struct args, cancel), 0, 0, 0},
	OPTION_END,
};

struct verification {
	struct cli *cli;
	const struct args *args;
	const char *name;
	char socket[PATH_MAX];
	struct admin_reply status, reply;
	uint64_t told_ns;
	bool is_interrupted;
};

static enum exit_code call(struct verification *v, const struct admin_request *request)
{
	struct err err;
	int error = admin_client_call(v->socket, request, ADMIN_TIMEOUT_MS, &v->reply, &err);

	if (error)
		return cli_fail_err(v->cli, exit_code_from_errno(error), v->name, &err);
	if (v->reply.kind == ADMIN_REFUSED && v->reply.error == -EBUSY)
		return cli_fail(v->cli, EXIT_BUSY, v->name,
				"it is being verified already; 'lockstep volume verify %s --follow' shows how far it "
				"is, --cancel ends it",
				v->name);
	if (v->reply.kind == ADMIN_REFUSED)
		return cli_fail(v->cli, v->reply.error == -EINVAL ? EXIT_USAGE : EXIT_REFUSED, v->name, "%s",
				v->reply.text);
	if (v->reply.kind != ADMIN_VERIFY_REPLY)
		return cli_fail(v->cli, EXIT_REFUSED, v->name,
				"its gateway knows no verify; is it of an older version?");
	return EXIT_DONE;
}

static bool is_running(const struct verification *v)
{
	return !strcmp(v->reply.verify.state, "running");
}

static enum exit_code add_source(struct verification *v, const char *name, uint64_t *sources)
{
	const struct admin_status *status = &v->status.status;
	bool is_known = false;

	for (unsigned i = 0; i < status->leg_count; i++) {
		if (strcmp(status->legs[i].name, name) != 0)
			continue;
		is_known = true;
		*sources |= 1ull << i;
	}
	return is_known ? EXIT_DONE
			: cli_fail(v->cli, EXIT_USAGE, "--from",
				   "volume %s has no replica '%s'; 'lockstep status %s' names them", v->name, name,
				   v->name);
}

static enum exit_code make_order(struct verification *v, struct admin_request *ret)
{
	const struct args *args = v->args;
	enum exit_code code = EXIT_DONE;

	*ret = (struct admin_request){
		.kind = ADMIN_VERIFY,
		.verify_action = ADMIN_VERIFY_START,
		.repair = args->repair,
		.bytes_per_s = args->rate,
	};
	for (unsigned i = 0; i < args->from.count && !code; i++)
		code = add_source(v, args->from.items[i], &ret->sources);
	return code;
}

static void tell_progress(struct verification *v)
{
	char text[VERIFY_PROGRESS_CHARS];
	uint64_t now_ns = clock_now_ns();

	if (!v->cli->stderr_is_terminal && v->told_ns && now_ns - v->told_ns < LINE_MS * NS_PER_MS)
		return;
	v->told_ns = now_ns;
	verify_progress_format(v->name, &v->reply.verify, v->cli->stderr_is_terminal, text);
	cli_progress(v->cli, "%s", text);
}

static enum exit_code follow(struct verification *v)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * (long)NS_PER_MS};
	struct admin_request request = {.kind = ADMIN_VERIFY, .verify_action = ADMIN_VERIFY_FOLLOW};
	enum exit_code code = EXIT_DONE;

	while (!code && is_running(v)) {
		tell_progress(v);
		nanosleep(&pause, NULL);
		if (!v->is_interrupted && cli_was_interrupted()) {
			v->is_interrupted = true;
			if (v->args->follow)
				return cli_fail(v->cli, EXIT_INTERRUPTED, v->name, "interrupted; the verify goes on");
			request.verify_action = ADMIN_VERIFY_CANCEL;
		}
		code = call(v, &request);
		request.verify_action = ADMIN_VERIFY_FOLLOW;
	}
	return code;
}

static const char *advice(const struct admin_verify *verify)
{
	if (verify->undecided_bytes && verify->repair)
		return "'--repair --from REPLICA' says which one is right";
	if (verify->undecided_bytes)
		return "find out which replica is right, then '--repair --from REPLICA'";
	return "'--repair' copies the majority's bytes over them";
}

static enum exit_code verdict(const struct verification *v)
{
	const struct admin_verify *verify = &v->reply.verify;

	if (!strcmp(verify->state, "ended"))
		return !strcmp(verify->text, "cancelled") ? EXIT_INTERRUPTED : EXIT_REFUSED;
	return verify->differing_bytes > verify->repaired_bytes ? EXIT_DAMAGED : EXIT_DONE;
}

static enum exit_code report(struct verification *v)
{
	struct admin_verify *verify = &v->reply.verify;
	enum exit_code code = verdict(v);

	if (!strcmp(verify->state, "never"))
		return cli_fail(v->cli, EXIT_NOT_FOUND, v->name, "was not verified since it was attached");
	if (v->cli->json)
		return cli_result(v->cli, verify_json(&v->status.status, verify)) ? EXIT_INTERNAL : code;
	cli_sanitize(verify->text);
	cli_progress_end(v->cli);
	verify_print(stdout, &v->status.status, verify);
	if (code == EXIT_DAMAGED)
		printf("next: %s\n", advice(verify));
	if (code == EXIT_REFUSED || code == EXIT_INTERRUPTED)
		printf("not everything was compared: %s\n", verify->text);
	return code;
}

static enum exit_code find_gateway(struct verification *v)
{
	struct err err;
	int error;

	if (cli_run_path(v->cli, v->name, "sock", v->socket, sizeof(v->socket), &err))
		return cli_fail_err(v->cli, EXIT_USAGE, v->name, &err);
	error = volumes_status(v->cli, v->name, &v->status, &err);
	if (volumes_is_not_attached(error))
		return cli_fail(v->cli, EXIT_NOT_FOUND, v->name,
				"is not attached here; 'lockstep volume attach %s' first, or run this where it is",
				v->name);
	if (error)
		return cli_fail_err(v->cli, exit_code_from_errno(error), v->name, &err);
	for (unsigned i = 0; i < v->status.status.leg_count; i++)
		cli_sanitize(v->status.status.legs[i].name);
	return EXIT_DONE;
}

static enum exit_code verify(struct verification *v)
{
	struct admin_request request = {.kind = ADMIN_VERIFY};
	enum exit_code code = find_gateway(v);

	if (!code && v->args->cancel)
		request.verify_action = ADMIN_VERIFY_CANCEL;
	else if (!code && !v->args->follow)
		code = make_order(v, &request);
	cli_hold_signals();
	if (!code)
		code = call(v, &request);
	if (!code)
		code = follow(v);
	return code ? code : report(v);
}

static enum exit_code check_usage(struct cli *cli, const struct args *args)
{
	if (args->from.count && !args->repair)
		return cli_fail(cli, EXIT_USAGE, "--from", "only makes sense with --repair");
	if (args->follow && args->cancel)
		return cli_fail(cli, EXIT_USAGE, "--follow", "does not go with --cancel");
	if ((args->follow || args->cancel) && (args->repair || args->rate))
		return cli_fail(cli, EXIT_USAGE, args->follow ? "--follow" : "--cancel",
				"does not go with --repair or --rate: it starts none");
	return EXIT_DONE;
}

static enum exit_code run(struct cli *cli, void *data)
{
	struct verification *v;
	enum exit_code code = check_usage(cli, data);

	if (code)
		return code;
	v = calloc(1, sizeof(*v));
	if (!v)
		return cli_fail(cli, EXIT_INTERNAL, cli->operands[0], "out of memory");
	v->cli = cli;
	v->args = data;
	v->name = cli->operands[0];
	code = verify(v);
	free(v);
	return code;
}

const struct command command_volume_verify = {
	.group = "volume",
	.name = "verify",
	.operands = "NAME",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "compare the replicas of an attached volume with each other while it is used",
	.detail = "Ends with 11 if replicas differ and were not repaired. Interrupted, it ends the verify.",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
