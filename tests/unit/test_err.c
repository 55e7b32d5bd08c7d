/* Errors for people: set, wrapped, cut to fit. */
#include "common/err.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

static void setting_keeps_code_and_sentence(void)
{
	struct err err;

	CHECK_ERRNO(-ENOSPC, err_set(&err, -ENOSPC, "volume %s: no space; free %u MiB", "a", 7u));
	CHECK_ERRNO(-ENOSPC, err.code);
	CHECK_STR("volume a: no space; free 7 MiB", err.text);
}

static void without_a_place_only_the_code_comes_back(void)
{
	CHECK_ERRNO(-EIO, err_set(NULL, -EIO, "nobody reads this"));
}

static void a_long_sentence_is_cut_to_fit(void)
{
	char text[2 * ERR_TEXT_MAX];
	struct err err;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&err, -EIO, "%s", text);
	CHECK_EQ_U64(ERR_TEXT_MAX, strlen(err.text));
}

static void wrapping_puts_the_object_before_the_text(void)
{
	struct err err;

	(void)err_set(&err, -EINVAL, "size 0; give one");
	CHECK_ERRNO(-EINVAL, err_wrap(&err, "volume %s", "data"));
	CHECK_STR("volume data: size 0; give one", err.text);
	CHECK_ERRNO(-EINVAL, err.code);
}

static void wrapping_a_full_text_stays_within_the_limit(void)
{
	char text[ERR_TEXT_MAX + 1];
	struct err err;

	memset(text, 'x', sizeof(text));
	text[ERR_TEXT_MAX] = '\0';
	(void)err_set(&err, -EIO, "%s", text);
	(void)err_wrap(&err, "object");
	CHECK_EQ_U64(ERR_TEXT_MAX, strlen(err.text));
	CHECK_TRUE(strncmp(err.text, "object: xxx", 11) == 0);
	(void)err_wrap(&err, "%s", text);
	CHECK_STR(text, err.text);
}

static void names_are_those_of_errno_in_either_sign(void)
{
	CHECK_STR("ENOSPC", err_name(-ENOSPC));
	CHECK_STR("ENOSPC", err_name(ENOSPC));
	CHECK_STR("E?", err_name(-99999));
}

static const struct check_test tests[] = {
	CHECK_TEST(setting_keeps_code_and_sentence),
	CHECK_TEST(without_a_place_only_the_code_comes_back),
	CHECK_TEST(a_long_sentence_is_cut_to_fit),
	CHECK_TEST(wrapping_puts_the_object_before_the_text),
	CHECK_TEST(wrapping_a_full_text_stays_within_the_limit),
	CHECK_TEST(names_are_those_of_errno_in_either_sign),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("err", tests, argc, argv);
}
