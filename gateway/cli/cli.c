/* How commands of `lockstep` speak: errors, progress, JSON. Knows no command.
 * The only file of the CLI that decides between text and JSON for errors. */
#include "gateway/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void cli_sanitize(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

json_t *cli_json_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy;

	if (json)
		return json;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (unsigned char *c = (unsigned char *)copy; *c; c++) {
		if (*c >= 0x80)
			*c = '?';
	}
	json = json_string(copy);
	free(copy);
	return json;
}

/* A progress line on a terminal ends before anything else is printed. */
void cli_progress_end(struct cli *cli)
{
	if (!cli->progress_is_open)
		return;
	fputs("\r\033[K", stderr);
	cli->progress_is_open = false;
}

/* A message that has its object this near its start needs no prefix. */
#define NAMED_WITHIN 32

bool cli_names_object(const char *message, const char *object)
{
	size_t chars = strlen(object);

	for (const char *at = strstr(message, object); at && *at && at - message < NAMED_WITHIN;
	     at = strstr(at + 1, object)) {
		const char *end = at + chars + strspn(at + chars, "'\"");

		if ((at == message || strchr(" '\"", at[-1])) && (*end == ':' || *end == ','))
			return true;
	}
	return false;
}

static enum exit_code fail(struct cli *cli, enum exit_code code, const char *object, char *message)
{
	bool named = cli_names_object(message, object);

	cli_sanitize(message);
	cli_progress_end(cli);
	if (cli->json) {
		json_t *root = json_pack("{s:{s:s, s:o, s:o}}", "error", "code", exit_code_name(code), "object",
					 cli_json_text(object), "message", cli_json_text(message));

		(void)cli_result(cli, root);
	} else if (named) {
		fprintf(stderr, "lockstep: %s\n", message);
	} else {
		fprintf(stderr, "lockstep: %s: %s\n", object, message);
	}
	return code;
}

enum exit_code cli_fail(struct cli *cli, enum exit_code code, const char *object, const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return fail(cli, code, object, message);
}

enum exit_code cli_fail_err(struct cli *cli, enum exit_code code, const char *object, const struct err *err)
{
	char message[ERR_TEXT_MAX + 1];

	snprintf(message, sizeof(message), "%s", err->text);
	return fail(cli, code, object, message);
}

void cli_warn(struct cli *cli, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (cli->json)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cli_sanitize(text);
	cli_progress_end(cli);
	fprintf(stderr, "lockstep: warning: %s\n", text);
}

void cli_progress(struct cli *cli, const char *format, ...)
{
	char text[512];
	va_list args;

	if (cli->json)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cli_sanitize(text);
	cli_progress_end(cli);
	fprintf(stderr, cli->stderr_is_terminal ? "%s" : "%s\n", text);
	fflush(stderr);
	cli->progress_is_open = cli->stderr_is_terminal;
}

enum exit_code cli_result(struct cli *cli, json_t *root)
{
	cli_progress_end(cli);
	if (!cli->json) {
		json_decref(root);
		return EXIT_DONE;
	}
	if (!root) {
		puts("{\"error\": {\"code\": \"internal\", \"object\": \"json\", \"message\": \"out of memory\"}}");
		return EXIT_INTERNAL;
	}
	json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	fflush(stdout);
	json_decref(root);
	return EXIT_DONE;
}

static void interrupt_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
}

/* SIGPIPE is held as well and never asked for: whoever no longer reads the progress does not end the work in its
 * middle. */
void cli_hold_signals(void)
{
	sigset_t set;

	interrupt_signals(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void cli_release_pipe(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool cli_was_interrupted(void)
{
	const struct timespec at_once = {.tv_sec = 0};
	sigset_t set;

	interrupt_signals(&set);
	return sigtimedwait(&set, NULL, &at_once) > 0;
}

int cli_run_path(const struct cli *cli, const char *name, const char *suffix, char *ret, size_t cap, struct err *err)
{
	int n = snprintf(ret, cap, "%s/%s.%s", cli->run_dir, name, suffix);

	if (n < 0 || (size_t)n >= cap)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", cli->run_dir);
	return 0;
}
