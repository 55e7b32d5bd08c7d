/* What is really so, as nobody in the world knows it: which config of each set a majority of its voters stores on disk
 * (the config register's value), who attached with it, and what must hold of the replicas then.
 *
 * The checks here know replication.md, not the engine: a replica is in sync because the register says so.
 */
#ifndef TESTS_SIM_TRUTH_H
#define TESTS_SIM_TRUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "proto/config.h"
#include "tests/sim/geometry.h"

#define SIM_CONFIGS_KEPT 32u

struct world;
struct server;
struct gateway;

struct truth_voter {
	enum compare_rule compare;
	uint32_t in_sync_gen;
	uint64_t incarnation;
	struct uuid boot_id;
	uint64_t life;
};

/* A config, as far as it matters. Voters are bits, by their number in the set. */
struct truth_config {
	struct ballot ballot;
	uint32_t gen, loss_count;
	uint8_t in;
	uint8_t stored_by;
	struct truth_voter voters[SET_VOTERS_MAX];
};

struct truth_set {
	struct truth_config recent[SIM_CONFIGS_KEPT]; /* proposed to somebody; oldest are overwritten */
	unsigned count;
	struct truth_config chosen;
	bool is_unsettled; /* its gateway waits for an older one's lease, under which what was before may be read */
};

struct truth {
	struct truth_set sets[SIM_SETS_MAX];
};

void truth_reset(struct world *world);
/* A voter has just made its config durable. */
void truth_stored(struct world *world, struct server *server);
/* Now and then, while the gateway runs. */
void truth_settle(struct world *world, struct gateway *gateway);
/* The world ends. */
void truth_settle_all(struct world *world);
/* Of any moment: who is out differs only where a rejoin would look (R6, R7). */
void truth_check_stamps(struct world *world);
/* In-sync replicas hold the same, when nobody is writing. */
void truth_check_mirrors(struct world *world);

/* The replicas that the attachment of this gateway may not do without: in sync by its own last chosen config. */
uint8_t truth_in_sync(const struct world *world, const struct gateway *gateway, unsigned set);
/* Is the register's value in every set from this gateway's attachment? */
bool truth_is_owner(const struct world *world, const struct gateway *gateway);
bool truth_all_in_sync(const struct world *world);
/* Does the replica's process remember what the config counts on? */
bool truth_is_same_process(const struct world *world, unsigned set, unsigned in_set);
bool truth_is_same_process_by(const struct world *world, const struct truth_config *config, unsigned set,
			      unsigned in_set);
/* Voters whose directory is blank, or the one that was lost. */
uint8_t truth_without_a_vote(struct world *world, unsigned set);
/* May its directory be lost without the operator's word that data may be? The others have it out, and are a majority
 * that can give a new one its vote. */
bool truth_can_replace(struct world *world, struct server *server);
/* The highest config that anybody but `gone` has stored. */
void truth_highest(struct world *world, unsigned set, uint8_t gone, struct truth_config *ret);

#endif
