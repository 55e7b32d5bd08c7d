/* Lays out the simulated volume. Pure arithmetic; the core's own layout is checked against it by every read. */
#include "tests/sim/geometry.h"

#include <stdio.h>

#include "common/limits.h"

static void init_spec(struct geometry *g, unsigned clusters)
{
	struct volume_spec *spec = &g->spec;

	*spec = (struct volume_spec){
		.name = "sim",
		.uuid = {{1}},
		.size_bytes = (clusters + 1) * MIB,
		.block_bytes = g->block_bytes,
		.chunk_bytes = CHUNK_BYTES_MIN,
		.set_count = g->sets,
	};
	for (unsigned i = 0; i < g->servers; i++) {
		struct set_spec *set = &spec->sets[i / g->voters];
		struct replica_spec *replica = &set->replicas[set->replica_count++];

		set->uuid = (struct uuid){{2, (uint8_t)(i / g->voters)}};
		replica->uuid = (struct uuid){{3, (uint8_t)i}};
		replica->kind = geometry_has_data(g, i) ? VOTER_REPLICA : VOTER_WITNESS;
		(void)snprintf(replica->name, sizeof(replica->name), "r%u", i);
		(void)snprintf(replica->address, sizeof(replica->address), "10.0.0.%u:7420", i + 1);
	}
}

static void place_block(struct geometry *g, unsigned block)
{
	uint64_t edge = (block / SIM_CLUSTER_BLOCKS + 1) * MIB, offset, chunk;
	unsigned set;

	offset = edge - (uint64_t)SIM_CLUSTER_BLOCKS / 2 * g->block_bytes +
		 (uint64_t)(block % SIM_CLUSTER_BLOCKS) * g->block_bytes;
	chunk = offset / CHUNK_BYTES_MIN;
	set = (unsigned)(chunk % g->sets);
	g->offset[block] = offset;
	g->set_of[block] = set;
	g->set_offset[block] = g->sets == 1 ? offset : chunk / g->sets * CHUNK_BYTES_MIN + offset % CHUNK_BYTES_MIN;
	g->in_set[set][g->in_set_count[set]++] = block;
}

void geometry_init(struct geometry *ret, const struct options *options)
{
	const struct sim_layout *layout = &sim_layouts[options->layout];

	*ret = (struct geometry){
		.blocks = options->clusters * SIM_CLUSTER_BLOCKS,
		.block_bytes = options->block_bytes,
		.sets = layout->sets,
		.replicas = layout->replicas,
		.voters = layout->replicas + layout->witnesses,
		.servers = layout->sets * (layout->replicas + layout->witnesses),
	};
	init_spec(ret, options->clusters);
	for (unsigned i = 0; i < ret->blocks; i++)
		place_block(ret, i);
}

void geometry_config(const struct geometry *geometry, unsigned set, struct config *ret)
{
	const struct volume_spec *spec = &geometry->spec;

	*ret = (struct config){
		.volume_uuid = spec->uuid,
		.set_uuid = spec->sets[set].uuid,
		.set_index = set,
		.set_count = spec->set_count,
		.block_bytes = spec->block_bytes,
		.chunk_bytes = spec->chunk_bytes,
		.set_bytes = volume_set_bytes(spec, set),
		.volume_bytes = spec->size_bytes,
		.gen = 1,
		.voter_count = spec->sets[set].replica_count,
	};
	for (unsigned i = 0; i < ret->voter_count; i++) {
		const struct replica_spec *replica = &spec->sets[set].replicas[i];

		ret->voters[i] = (struct voter){
			.uuid = replica->uuid,
			.kind = replica->kind,
			.state = VOTER_OUT,
		};
		if (replica->kind == VOTER_REPLICA) {
			ret->voters[i].state = VOTER_IN;
			ret->voters[i].compare = COMPARE_STAMPS;
			ret->voters[i].in_sync_gen = 1;
		}
		volume_replica_address(replica, ret->voters[i].address);
	}
}

unsigned geometry_find(const struct geometry *geometry, unsigned set, uint64_t offset, uint64_t length,
		       unsigned *ret_from)
{
	const unsigned *blocks = geometry->in_set[set];
	unsigned low = 0, high = geometry->in_set_count[set];

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (geometry->set_offset[blocks[middle]] < offset)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_from = low;
	while (low < geometry->in_set_count[set] && geometry->set_offset[blocks[low]] - offset < length)
		low++;
	return low;
}
