/* What every command of `lockstep` has: its command line, where it prints, how it fails.
 * With --json stdout carries exactly one JSON document, an error too; progress is for people and goes to stderr. */
#ifndef GATEWAY_CLI_CLI_H
#define GATEWAY_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/cli/exit_codes.h"
#include "gateway/cli/options.h"

struct command;

/* Filled from the common options; strings are borrowed from argv and the environment. */
struct cli {
	const struct command *command;
	bool help;
	bool json;
	const char *config_dir; /* NULL: as volume_file_path() says */
	const char *run_dir;
	char **operands;
	unsigned operand_count;
	bool stderr_is_terminal;
	bool progress_is_open; /* a line on the terminal waits to be overwritten */
};

struct command {
	const char *group;    /* "volume", or NULL */
	const char *name;     /* "create" */
	const char *operands; /* for the usage line: "NAME" */
	unsigned operands_min, operands_max;
	const char *summary; /* one line */
	const char *detail;  /* more, for --help; may be NULL */
	const struct option_spec *options;
	size_t args_bytes; /* of the struct that `options` fill, zeroed before */
	enum exit_code (*run)(struct cli *cli, void *args);
};

#define RUN_DIR_DEFAULT "/run/lockstep"

/* Fails: prints "lockstep: OBJECT: text" (or the JSON error) and returns `code`. The text says reason and next step. */
enum exit_code cli_fail(struct cli *cli, enum exit_code code, const char *object, const char *format, ...)
	printf_like(4, 5);
/* The same with an error from below, whose text already starts with its object. */
enum exit_code cli_fail_err(struct cli *cli, enum exit_code code, const char *object, const struct err *err);

/* Does the message say what it is about: as a word near its start, with a colon or a comma behind it? */
bool cli_names_object(const char *message, const char *object);

/* Something to know that is no failure: stderr, unless --json. */
void cli_warn(struct cli *cli, const char *format, ...) printf_like(2, 3);

/* One step of something slow. On a terminal each overwrites the one before; elsewhere it is a line. Nothing with
 * --json. */
void cli_progress(struct cli *cli, const char *format, ...) printf_like(2, 3);
/* Before a command prints its result: takes an open progress line away. */
void cli_progress_end(struct cli *cli);

/* Prints the result with --json (and takes `root`); returns EXIT_DONE, or EXIT_INTERNAL when memory ran out (`root`
 * NULL). */
enum exit_code cli_result(struct cli *cli, json_t *root);

/* A JSON string of any bytes: what is not UTF-8 becomes '?'. NULL when memory ran out. */
json_t *cli_json_text(const char *text);

/* Bytes from a peer before they reach a terminal: control characters become '?'. */
void cli_sanitize(char *text);

/* SIGINT, SIGTERM or SIGHUP arrived since cli_hold_signals(): a command that must undo asks between its steps. */
void cli_hold_signals(void);
bool cli_was_interrupted(void);
/* Ends the program as usual if SIGPIPE was held back meanwhile: before an error of standard output is told. */
void cli_release_pipe(void);

/* "RUN_DIR/NAME.SUFFIX". 0 or -ENAMETOOLONG with `err`. */
int cli_run_path(const struct cli *cli, const char *name, const char *suffix, char *ret, size_t cap, struct err *err)
	must_check;

#endif
