/* The files of a replica: as workloads find them, and as a crash must leave them. */
#ifndef TESTS_CRASH_REPLICA_FILES_H
#define TESTS_CRASH_REPLICA_FILES_H

#include "tests/crash/disk.h"
#include "tests/crash/model.h"

/* Newest slot first or second, the other one of an older config or damaged; stamps a hole or a table. */
#define FILES_VARIANTS 3u

#define FILES_GEN 3u /* of the accepted config */

void files_make(struct image *image, struct model *model, unsigned variant, bool is_witness);
/* A config that this replica accepts. */
void files_config(uint32_t gen, struct ballot ballot, bool is_witness, struct config *ret);

/* How a state came about. */
struct crash {
	bool is_kill;  /* of the process alone: the page cache is left */
	bool has_torn; /* a sector that is neither old nor new */
};

/* NULL, or what is wrong with what a start finds. */
const char *files_judge(const struct model *model, const struct image *image, const struct crash *crash);

#endif
