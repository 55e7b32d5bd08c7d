/* What a volume may look like, and whether a stored config is this volume's. Knows no connections and no files.
 * Before any request: volume_spec_check() when the file is read, volume_spec_match() when replicas report configs. */
#include "gateway/core/volume.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/address.h"
#include "common/name.h"
#include "gateway/core/layout.h"

static bool is_power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static struct layout layout_of(const struct volume_spec *spec)
{
	return (struct layout){spec->size_bytes, spec->chunk_bytes, spec->set_count};
}

static int check_sizes(const struct volume_spec *spec, struct err *err)
{
	if (spec->block_bytes != BLOCK_BYTES_MIN && spec->block_bytes != BLOCK_BYTES_MAX)
		return err_set(err, -EINVAL, "block size %" PRIu32 ": must be %u or %u", spec->block_bytes,
			       BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
	if (spec->size_bytes == 0 || spec->size_bytes > VOLUME_BYTES_MAX)
		return err_set(err, -EINVAL, "size %" PRIu64 ": must be above 0 and at most %llu bytes",
			       spec->size_bytes, VOLUME_BYTES_MAX);
	if (spec->size_bytes % spec->block_bytes)
		return err_set(err, -EINVAL, "size %" PRIu64 ": must be a multiple of the block size %" PRIu32,
			       spec->size_bytes, spec->block_bytes);
	if (!is_power_of_two(spec->chunk_bytes) || spec->chunk_bytes < CHUNK_BYTES_MIN ||
	    spec->chunk_bytes > CHUNK_BYTES_MAX)
		return err_set(err, -EINVAL, "chunk %" PRIu32 ": must be a power of two from %llu to %llu bytes",
			       spec->chunk_bytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
	return 0;
}

static int check_replica(const struct replica_spec *replica, unsigned set, struct err *err)
{
	struct address address;

	if (!name_is_valid(replica->name))
		return err_set(err, -EINVAL, "set %u: a replica's name must be " NAME_RULE, set);
	if (uuid_is_nil(&replica->uuid))
		return err_set(err, -EINVAL, "set %u, replica %s: has no uuid", set, replica->name);
	if (replica->kind != VOTER_REPLICA && replica->kind != VOTER_WITNESS)
		return err_set(err, -EINVAL, "set %u, replica %s: is neither replica nor witness", set, replica->name);
	if (address_parse(replica->address, PORT_DEFAULT, &address, err))
		return err_wrap(err, "set %u, replica %s", set, replica->name);
	return 0;
}

static bool same_address(const struct replica_spec *a, const struct replica_spec *b)
{
	char a_text[ADDRESS_CHARS_MAX + 1], b_text[ADDRESS_CHARS_MAX + 1];

	volume_replica_address(a, a_text);
	volume_replica_address(b, b_text);
	return strcmp(a_text, b_text) == 0;
}

/* Two copies at one address would share a fate; the same uuid twice would be one copy counted twice. */
static int check_pair(const struct replica_spec *a, const struct replica_spec *b, unsigned set, struct err *err)
{
	if (uuid_equal(&a->uuid, &b->uuid))
		return err_set(err, -EINVAL, "set %u, replicas %s and %s: same uuid", set, a->name, b->name);
	if (strcmp(a->name, b->name) == 0)
		return err_set(err, -EINVAL, "set %u: two replicas are named %s", set, a->name);
	if (same_address(a, b))
		return err_set(err, -EINVAL, "set %u, replicas %s and %s: same address %s", set, a->name, b->name,
			       a->address);
	return 0;
}

unsigned volume_set_data_count(const struct set_spec *set)
{
	unsigned count = 0;

	for (unsigned i = 0; i < set->replica_count; i++)
		count += set->replicas[i].kind != VOTER_WITNESS;
	return count;
}

static int check_counts(const struct set_spec *set, unsigned index, struct err *err)
{
	unsigned data;

	if (set->replica_count > SET_VOTERS_MAX)
		return err_set(err, -EINVAL, "set %u: %u voters; at most %u", index, set->replica_count,
			       SET_VOTERS_MAX);
	data = volume_set_data_count(set);
	if (data == 0 || data > SET_REPLICAS_MAX)
		return err_set(err, -EINVAL, "set %u: %u replicas; must be 1 to %u", index, data, SET_REPLICAS_MAX);
	return 0;
}

static int check_set(const struct volume_spec *spec, unsigned index, struct err *err)
{
	const struct set_spec *set = &spec->sets[index];
	int error;

	if (uuid_is_nil(&set->uuid))
		return err_set(err, -EINVAL, "set %u: has no uuid", index);
	error = check_counts(set, index, err);
	if (error)
		return error;
	if (volume_set_bytes(spec, index) == 0)
		return err_set(err, -EINVAL,
			       "set %u: the volume is too small to reach it; use fewer sets or smaller chunks", index);
	for (unsigned i = 0; i < set->replica_count; i++) {
		error = check_replica(&set->replicas[i], index, err);
		for (unsigned j = 0; !error && j < i; j++)
			error = check_pair(&set->replicas[j], &set->replicas[i], index, err);
		if (error)
			return error;
	}
	return 0;
}

/* Across sets only what makes two sets one: a set's uuid, or a copy that would be written by both. */
static int check_sets_differ(const struct set_spec *a, const struct set_spec *b, struct err *err)
{
	if (uuid_equal(&a->uuid, &b->uuid))
		return err_set(err, -EINVAL, "two sets have the same uuid");
	for (unsigned i = 0; i < a->replica_count; i++) {
		for (unsigned j = 0; j < b->replica_count; j++) {
			if (uuid_equal(&a->replicas[i].uuid, &b->replicas[j].uuid))
				return err_set(err, -EINVAL, "replica %s: stands in two sets", a->replicas[i].name);
		}
	}
	return 0;
}

static int check_sets(const struct volume_spec *spec, struct err *err)
{
	int error = 0;

	if (spec->set_count == 0 || spec->set_count > SET_COUNT_MAX)
		return err_set(err, -EINVAL, "%u mirror sets: must be 1 to %u", spec->set_count, SET_COUNT_MAX);
	for (unsigned i = 0; !error && i < spec->set_count; i++) {
		error = check_set(spec, i, err);
		for (unsigned j = 0; !error && j < i; j++)
			error = check_sets_differ(&spec->sets[j], &spec->sets[i], err);
	}
	if (!error && volume_leg_count(spec) > LEG_COUNT_MAX)
		return err_set(err, -EINVAL, "%u replicas in total: at most %u", volume_leg_count(spec), LEG_COUNT_MAX);
	return error;
}

static int check_policy(const struct volume_spec *spec, struct err *err)
{
	for (unsigned i = 0; i < spec->set_count; i++) {
		unsigned data = volume_set_data_count(&spec->sets[i]);

		if (spec->policy.min_in_sync > data)
			return err_set(err, -EINVAL, "min-in-sync %" PRIu32 ": set %u has %u replica%s only",
				       spec->policy.min_in_sync, i, data, data == 1 ? "" : "s");
	}
	return 0;
}

int volume_spec_check(const struct volume_spec *spec, struct err *err)
{
	int error;

	if (!name_is_valid(spec->name))
		return err_set(err, -EINVAL, "volume name: must be " NAME_RULE);
	if (uuid_is_nil(&spec->uuid))
		return err_set(err, -EINVAL, "volume %s: has no uuid", spec->name);
	error = check_sizes(spec, err);
	if (!error)
		error = check_sets(spec, err);
	if (!error)
		error = check_policy(spec, err);
	return error ? err_wrap(err, "volume %s", spec->name) : 0;
}

uint64_t volume_set_bytes(const struct volume_spec *spec, unsigned set)
{
	struct layout layout = layout_of(spec);

	return layout_set_bytes(&layout, set);
}

unsigned volume_leg_count(const struct volume_spec *spec)
{
	unsigned count = 0;

	for (unsigned i = 0; i < spec->set_count; i++)
		count += spec->sets[i].replica_count;
	return count;
}

void volume_kind_counts(const struct volume_spec *spec, unsigned *ret_replicas, unsigned *ret_witnesses)
{
	*ret_replicas = 0;
	for (unsigned i = 0; i < spec->set_count; i++)
		*ret_replicas += volume_set_data_count(&spec->sets[i]);
	*ret_witnesses = volume_leg_count(spec) - *ret_replicas;
}

const struct replica_spec *volume_leg_replica(const struct volume_spec *spec, unsigned leg, unsigned *ret_set)
{
	for (unsigned i = 0; i < spec->set_count; i++) {
		if (leg < spec->sets[i].replica_count) {
			if (ret_set)
				*ret_set = i;
			return &spec->sets[i].replicas[leg];
		}
		leg -= spec->sets[i].replica_count;
	}
	assert(!"leg is out of range");
	return NULL;
}

void volume_replica_address(const struct replica_spec *replica, char out[ADDRESS_CHARS_MAX + 1])
{
	struct address address;

	if (address_parse(replica->address, PORT_DEFAULT, &address, NULL))
		memcpy(out, replica->address, ADDRESS_CHARS_MAX + 1);
	else
		address_format(&address, out);
}

static int match_geometry(const struct volume_spec *spec, unsigned set, const struct config *config, struct err *err)
{
	uint64_t set_bytes = volume_set_bytes(spec, set);

	if (config->set_index != set || config->set_count != spec->set_count)
		return err_set(err, -EINVAL, "set %u of %u: the replicas' config says set %" PRIu32 " of %" PRIu32, set,
			       spec->set_count, config->set_index, config->set_count);
	if (config->block_bytes != spec->block_bytes)
		return err_set(err, -EINVAL, "block size %" PRIu32 ": the replicas' config says %" PRIu32,
			       spec->block_bytes, config->block_bytes);
	if (spec->set_count > 1 && config->chunk_bytes != spec->chunk_bytes)
		return err_set(err, -EINVAL, "chunk %" PRIu32 ": the replicas' config says %" PRIu32, spec->chunk_bytes,
			       config->chunk_bytes);
	if (config->volume_bytes != spec->size_bytes || config->set_bytes != set_bytes)
		return err_set(err, -EINVAL,
			       "size %" PRIu64 " (set %" PRIu64 "): the replicas' config says %" PRIu64 " (set %" PRIu64
			       ")",
			       spec->size_bytes, set_bytes, config->volume_bytes, config->set_bytes);
	return 0;
}

static int match_voters(const struct set_spec *set, const struct config *config, struct err *err)
{
	if (config->voter_count != set->replica_count)
		return err_set(err, -EINVAL, "%u replicas: the replicas' config has %" PRIu32 " voters",
			       set->replica_count, config->voter_count);
	for (unsigned i = 0; i < set->replica_count; i++) {
		const struct voter *voter = config_voter(config, &set->replicas[i].uuid);

		if (!voter || voter->kind != set->replicas[i].kind)
			return err_set(err, -EINVAL, "replica %s: is not a voter of the replicas' config",
				       set->replicas[i].name);
	}
	return 0;
}

int volume_spec_match(const struct volume_spec *spec, unsigned set, const struct config *config, struct err *err)
{
	int error;

	if (!uuid_equal(&config->volume_uuid, &spec->uuid))
		return err_set(err, -EINVAL, "volume %s: the replicas' config belongs to another volume", spec->name);
	if (!uuid_equal(&config->set_uuid, &spec->sets[set].uuid))
		return err_set(err, -EINVAL, "volume %s: the replicas' config belongs to another set than %u",
			       spec->name, set);
	error = match_geometry(spec, set, config, err);
	if (!error)
		error = match_voters(&spec->sets[set], config, err);
	return error ? err_wrap(err, "volume %s, set %u", spec->name, set) : 0;
}
