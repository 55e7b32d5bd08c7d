/* `lockstep`: finds the command, parses its options by its table, runs it. Knows no command's work. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/std_streams.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/commands.h"

static const struct command *const commands[] = {
	&command_volume_create, &command_volume_list,	&command_volume_show,	  &command_volume_attach,
	&command_volume_detach, &command_volume_delete, &command_volume_verify,	  &command_replica_list,
	&command_replica_show,	&command_replica_check, &command_replica_replace, &command_status,
	&command_events,	&command_bench,		&command_version,
};

static const struct option_spec common_options[] = {
	{"config-dir", OPTION_TEXT, "DIR", "where volumes/NAME.yaml are (/etc/lockstep)",
	 offsetof(struct cli, config_dir), 0, 0, 0},
	{"run-dir", OPTION_TEXT, "DIR", "where the gateways' sockets are (/run/lockstep)",
	 offsetof(struct cli, run_dir), 0, 0, 0},
	{"json", OPTION_FLAG, NULL, "print one JSON document, errors too", offsetof(struct cli, json), 0, 0, 0},
	{"help", OPTION_FLAG, NULL, "show this", offsetof(struct cli, help), 0, 0, 0},
	OPTION_END,
};

static bool is_in_group(const struct command *command, const char *group)
{
	return group ? command->group && !strcmp(command->group, group) : !command->group;
}

/* All commands, or those of one group. */
static void print_commands(const char *group)
{
	printf("usage: lockstep %s%sCOMMAND [OPTIONS]\n\n", group ? group : "", group ? " " : "");
	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++) {
		const struct command *command = commands[i];
		char left[64];

		if (group && !is_in_group(command, group))
			continue;
		snprintf(left, sizeof(left), "%s%s%s", command->group ? command->group : "", command->group ? " " : "",
			 command->name);
		printf("  %-16s %s\n", left, command->summary);
	}
	printf("\n'lockstep %sCOMMAND --help' shows a command's options; lockstep(8) the rest.\n",
	       group ? "" : "[GROUP] ");
}

static void print_help(const struct command *command)
{
	printf("usage: lockstep %s%s%s%s%s [OPTIONS]\n\n%s\n", command->group ? command->group : "",
	       command->group ? " " : "", command->name, command->operands[0] ? " " : "", command->operands,
	       command->summary);
	if (command->detail)
		printf("\n%s\n", command->detail);
	printf("\noptions:\n");
	options_help(stdout, command->options);
	options_help(stdout, common_options);
}

static bool is_group(const char *word)
{
	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++) {
		if (is_in_group(commands[i], word))
			return true;
	}
	return false;
}

static const struct command *find_command(const char *group, const char *name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++) {
		if (is_in_group(commands[i], group) && !strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

/* The parser's errors start with the option: "--size: needs a value SIZE". */
static enum exit_code refuse_options(struct cli *cli, const struct err *err)
{
	char option[64];

	snprintf(option, sizeof(option), "%.*s", (int)strcspn(err->text, ":"), err->text);
	return cli_fail_err(cli, EXIT_USAGE, option, err);
}

static enum exit_code run_with_args(struct cli *cli, int argc, char **argv, void *args)
{
	const struct command *command = cli->command;
	const struct option_target targets[] = {
		{command->options, args},
		{common_options, cli},
	};
	struct err err;
	int first;

	if (options_parse(argc, argv, targets, ARRAY_COUNT(targets), &first, &err))
		return refuse_options(cli, &err);
	if (cli->help) {
		print_help(command);
		return EXIT_DONE;
	}
	cli->operands = argv + first;
	cli->operand_count = (unsigned)(argc - first);
	if (cli->operand_count < command->operands_min)
		return cli_fail(cli, EXIT_USAGE, command->name, "%s is missing; see --help", command->operands);
	if (cli->operand_count > command->operands_max)
		return cli_fail(cli, EXIT_USAGE, command->name, "'%s' is one word too many; see --help",
				cli->operands[command->operands_max]);
	return command->run(cli, args);
}

static enum exit_code run_command(struct cli *cli, int argc, char **argv)
{
	void *args = calloc(1, cli->command->args_bytes ? cli->command->args_bytes : 1);
	enum exit_code code;

	if (!args)
		return cli_fail(cli, EXIT_INTERNAL, cli->command->name, "out of memory");
	code = run_with_args(cli, argc, argv, args);
	free(args);
	return code;
}

/* argv[0] is the word before the command's name; the rest are its options and operands. */
static enum exit_code dispatch(struct cli *cli, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const char *group = NULL;

	if (!word || !strcmp(word, "--help") || !strcmp(word, "help")) {
		print_commands(NULL);
		return word ? EXIT_DONE : EXIT_USAGE;
	}
	if (!strcmp(word, "--version"))
		word = "version";
	if (is_group(word)) {
		group = word;
		argc--;
		argv++;
		word = argc > 1 ? argv[1] : NULL;
		if (!word || !strcmp(word, "--help")) {
			print_commands(group);
			return word ? EXIT_DONE : EXIT_USAGE;
		}
	}
	cli->command = find_command(group, word);
	if (!cli->command)
		return cli_fail(cli, EXIT_USAGE, word, "no such command; 'lockstep %s%s--help' lists them",
				group ? group : "", group ? " " : "");
	return run_command(cli, argc - 1, argv + 1);
}

/* Before the options are parsed: an error in them must come as JSON too. */
static bool asks_for_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (!strcmp(argv[i], "--json"))
			return true;
	}
	return false;
}

/* An answer that could not be written was not given: whoever reads the file that it went to must be told. */
static enum exit_code check_written(enum exit_code code)
{
	int error;

	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	error = errno;
	cli_release_pipe();
	fprintf(stderr, "lockstep: standard output: cannot be written%s%s; %s\n", error ? ": " : "",
		error ? strerror(error) : "",
		code ? "the command has failed, too" : "the command itself has done its work");
	return code ? code : EXIT_INTERNAL;
}

int main(int argc, char **argv)
{
	const char *run_dir = getenv("LOCKSTEP_RUN_DIR");
	struct cli cli = {
		.json = asks_for_json(argc, argv),
		.run_dir = run_dir && run_dir[0] ? run_dir : RUN_DIR_DEFAULT,
		.stderr_is_terminal = isatty(STDERR_FILENO),
	};

	std_streams_open();
	if (argc > 1 && !strcmp(argv[1], "--json")) {
		argv[1] = argv[0];
		argc--;
		argv++;
	}
	return (int)check_written(dispatch(&cli, argc, argv));
}
