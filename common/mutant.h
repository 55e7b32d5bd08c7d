/* Planted faults, to see whether the tests find them: `if (MUTANT(ack_after_one_copy)) ...` in core code.
 *
 * In every ordinary build MUTANT() is the constant false and costs nothing. With FLAVOR=mutants one of them, or none,
 * is switched on by name (tests/sim/sim --mutant NAME; tests/sim/mutants runs them all). Each is one clause of the
 * protocol left out; its line says which. Add a name here, one line where it bites, and nothing else.
 */
#ifndef COMMON_MUTANT_H
#define COMMON_MUTANT_H

#include <stdbool.h>

/* Name, what is wrong then. */
#define MUTANT_LIST(X)                                                                                                 \
	X(ack_after_one_copy, "P1: a write completes when the first replica has acknowledged it")                      \
	X(no_range_lock, "P4: overlapping requests run at the same time")

enum mutant {
	MUTANT_none,
#define MUTANT_ENUM(name, text) MUTANT_##name,
	MUTANT_LIST(MUTANT_ENUM)
#undef MUTANT_ENUM
	MUTANT_COUNT
};

extern const char *const mutant_names[MUTANT_COUNT];

#ifdef MUTANTS
extern enum mutant mutant_active;
#define MUTANT(name) __builtin_expect(mutant_active == MUTANT_##name, 0)
#define MUTANT_FLAVOR "mutants"
#else
#define MUTANT(name) ((void)MUTANT_##name, false)
#define MUTANT_FLAVOR "release"
#endif

/* False: unknown, or not a build with mutants. */
bool mutant_set(const char *name);
/* Empty: none. */
const char *mutant_name(void);

#endif
