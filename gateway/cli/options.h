/* Command-line options from one table: parsing, checking and --help come from the same lines.
 * A command gives a table and a struct of its own; the parser fills the struct. getopt_long(3) underneath. */
#ifndef GATEWAY_CLI_OPTIONS_H
#define GATEWAY_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"

#define OPTION_LIST_MAX LEG_COUNT_MAX
#define OPTION_COUNT_MAX 24u /* of one command, the common ones included */

enum option_kind {
	OPTION_FLAG,		  /* bool */
	OPTION_TEXT,		  /* const char *, not empty */
	OPTION_SIZE,		  /* uint64_t bytes, between min and max */
	OPTION_NUMBER,		  /* uint64_t, between min and max */
	OPTION_NUMBER_OR_NOTHING, /* the same, `--name` alone leaves `implied` */
	OPTION_LIST,		  /* struct text_list: may be given many times */
};

struct text_list {
	const char *items[OPTION_LIST_MAX]; /* borrowed from argv */
	unsigned count;
};

struct option_spec {
	const char *name; /* without the dashes; NULL ends a table */
	enum option_kind kind;
	const char *arg; /* what --help shows for the value; NULL for flags */
	const char *help;
	size_t offset; /* of the target in the struct that is filled */
	uint64_t min, max, implied;
};

#define OPTION_END                                                                                                     \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

/* A table and what it fills. Both borrowed for the call. */
struct option_target {
	const struct option_spec *specs;
	void *base;
};

/* Parses argv[1..]. Options and operands may be mixed; "--" ends the options. `*ret_first` is the index of the first
 * operand in argv, which is reordered. 0 or -EINVAL with `err` naming the option and what it wants. Not reentrant
 * (getopt_long): main thread only. */
int options_parse(int argc, char **argv, const struct option_target *targets, unsigned target_count, int *ret_first,
		  struct err *err) must_check;

/* One line an option: "  --size SIZE   text". */
void options_help(FILE *out, const struct option_spec *specs);

#endif
