/* The option parser of every command, driven by tables. Knows no command and no option by name.
 * First thing that runs: argv is hostile until it is through here. */
#include "gateway/cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"

#define FIRST_VALUE 256 /* getopt's `val` of the first long option: beyond any character */

struct known_option {
	const struct option_spec *spec;
	void *base;
};

static int take_number(const struct option_spec *spec, const char *text, uint64_t *ret, struct err *err)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!*text || *end || *text == '-' || *text == '+' || *text == ' ')
		return err_set(err, -EINVAL, "--%s: '%s' is not a number", spec->name, text);
	if (errno || value < spec->min || value > spec->max)
		return err_set(err, -EINVAL, "--%s: %s is out of range, %" PRIu64 " to %" PRIu64 " is allowed",
			       spec->name, text, spec->min, spec->max);
	*ret = value;
	return 0;
}

static int take_size(const struct option_spec *spec, const char *text, uint64_t *ret, struct err *err)
{
	char min[SIZE_TEXT_CHARS], max[SIZE_TEXT_CHARS];
	uint64_t value = 0;
	int error = size_parse(text, &value);

	size_format(spec->min, min);
	size_format(spec->max, max);
	if (error == -EINVAL)
		return err_set(err, -EINVAL, "--%s: '%s' is not a size; write bytes or e.g. 512, 64K, 1G, 2T",
			       spec->name, text);
	if (error || value > spec->max)
		return err_set(err, -EINVAL, "--%s: %s is too large; the most is %s", spec->name, text, max);
	if (value < spec->min)
		return err_set(err, -EINVAL, "--%s: %s is too small; the least is %s", spec->name, text, min);
	*ret = value;
	return 0;
}

static int take_item(const struct option_spec *spec, const char *text, struct text_list *list, struct err *err)
{
	if (list->count == OPTION_LIST_MAX)
		return err_set(err, -EINVAL, "--%s: given more than %u times", spec->name, OPTION_LIST_MAX);
	list->items[list->count++] = text;
	return 0;
}

static int take_value(const struct known_option *known, const char *text, struct err *err)
{
	const struct option_spec *spec = known->spec;
	void *target = (char *)known->base + spec->offset;

	if (spec->kind == OPTION_FLAG) {
		*(bool *)target = true;
		return 0;
	}
	if (spec->kind == OPTION_NUMBER_OR_NOTHING && !text) {
		*(uint64_t *)target = spec->implied;
		return 0;
	}
	if (!text || !*text)
		return err_set(err, -EINVAL, "--%s: needs a value %s", spec->name, spec->arg);
	switch (spec->kind) {
	case OPTION_TEXT:
		*(const char **)target = text;
		return 0;
	case OPTION_SIZE:
		return take_size(spec, text, target, err);
	case OPTION_LIST:
		return take_item(spec, text, target, err);
	default:
		return take_number(spec, text, target, err);
	}
}

static int argument_rule(enum option_kind kind)
{
	if (kind == OPTION_FLAG)
		return no_argument;
	return kind == OPTION_NUMBER_OR_NOTHING ? optional_argument : required_argument;
}

/* Our tables -> getopt's. `longs` has room for OPTION_COUNT_MAX and the end. */
static unsigned build_tables(const struct option_target *targets, unsigned target_count, struct known_option *known,
			     struct option *longs)
{
	unsigned count = 0;

	for (unsigned t = 0; t < target_count; t++) {
		for (const struct option_spec *spec = targets[t].specs; spec && spec->name; spec++) {
			assert(count < OPTION_COUNT_MAX);
			known[count] = (struct known_option){.spec = spec, .base = targets[t].base};
			longs[count] = (struct option){.name = spec->name,
						       .has_arg = argument_rule(spec->kind),
						       .val = FIRST_VALUE + (int)count};
			count++;
		}
	}
	memset(&longs[count], 0, sizeof(longs[count]));
	return count;
}

/* getopt said '?': which of its reasons? */
static int refuse_option(char **argv, const struct known_option *known, unsigned count, struct err *err)
{
	if (optopt >= FIRST_VALUE && optopt < FIRST_VALUE + (int)count)
		return err_set(err, -EINVAL, "--%s: takes no value", known[optopt - FIRST_VALUE].spec->name);
	if (optopt)
		return err_set(err, -EINVAL, "-%c: unknown option; --help lists them", optopt);
	return err_set(err, -EINVAL, "%s: unknown or ambiguous option; --help lists them", argv[optind - 1]);
}

int options_parse(int argc, char **argv, const struct option_target *targets, unsigned target_count, int *ret_first,
		  struct err *err)
{
	struct known_option known[OPTION_COUNT_MAX];
	struct option longs[OPTION_COUNT_MAX + 1];
	unsigned count = build_tables(targets, target_count, known, longs);
	int value;

	optind = 0; /* glibc: start over, also after an earlier call */
	opterr = 0;
	while ((value = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		int error;

		if (value == ':')
			error = err_set(err, -EINVAL, "%s: needs a value", argv[optind - 1]);
		else if (value == '?')
			error = refuse_option(argv, known, count, err);
		else
			error = take_value(&known[value - FIRST_VALUE], optarg, err);
		if (error)
			return error;
	}
	*ret_first = optind;
	return 0;
}

void options_help(FILE *out, const struct option_spec *specs)
{
	for (const struct option_spec *spec = specs; spec && spec->name; spec++) {
		char left[64];
		bool optional = spec->kind == OPTION_NUMBER_OR_NOTHING;

		snprintf(left, sizeof(left),
			 optional    ? "--%s[=%s]"
			 : spec->arg ? "--%s %s"
				     : "--%s%s",
			 spec->name, spec->arg ? spec->arg : "");
		fprintf(out, "  %-30s %s\n", left, spec->help);
	}
}
