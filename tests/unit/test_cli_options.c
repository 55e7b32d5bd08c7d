/* The table-driven option parser: every kind of option, every refusal. */
#include "gateway/cli/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"

struct args {
	bool flag;
	const char *text;
	uint64_t size, number, watch;
	struct text_list list;
};

static const struct option_spec options[] = {
	{"flag", OPTION_FLAG, NULL, "a flag", offsetof(struct args, flag), 0, 0, 0},
	{"text", OPTION_TEXT, "TEXT", "a text", offsetof(struct args, text), 0, 0, 0},
	{"size", OPTION_SIZE, "SIZE", "a size", offsetof(struct args, size), 512, MIB, 0},
	{"number", OPTION_NUMBER, "N", "a number", offsetof(struct args, number), 1, 10, 0},
	{"watch", OPTION_NUMBER_OR_NOTHING, "S", "perhaps", offsetof(struct args, watch), 1, 10, 2},
	{"list", OPTION_LIST, "X", "many", offsetof(struct args, list), 0, 0, 0},
	OPTION_END,
};

static int parse(struct args *args, int argc, const char *const *words, int *ret_first, struct err *err)
{
	const struct option_target target = {options, args};
	char *argv[80] = {(char *)"lockstep"};

	memset(args, 0, sizeof(*args));
	memset(err, 0, sizeof(*err));
	for (int i = 0; i < argc; i++)
		argv[i + 1] = (char *)words[i]; /* getopt_long(3) reorders the pointers only */
	return options_parse(argc + 1, argv, &target, 1, ret_first, err);
}

#define PARSE(args, first, err, ...)                                                                                   \
	parse(args, (int)ARRAY_COUNT(((const char *const[]){__VA_ARGS__})), (const char *const[]){__VA_ARGS__}, first, \
	      err)

static void refuses(const char *word, const char *value, const char *part)
{
	struct args args;
	struct err err;
	int first;

	if (value)
		CHECK_ERRNO(-EINVAL, PARSE(&args, &first, &err, word, value));
	else
		CHECK_ERRNO(-EINVAL, PARSE(&args, &first, &err, word));
	CHECK_STR_HAS(part, err.text);
}

static void every_kind_of_option_is_taken(void)
{
	struct args args;
	struct err err;
	int first;

	CHECK_OK(PARSE(&args, &first, &err, "--flag", "--text", "t", "--size=4K", "--number", "3", "--list", "x",
		       "--list", "y"));
	CHECK_TRUE(args.flag);
	CHECK_STR("t", args.text);
	CHECK_EQ_U64(4096, args.size);
	CHECK_EQ_U64(3, args.number);
	CHECK_EQ_U64(2, args.list.count);
	CHECK_STR("y", args.list.items[1]);
	CHECK_EQ_U64(0, args.watch);
}

static void operands_and_options_may_be_mixed(void)
{
	struct args args;
	struct err err;
	int first;

	CHECK_OK(PARSE(&args, &first, &err, "name", "--flag", "other"));
	CHECK_TRUE(args.flag);
	CHECK_EQ_INT(2, first);
}

static void two_dashes_end_the_options(void)
{
	struct args args;
	struct err err;
	int first;

	CHECK_OK(PARSE(&args, &first, &err, "--", "--flag"));
	CHECK_FALSE(args.flag);
	CHECK_EQ_INT(2, first);
}

static void an_optional_value_is_implied_or_taken(void)
{
	struct args args;
	struct err err;
	int first;

	CHECK_OK(PARSE(&args, &first, &err, "--watch"));
	CHECK_EQ_U64(2, args.watch);
	CHECK_OK(PARSE(&args, &first, &err, "--watch=7"));
	CHECK_EQ_U64(7, args.watch);
	refuses("--watch=0", NULL, "out of range");
}

static void an_unknown_option_is_named(void)
{
	refuses("--nonsense", NULL, "--nonsense");
	refuses("-x", NULL, "-x");
}

static void a_missing_value_is_refused(void)
{
	refuses("--size", NULL, "--size: needs a value");
	refuses("--text", "", "--text: needs a value");
}

static void a_value_for_a_flag_is_refused(void)
{
	refuses("--flag=1", NULL, "--flag: takes no value");
}

static void sizes_outside_the_limits_are_refused(void)
{
	refuses("--size", "0", "too small; the least is 512");
	refuses("--size", "511", "too small");
	refuses("--size", "2M", "too large; the most is 1M");
	refuses("--size", "99999999999999999999999", "too large");
	refuses("--size", "-1", "not a size");
	refuses("--size", "ten", "not a size");
}

static void numbers_outside_the_limits_are_refused(void)
{
	refuses("--number", "0", "out of range, 1 to 10");
	refuses("--number", "11", "out of range");
	refuses("--number", "99999999999999999999999", "out of range");
	refuses("--number", "-1", "not a number");
	refuses("--number", "1x", "not a number");
	refuses("--number", " 1", "not a number");
}

static void too_many_of_a_list_are_refused(void)
{
	const char *words[OPTION_LIST_MAX + 1];
	struct args args;
	struct err err;
	int first;

	for (unsigned i = 0; i <= OPTION_LIST_MAX; i++)
		words[i] = "--list=x";
	CHECK_OK(parse(&args, OPTION_LIST_MAX, words, &first, &err));
	CHECK_ERRNO(-EINVAL, parse(&args, OPTION_LIST_MAX + 1, words, &first, &err));
	CHECK_STR_HAS("more than", err.text);
}

static void help_has_one_line_per_option(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CHECK_NOT_NULL(out);
	options_help(out, options);
	fclose(out);
	CHECK_STR_HAS("  --flag  ", text);
	CHECK_STR_HAS("  --size SIZE  ", text);
	CHECK_STR_HAS("  --watch[=S]  ", text);
	free(text);
}

static const struct check_test tests[] = {
	CHECK_TEST(every_kind_of_option_is_taken),
	CHECK_TEST(operands_and_options_may_be_mixed),
	CHECK_TEST(two_dashes_end_the_options),
	CHECK_TEST(an_optional_value_is_implied_or_taken),
	CHECK_TEST(an_unknown_option_is_named),
	CHECK_TEST(a_missing_value_is_refused),
	CHECK_TEST(a_value_for_a_flag_is_refused),
	CHECK_TEST(sizes_outside_the_limits_are_refused),
	CHECK_TEST(numbers_outside_the_limits_are_refused),
	CHECK_TEST(too_many_of_a_list_are_refused),
	CHECK_TEST(help_has_one_line_per_option),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("cli_options", tests, argc, argv);
}
