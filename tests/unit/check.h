/* Unit tests on CUnit: one program per module, a table of {name, function}, asserts that print both values.
 *
 *	static const struct check_test tests[] = {
 *		CHECK_TEST(a_short_frame_is_refused),
 *	};
 *	int main(int argc, char **argv) { return CHECK_MAIN("frame", tests, argc, argv); }
 *
 * Every assert ends the test it is in, and is for the thread that runs the test only (CUnit jumps out of it).
 * The exit code is the number of failed asserts, at most CHECK_EXIT_MAX, so that 0 always means all passed.
 * `test_x NAME...` runs only the tests named. A test that draws numbers starts with check_random_init(), which
 * prints its seed; CHECK_SEED=N in the environment repeats a run. */
#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define CHECK_EXIT_MAX 64

struct check_test {
	const char *name;
	void (*run)(void);
};

#define CHECK_TEST(fn)                                                                                                 \
	{                                                                                                              \
#fn, fn                                                                                                \
	}
#define CHECK_MAIN(suite, tests, argc, argv) check_main((suite), (tests), ARRAY_COUNT(tests), (argc), (argv))

int check_main(const char *suite, const struct check_test *tests, size_t count, int argc, char **argv);

/* Where an assert stands and what it says. */
struct check_at {
	const char *file;
	int line;
	const char *text;
};
#define CHECK_AT(words) (&(const struct check_at){__FILE__, __LINE__, words})

/* expected first, as in "expected 3, got 4". */
#define CHECK_EQ_U64(expected, got) check_eq_u64(CHECK_AT(#got), (uint64_t)(expected), (uint64_t)(got))
#define CHECK_EQ_INT(expected, got) check_eq_int(CHECK_AT(#got), (int64_t)(expected), (int64_t)(got))
/* As CHECK_EQ_INT for 0 / -errno; prints the errors' names. */
#define CHECK_ERRNO(expected, got) check_errno(CHECK_AT(#got), (expected), (got))
#define CHECK_OK(got) check_errno(CHECK_AT(#got), 0, (got))
#define CHECK_STR(expected, got) check_str(CHECK_AT(#got), (expected), (got))
/* `part` stands somewhere in `got`. */
#define CHECK_STR_HAS(part, got) check_str_has(CHECK_AT(#got), (part), (got))
#define CHECK_MEM(expected, got, bytes) check_mem(CHECK_AT(#got), (expected), (got), (bytes))
#define CHECK_TRUE(condition) check_true(CHECK_AT(#condition " is true"), (condition))
#define CHECK_FALSE(condition) check_true(CHECK_AT(#condition " is false"), !(condition))
#define CHECK_NULL(got) check_ptr(CHECK_AT(#got " is NULL"), (got), true)
#define CHECK_NOT_NULL(got) check_ptr(CHECK_AT(#got " is not NULL"), (got), false)
#define CHECK_FAIL(...) check_fail(CHECK_AT("failed"), __VA_ARGS__)

void check_eq_u64(const struct check_at *at, uint64_t expected, uint64_t got);
void check_eq_int(const struct check_at *at, int64_t expected, int64_t got);
void check_errno(const struct check_at *at, int expected, int got);
void check_str(const struct check_at *at, const char *expected, const char *got);
void check_str_has(const struct check_at *at, const char *part, const char *got);
void check_mem(const struct check_at *at, const void *expected, const void *got, size_t bytes);
void check_true(const struct check_at *at, bool holds);
void check_ptr(const struct check_at *at, const void *got, bool want_null);
void check_fail(const struct check_at *at, const char *format, ...) printf_like(2, 3) __attribute__((noreturn));

/* xorshift64*: the same numbers for the same seed on every machine. */
struct check_random {
	uint64_t state;
};

/* Prints "seed N"; N is $CHECK_SEED or taken from the clock. */
void check_random_init(struct check_random *random);
uint64_t check_random_next(struct check_random *random);
/* 0 <= result < bound; bound > 0. */
uint64_t check_random_below(struct check_random *random, uint64_t bound);
void check_random_fill(struct check_random *random, void *out, size_t bytes);

#endif
