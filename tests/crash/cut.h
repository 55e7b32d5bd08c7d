/* Every state in which a crash at this moment may leave the disk. */
#ifndef TESTS_CRASH_CUT_H
#define TESTS_CRASH_CUT_H

#include "tests/crash/replica_files.h"
#include "tests/sim/random.h"

struct cut_options {
	unsigned subsets_max; /* all of them up to here, else as many at random */
	unsigned torn;	      /* sets of neighbours for each torn sector */
};

/* `crash` tells what kind of state. Returns false to end it. */
typedef bool cut_visit(void *ctx, const struct image *image, uint64_t digest, const struct crash *crash);

/* False: a visit ended it. `kills`: those of the process alone as well. */
bool cut_all(const struct disk *disk, const struct cut_options *options, struct random *random, bool kills,
	     cut_visit *visit, void *ctx);

#endif
