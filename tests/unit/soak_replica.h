/* What the soak's replicas hold: every block's version in memory and on disk, and the list of what is not yet stable.
 */
#ifndef TESTS_UNIT_SOAK_REPLICA_H
#define TESTS_UNIT_SOAK_REPLICA_H

#include "tests/unit/engine_harness.h"

#define SOAK_BLOCKS (8 * MIB / 4096)
#define SOAK_ENTRIES_MAX 4096u

/* What a replica remembers of a write until it is told that it is stable. */
struct soak_entry {
	uint32_t epoch;
	uint64_t wseq;
	uint64_t first, last; /* regions */
};

struct soak_replica {
	uint64_t memory[SOAK_BLOCKS], disk[SOAK_BLOCKS];
	struct soak_entry list[SOAK_ENTRIES_MAX];
	unsigned list_count;
	bool is_frozen;
};

/* A change arrived: every block becomes `version`, or, of a copy, what `copied` says of it. */
void soak_apply(struct soak_replica *replica, struct harness_replica *shown, const struct frame *frame,
		uint64_t version, const uint64_t *copied);
/* What `frame` calls stable is forgotten. */
void soak_prune(struct soak_replica *replica, const struct frame *frame);
void soak_make_durable(struct soak_replica *replica);
uint64_t soak_digest(const struct soak_replica *replica, uint64_t piece);
/* Before the harness answers: the list is shown, or forgotten; the data synced. */
void soak_asked(struct soak_replica *replica, struct harness_replica *shown, const struct harness_message *asked);

#endif
