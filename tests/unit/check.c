/* CUnit behind check.h: runs a table of tests, prints CUnit's own report and turns failures into an exit code.
 * Knows no module of the project. Not on any request's path. */
#include "tests/unit/check.h"

#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mutant.h"

#define TEXT_CHARS 1024
#define DUMP_BYTES 16u

static bool is_wanted(const char *name, int argc, char **argv)
{
	if (argc < 2)
		return true;
	for (int i = 1; i < argc; i++) {
		if (strcmp(name, argv[i]) == 0)
			return true;
	}
	return false;
}

/* Returns how many were added, or -1 when CUnit refuses. */
static int add_tests(CU_pSuite suite, const struct check_test *tests, size_t count, int argc, char **argv)
{
	int added = 0;

	for (size_t i = 0; i < count; i++) {
		if (!is_wanted(tests[i].name, argc, argv))
			continue;
		if (!CU_add_test(suite, tests[i].name, tests[i].run))
			return -1;
		added++;
	}
	return added;
}

int check_main(const char *suite_name, const struct check_test *tests, size_t count, int argc, char **argv)
{
	const char *mutant = getenv("MUTANT"); /* tests/sim/mutants asks whether a unit test finds it */
	unsigned failures = 1;
	CU_pSuite suite;

	if (mutant && !mutant_set(mutant)) {
		fprintf(stderr, "%s: no planted fault %s in this build\n", suite_name, mutant);
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	suite = CU_add_suite(suite_name, NULL, NULL);
	if (!suite || add_tests(suite, tests, count, argc, argv) <= 0) {
		fprintf(stderr, "%s: no test to run (%s)\n", suite_name, CU_get_error_msg());
		goto out;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	if (CU_basic_run_tests() == CUE_SUCCESS)
		failures = CU_get_number_of_failures();
	if (CU_get_number_of_tests_run() == 0)
		failures = 1;
out:
	CU_cleanup_registry();
	return failures < CHECK_EXIT_MAX ? (int)failures : CHECK_EXIT_MAX;
}

/* Counts the assert; does not return when it failed. */
static void verdict(const struct check_at *at, bool holds, const char *text)
{
	CU_assertImplementation(holds, (unsigned)at->line, text, at->file, "", CU_TRUE);
	if (!holds)
		abort(); /* not in a CUnit test: an assert outside check_main() */
}

void check_fail(const struct check_at *at, const char *format, ...)
{
	char text[TEXT_CHARS];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	verdict(at, false, text);
	abort();
}

void check_true(const struct check_at *at, bool holds)
{
	verdict(at, holds, at->text);
}

void check_ptr(const struct check_at *at, const void *got, bool want_null)
{
	verdict(at, (got == NULL) == want_null, at->text);
}

void check_eq_u64(const struct check_at *at, uint64_t expected, uint64_t got)
{
	if (expected != got)
		check_fail(at, "%s: expected %" PRIu64 " (0x%" PRIx64 "), got %" PRIu64 " (0x%" PRIx64 ")", at->text,
			   expected, expected, got, got);
	verdict(at, true, at->text);
}

void check_eq_int(const struct check_at *at, int64_t expected, int64_t got)
{
	if (expected != got)
		check_fail(at, "%s: expected %" PRId64 ", got %" PRId64, at->text, expected, got);
	verdict(at, true, at->text);
}

static const char *errno_text(int code)
{
	const char *name = strerrorname_np(code < 0 ? -code : code);

	return name ? name : "?";
}

void check_errno(const struct check_at *at, int expected, int got)
{
	if (expected != got)
		check_fail(at, "%s: expected %d (%s), got %d (%s)", at->text, expected, errno_text(expected), got,
			   errno_text(got));
	verdict(at, true, at->text);
}

void check_str(const struct check_at *at, const char *expected, const char *got)
{
	if (!got || strcmp(expected, got) != 0)
		check_fail(at, "%s: expected \"%s\", got \"%s\"", at->text, expected, got ? got : "(NULL)");
	verdict(at, true, at->text);
}

void check_str_has(const struct check_at *at, const char *part, const char *got)
{
	if (!got || !strstr(got, part))
		check_fail(at, "%s: expected \"%s\" in it, got \"%s\"", at->text, part, got ? got : "(NULL)");
	verdict(at, true, at->text);
}

static void dump(const uint8_t *bytes, size_t count, char *out)
{
	for (size_t i = 0; i < count; i++)
		out += sprintf(out, "%02x ", bytes[i]);
	*out = '\0';
}

void check_mem(const struct check_at *at, const void *expected, const void *got, size_t bytes)
{
	const uint8_t *want = expected, *have = got;
	char want_text[3 * DUMP_BYTES + 1], have_text[3 * DUMP_BYTES + 1];
	size_t i = 0, shown;

	while (i < bytes && want[i] == have[i])
		i++;
	if (i == bytes) {
		verdict(at, true, at->text);
		return;
	}
	shown = bytes - i < DUMP_BYTES ? bytes - i : DUMP_BYTES;
	dump(want + i, shown, want_text);
	dump(have + i, shown, have_text);
	check_fail(at, "%s: differs from byte %zu of %zu: expected %sgot %s", at->text, i, bytes, want_text, have_text);
}

void check_random_init(struct check_random *random)
{
	const char *text = getenv("CHECK_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random->state = text ? strtoull(text, NULL, 0) : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
	random->state += random->state == 0;
	printf("seed %" PRIu64 " ", random->state);
}

uint64_t check_random_next(struct check_random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * 0x2545f4914f6cdd1dull;
}

uint64_t check_random_below(struct check_random *random, uint64_t bound)
{
	return check_random_next(random) % bound;
}

void check_random_fill(struct check_random *random, void *out, size_t bytes)
{
	uint8_t *p = out;

	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(check_random_next(random) >> 32);
}
