/* What every test program needs: memory or exit, numbers with units, a seeded generator, a way to die with a sentence.
 * Test programs only: exit code 2 is "the tool could not run", 1 is "the system under test is wrong". */
#ifndef TESTS_NATIVE_TOOL_H
#define TESTS_NATIVE_TOOL_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define EXIT_WRONG 1
#define EXIT_CANNOT 2

_Noreturn void tool_die(int code, const char *format, ...) printf_like(2, 3);

void *tool_zalloc(size_t bytes);
void *tool_realloc(void *memory, size_t bytes);

/* "4096", "64k", "2m", "1g", "0x10"; dies on anything else. `what` names the option. */
uint64_t tool_number(const char *text, const char *what);

/* splitmix64: state is the seed; same sequence everywhere. */
uint64_t tool_random(uint64_t *state);
/* Uniform enough in [0, below). */
uint64_t tool_random_below(uint64_t *state, uint64_t below);

/* All bytes or die. */
void tool_write_all(int fd, const void *data, size_t bytes);

#endif
