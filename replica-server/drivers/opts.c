/* Options from the command line and from a YAML file, by one table of names. Runs before anything else. */
#include "replica-server/drivers/opts.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_number(const char *name, const char *value, unsigned min, unsigned max, unsigned *ret, struct err *err)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno || end == value || *end || *value == '-' || number < min || number > max)
		return err_set(err, -EINVAL, "%s: '%s' is not a number from %u to %u", name, value, min, max);
	*ret = (unsigned)number;
	return 0;
}

static int set_listen(struct opts *opts, const char *value, struct err *err)
{
	if (opts->listen_count == LISTENERS_MAX)
		return err_set(err, -EINVAL, "listen: more than %u addresses", LISTENERS_MAX);
	if (!*value || strlen(value) > ADDRESS_CHARS_MAX)
		return err_set(err, -EINVAL, "listen: '%.40s' is not an address", value);
	(void)snprintf(opts->listen[opts->listen_count++], ADDRESS_CHARS_MAX + 1, "%s", value);
	return 0;
}

static int set_data(struct opts *opts, const char *value, struct err *err)
{
	if (opts->root_count == DATA_ROOTS_MAX)
		return err_set(err, -EINVAL, "data: more than %u directories", DATA_ROOTS_MAX);
	if (!*value)
		return err_set(err, -EINVAL, "data: an empty directory name");
	opts->roots[opts->root_count] = strdup(value);
	if (!opts->roots[opts->root_count])
		return err_set(err, -EINVAL, "data: no memory");
	opts->root_count++;
	return 0;
}

static int set_direct(struct opts *opts, const char *value, struct err *err)
{
	static const char *const names[] = {[DIRECT_AUTO] = "auto", [DIRECT_ON] = "on", [DIRECT_OFF] = "off"};

	for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
		if (strcmp(value, names[i]))
			continue;
		opts->direct = (enum direct_mode)i;
		return 0;
	}
	return err_set(err, -EINVAL, "io-direct: '%s' is not auto, on or off", value);
}

static int set_busy_poll(struct opts *opts, const char *value, struct err *err)
{
	struct err own = {0};

	if (busy_poll_parse(value, &opts->busy_poll_us, &own))
		return err_set(err, own.code, "busy-poll: %s", own.text);
	return 0;
}

int opts_set(struct opts *opts, const char *name, const char *value, struct err *err)
{
	if (!strcmp(name, "listen"))
		return set_listen(opts, value, err);
	if (!strcmp(name, "data"))
		return set_data(opts, value, err);
	if (!strcmp(name, "threads"))
		return set_number(name, value, 0, DATA_THREADS_MAX, &opts->threads, err);
	if (!strcmp(name, "buffer-mib"))
		return set_number(name, value, 4, 4096, &opts->buffer_mib, err);
	if (!strcmp(name, "io-direct"))
		return set_direct(opts, value, err);
	if (!strcmp(name, "busy-poll"))
		return set_busy_poll(opts, value, err);
	if (!strcmp(name, "log-level"))
		return log_level_parse(value, &opts->log_level)
			       ? err_set(err, -EINVAL, "log-level: '%s' is not error, warn, info or debug", value)
			       : 0;
	return err_set(err, -ENOENT, "%s: unknown setting", name);
}

static const struct option long_options[] = {
	{"listen", required_argument, NULL, 0},
	{"data", required_argument, NULL, 0},
	{"threads", required_argument, NULL, 0},
	{"buffer-mib", required_argument, NULL, 0},
	{"io-direct", required_argument, NULL, 0},
	{"log-level", required_argument, NULL, 0},
	{"busy-poll", required_argument, NULL, 0},
	{"config", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static int take_option(struct opts *opts, int option, int index, const char *word, struct err *err)
{
	switch (option) {
	case 0:
		return opts_set(opts, long_options[index].name, optarg, err);
	case 'c':
		return opts_read_file(opts, optarg, err);
	case 'h':
		opts->help = true;
		return 0;
	case 'V':
		opts->version = true;
		return 0;
	case ':':
		return err_set(err, -EINVAL, "%s: needs a value; see --help", word);
	default:
		return err_set(err, -EINVAL, "%s: unknown option; see --help", word);
	}
}

static int check(struct opts *opts, struct err *err)
{
	if (opts->help || opts->version)
		return 0;
	if (opts->root_count == 0)
		return err_set(err, -EINVAL, "data: no directory given; say --data DIR");
	if (opts->listen_count == 0)
		return set_listen(opts, ":" DEFAULT_PORT, err);
	return 0;
}

int opts_parse(int argc, char **argv, struct opts *ret, struct err *err)
{
	int option, index = 0, error = 0;

	*ret = (struct opts){.buffer_mib = 32, .busy_poll_us = BUSY_POLL_AUTO, .log_level = LOG_LEVEL_INFO};
	opterr = 0;
	while (!error && (option = getopt_long(argc, argv, ":hV", long_options, &index)) != -1)
		error = take_option(ret, option, index, argv[optind > 1 ? optind - 1 : 1], err);
	if (!error && optind < argc)
		error = err_set(err, -EINVAL, "%s: unexpected word; see --help", argv[optind]);
	if (!error)
		error = check(ret, err);
	return error ? -EINVAL : 0;
}

void opts_fini(struct opts *opts)
{
	for (unsigned i = 0; i < opts->root_count; i++)
		free(opts->roots[i]);
	opts->root_count = 0;
}

void opts_usage(void)
{
	static const char text[] =
		"usage: lockstep-replica --data DIR [--listen ADDR:PORT] [OPTION...]\n"
		"Serves the replicas in DIR to gateways.\n"
		"\n"
		"  --data DIR          directory of replicas; empty at first. Repeatable\n"
		"  --listen ADDR:PORT  where gateways connect; default :7420. Repeatable\n"
		"  --config FILE       the same settings from a YAML file; options after it add to or replace them\n"
		"  --threads N         data threads; default 0: one a CPU, at most 8\n"
		"  --buffer-mib N      payload buffers of a data thread, MiB; default 32\n"
		"  --io-direct MODE    auto (default), on or off: O_DIRECT on data files\n"
		"  --busy-poll HOW     look for requests before sleeping: auto (default), off, or at most so many us\n"
		"  --log-level LEVEL   error, warn, info (default) or debug\n"
		"  -h, --help          this text\n"
		"  -V, --version       the version\n"
		"\n"
		"Signals: SIGTERM stops in order, SIGUSR1 logs counters.\n"
		"Exit codes: 0 stopped in order, 1 could not start, 2 wrong options or configuration.\n";

	(void)fputs(text, stdout);
}
