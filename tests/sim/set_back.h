/* A server's disk that is set back to an older copy while the server is off: somebody restored a directory. And the
 * operator, who puts the newer one back when the replica is refused for it.
 *
 * Struck only where replication.md lets one expect that it is found out: the copy is from before the last attachment,
 * and enough others know of that one. What nothing can tell - a copy of the same attachment, a witness's, a majority's
 * - is left out.
 */
#ifndef TESTS_SIM_SET_BACK_H
#define TESTS_SIM_SET_BACK_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/disk.h"

struct disk_copy {
	bool is_there;
	struct disk_block blocks[SIM_BLOCKS_MAX];
	uint64_t file_end;
	uint8_t *bytes, *superblock;
	uint8_t stamps[SIM_STAMPS_BYTES];
};

struct set_back {
	struct disk_copy older; /* of one of its starts */
	struct disk_copy newer; /* put away: there as long as the older one is in its place */
};

void set_back_init(struct set_back *it);
void set_back_fini(struct set_back *it);
void set_back_reset(struct set_back *it);

/* A server has read its disk and is about to change it. */
void set_back_note_start(struct world *world, struct server *server);
/* The fault. False: nobody's disk may be set back now. */
bool set_back_strike(struct world *world, struct server **ret);
/* Another one of the set has an older disk: a fault of this server would be one too many. */
bool set_back_is_beside(const struct world *world, const struct server *server);
/* A config is chosen: who is in sync by it has the newer data again. */
void set_back_chosen(struct world *world, unsigned set, uint8_t in);
/* Its older disk is there, and it does not know how long it was in sync: a rejoin compares it in full. */
bool set_back_is_compared(const struct server *server, uint32_t in_sync_gen);
/* By a gateway that is running. */
bool set_back_is_refused(struct world *world, const struct server *server);
/* Whoever is refused for it gets its newer disk. */
void set_back_operate(struct world *world);

#endif
