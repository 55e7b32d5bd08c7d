/* Which planted fault is active. Knows names only; what each does stands where MUTANT() is asked. Never in a build that
 * anybody uses. */
#include "common/mutant.h"

#include <string.h>

const char *const mutant_names[MUTANT_COUNT] = {
	"none",
#define MUTANT_NAME(name, text) #name,
	MUTANT_LIST(MUTANT_NAME)
#undef MUTANT_NAME
};

#ifdef MUTANTS

enum mutant mutant_active;

bool mutant_set(const char *name)
{
	for (unsigned i = 1; i < MUTANT_COUNT; i++) {
		if (strcmp(mutant_names[i], name) == 0) {
			mutant_active = (enum mutant)i;
			return true;
		}
	}
	return false;
}

const char *mutant_name(void)
{
	return mutant_active ? mutant_names[mutant_active] : "";
}

#else

bool mutant_set(const char *name)
{
	(void)name;
	return false;
}

const char *mutant_name(void)
{
	return "";
}

#endif
