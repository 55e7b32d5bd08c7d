/* Answers about regions: which the list of unstable extents touches, which are stamped above a gen. Pages of runs.
 * Pure but for the scratch given. Any thread. */
#ifndef REPLICA_SERVER_CORE_REGIONS_H
#define REPLICA_SERVER_CORE_REGIONS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"
#include "replica-server/core/stamps.h"
#include "replica-server/core/unstable.h"

/* Words of the scratch that regions_of_list() needs. */
size_t regions_mark_words(uint64_t region_count);

/* From region `from` on, at most REGION_RUNS_MAX runs, with gen 0; or everything. `marks`: overwritten. */
void regions_of_list(const struct unstable *unstable, uint64_t region_count, uint64_t from, uint64_t *marks,
		     struct message_regions *ret);
/* Runs of equal stamp; STAMP_UNKNOWN is above every gen. */
void regions_of_stamps(const struct stamps *stamps, uint64_t from, uint32_t above_gen, struct message_regions *ret);

#endif
