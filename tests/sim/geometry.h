/* The few blocks of the volume that the simulator uses, and where they lie in the volume and in its sets. A real
 * volume's regions and chunks are large; so the blocks stand in clusters of eight around the edges of regions and
 * chunks, and everything between them is never touched (but by a DISCARD or ZEROES that spans clusters). */
#ifndef TESTS_SIM_GEOMETRY_H
#define TESTS_SIM_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/core/volume.h"
#include "tests/sim/options.h"

#define SIM_CLUSTER_BLOCKS 8u
#define SIM_BLOCKS_MAX 64u
#define SIM_SETS_MAX 3u
#define SIM_SERVERS_MAX 9u

struct geometry {
	unsigned blocks, block_bytes;
	unsigned sets, replicas, voters;     /* of each set: those with data first, then the witnesses */
	unsigned servers;		     /* one a voter; server i is the engine's leg i */
	uint64_t offset[SIM_BLOCKS_MAX];     /* in the volume; grows with the number of the block */
	uint64_t set_offset[SIM_BLOCKS_MAX]; /* in its set */
	unsigned set_of[SIM_BLOCKS_MAX];
	unsigned in_set[SIM_SETS_MAX][SIM_BLOCKS_MAX]; /* the set's blocks, by set_offset */
	unsigned in_set_count[SIM_SETS_MAX];
	struct volume_spec spec;
};

void geometry_init(struct geometry *ret, const struct options *options);
/* The config that `volume create` would give to set `set`. */
void geometry_config(const struct geometry *geometry, unsigned set, struct config *ret);

/* Has server `server` data? */
static inline bool geometry_has_data(const struct geometry *geometry, unsigned server)
{
	return server % geometry->voters < geometry->replicas;
}
/* Blocks of `set` within [offset, offset + length): numbers [*ret_from, result) of in_set[set]. */
unsigned geometry_find(const struct geometry *geometry, unsigned set, uint64_t offset, uint64_t length,
		       unsigned *ret_from);

#endif
