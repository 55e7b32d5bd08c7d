/* The volume's file: its keys, and nothing of what a volume does. Each refusal carries the file and the line.
 * Read by the gateway before it attaches and by the CLI; written by `lockstep volume create` alone. */
#include "gateway/drivers/volume_file.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "common/yaml_file.h"

#define VOLUME_FORMAT 1u
#define NUMBER_CHARS 31u

struct replica_yaml {
	char name[VOLUME_NAME_MAX + 1];
	char uuid[UUID_CHARS + 1];
	char address[ADDRESS_CHARS_MAX + 1];
};

struct set_yaml {
	char uuid[UUID_CHARS + 1];
	struct replica_yaml *replicas;
	unsigned replicas_count;
	struct replica_yaml *witnesses; /* NULL: none */
	unsigned witnesses_count;
};

/* Sizes are strings here: "1G" and 1073741824 are both fine. */
struct volume_yaml {
	unsigned format;
	char name[VOLUME_NAME_MAX + 1];
	char uuid[UUID_CHARS + 1];
	char size[NUMBER_CHARS + 1];
	char block_size[NUMBER_CHARS + 1];
	char chunk[NUMBER_CHARS + 1];
	char *policy[POLICY_KEY_COUNT]; /* NULL: not said */
	struct set_yaml *sets;
	unsigned sets_count;
};

static const cyaml_schema_field_t replica_fields[] = {
	CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct replica_yaml, name, 1),
	CYAML_FIELD_STRING("uuid", CYAML_FLAG_DEFAULT, struct replica_yaml, uuid, 1),
	CYAML_FIELD_STRING("address", CYAML_FLAG_DEFAULT, struct replica_yaml, address, 1),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t replica_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct replica_yaml, replica_fields)};

static const cyaml_schema_field_t set_fields[] = {
	CYAML_FIELD_STRING("uuid", CYAML_FLAG_DEFAULT, struct set_yaml, uuid, 1),
	CYAML_FIELD_SEQUENCE("replicas", CYAML_FLAG_POINTER, struct set_yaml, replicas, &replica_value, 1,
			     SET_REPLICAS_MAX),
	CYAML_FIELD_SEQUENCE("witnesses", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct set_yaml, witnesses,
			     &replica_value, 1, SET_VOTERS_MAX - 1),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t set_value = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct set_yaml, set_fields)};

/* In the order of policy.c; test_volume_file would find a key misplaced. */
#define POLICY_FIELD(key, nth)                                                                                         \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct volume_yaml, policy[nth], 0,      \
			       POLICY_TEXT_CHARS - 1)

static const cyaml_schema_field_t volume_fields[] = {
	CYAML_FIELD_UINT("format", CYAML_FLAG_DEFAULT, struct volume_yaml, format),
	CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct volume_yaml, name, 1),
	CYAML_FIELD_STRING("uuid", CYAML_FLAG_DEFAULT, struct volume_yaml, uuid, 1),
	CYAML_FIELD_STRING("size", CYAML_FLAG_DEFAULT, struct volume_yaml, size, 1),
	CYAML_FIELD_STRING("block-size", CYAML_FLAG_DEFAULT, struct volume_yaml, block_size, 1),
	CYAML_FIELD_STRING("chunk", CYAML_FLAG_DEFAULT, struct volume_yaml, chunk, 1),
	POLICY_FIELD("on-no-quorum", 0),
	POLICY_FIELD("quorum-deadline", 1),
	POLICY_FIELD("min-in-sync", 2),
	POLICY_FIELD("answer-deadline", 3),
	POLICY_FIELD("resync-rate", 4),
	POLICY_FIELD("slow-factor", 5),
	POLICY_FIELD("slow-time", 6),
	POLICY_FIELD("slow-rest", 7),
	CYAML_FIELD_SEQUENCE("sets", CYAML_FLAG_POINTER, struct volume_yaml, sets, &set_value, 1, SET_COUNT_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t volume_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct volume_yaml, volume_fields)};

int volume_file_path(const char *config_dir, const char *name, char *ret, size_t cap, struct err *err)
{
	int n;

	if (!config_dir)
		config_dir = getenv("LOCKSTEP_CONFIG_DIR");
	if (!config_dir || !config_dir[0])
		config_dir = VOLUME_CONFIG_DIR_DEFAULT;
	if (!name[0] || name[0] == '.' || strchr(name, '/') || strlen(name) > VOLUME_NAME_MAX)
		return err_set(err, -EINVAL, "%s: not a volume name", name);
	n = snprintf(ret, cap, "%s/volumes/%s.yaml", config_dir, name);
	if (n < 0 || (size_t)n >= cap)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", config_dir);
	return 0;
}

static int take_size(const struct yaml_file *file, const char *where, const char *text, uint64_t max, uint64_t *ret,
		     struct err *err)
{
	uint64_t bytes;
	int error = size_parse(text, &bytes);

	if (error == -EINVAL)
		return yaml_file_refuse(file, err, where, "'%s' is not a size; write bytes or e.g. 512, 64K, 1G", text);
	if (error || bytes > max)
		return yaml_file_refuse(file, err, where, "%s is too large", text);
	if (!bytes)
		return yaml_file_refuse(file, err, where, "must be greater than 0");
	*ret = bytes;
	return 0;
}

static int take_uuid(const struct yaml_file *file, const char *where, const char *text, struct uuid *ret,
		     struct err *err)
{
	if (uuid_parse(text, ret))
		return yaml_file_refuse(file, err, where, "'%s' is not a uuid", text);
	if (uuid_is_nil(ret))
		return yaml_file_refuse(file, err, where, "the nil uuid is not allowed");
	return 0;
}

static int take_voter(const struct yaml_file *file, const char *where, const struct replica_yaml *yaml,
		      enum voter_kind kind, struct replica_spec *ret, struct err *err)
{
	ret->kind = kind;
	snprintf(ret->name, sizeof(ret->name), "%s", yaml->name);
	snprintf(ret->address, sizeof(ret->address), "%s", yaml->address);
	return take_uuid(file, where, yaml->uuid, &ret->uuid, err);
}

/* Witnesses stand behind the replicas. */
static int take_set(const struct yaml_file *file, unsigned idx, const struct set_yaml *yaml, struct set_spec *ret,
		    struct err *err)
{
	char where[64];
	int error;

	snprintf(where, sizeof(where), "sets[%u].uuid", idx);
	error = take_uuid(file, where, yaml->uuid, &ret->uuid, err);
	for (unsigned i = 0; !error && i < yaml->replicas_count; i++) {
		snprintf(where, sizeof(where), "sets[%u].replicas[%u].uuid", idx, i);
		error = take_voter(file, where, &yaml->replicas[i], VOTER_REPLICA, &ret->replicas[i], err);
	}
	ret->replica_count = yaml->replicas_count; /* <= SET_REPLICAS_MAX by the schema */
	for (unsigned i = 0; !error && i < yaml->witnesses_count; i++) {
		snprintf(where, sizeof(where), "sets[%u].witnesses[%u]", idx, i);
		if (ret->replica_count == SET_VOTERS_MAX)
			return yaml_file_refuse(file, err, where, "replicas and witnesses together are more than %u",
						SET_VOTERS_MAX);
		snprintf(where, sizeof(where), "sets[%u].witnesses[%u].uuid", idx, i);
		error = take_voter(file, where, &yaml->witnesses[i], VOTER_WITNESS,
				   &ret->replicas[ret->replica_count++], err);
	}
	return error;
}

static int take_geometry(const struct yaml_file *file, const struct volume_yaml *yaml, struct volume_spec *ret,
			 struct err *err)
{
	uint64_t block = 0, chunk = 0;
	int error;

	error = take_size(file, "size", yaml->size, VOLUME_BYTES_MAX, &ret->size_bytes, err);
	if (!error)
		error = take_size(file, "block-size", yaml->block_size, BLOCK_BYTES_MAX, &block, err);
	if (!error)
		error = take_size(file, "chunk", yaml->chunk, CHUNK_BYTES_MAX, &chunk, err);
	if (error)
		return error;
	ret->block_bytes = (uint32_t)block;
	ret->chunk_bytes = (uint32_t)chunk;
	if (block != BLOCK_BYTES_MIN && block != BLOCK_BYTES_MAX)
		return yaml_file_refuse(file, err, "block-size", "must be 512 or 4096, not %s", yaml->block_size);
	if (ret->size_bytes % block)
		return yaml_file_refuse(file, err, "size", "not a multiple of the block size %s", yaml->block_size);
	return 0;
}

static int take_policy(const struct yaml_file *file, const struct volume_yaml *yaml, struct volume_policy *ret,
		       struct err *err)
{
	struct err reason;

	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
		if (yaml->policy[i] && policy_take(ret, i, yaml->policy[i], &reason))
			return yaml_file_refuse(file, err, policy_key(i), "%s", reason.text);
	}
	return 0;
}

static int take_volume(const struct yaml_file *file, const struct volume_yaml *yaml, struct volume_spec *ret,
		       struct err *err)
{
	int error;

	memset(ret, 0, sizeof(*ret));
	if (yaml->format != VOLUME_FORMAT)
		return yaml_file_refuse(file, err, "format", "%u is not known to this version, which reads %u",
					yaml->format, VOLUME_FORMAT);
	snprintf(ret->name, sizeof(ret->name), "%s", yaml->name);
	error = take_uuid(file, "uuid", yaml->uuid, &ret->uuid, err);
	if (!error)
		error = take_geometry(file, yaml, ret, err);
	if (!error)
		error = take_policy(file, yaml, &ret->policy, err);
	ret->set_count = yaml->sets_count; /* <= SET_COUNT_MAX by the schema */
	for (unsigned i = 0; !error && i < yaml->sets_count; i++)
		error = take_set(file, i, &yaml->sets[i], &ret->sets[i], err);
	return error;
}

/* Which key a reason of volume_spec_check() is about: it names the object after "volume NAME: ". */
static void place_of(const char *reason, char *ret, size_t cap)
{
	static const struct {
		const char *object, *key;
	} table[] = {
		{"size", "size"}, {"block size", "block-size"}, {"chunk", "chunk"}, {"min-in-sync", "min-in-sync"}};
	const char *object = strstr(reason, ": ");
	unsigned set;

	snprintf(ret, cap, "name");
	if (!object)
		return;
	object += 2;
	if (sscanf(object, "set %u", &set) == 1)
		snprintf(ret, cap, "sets[%u]", set);
	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		if (!strncmp(object, table[i].object, strlen(table[i].object)))
			snprintf(ret, cap, "%s", table[i].key);
	}
}

static int check_volume(const struct yaml_file *file, const struct volume_spec *spec, struct err *err)
{
	struct err reason;
	char where[32];

	if (!volume_spec_check(spec, &reason))
		return 0;
	place_of(reason.text, where, sizeof(where));
	return yaml_file_refuse(file, err, where, "%s", reason.text);
}

int volume_file_load(const char *path, struct volume_spec *ret, struct err *err)
{
	struct yaml_file *file;
	int error;

	error = yaml_file_load(path, &volume_schema, &file, err);
	if (error)
		return error;
	error = take_volume(file, yaml_file_data(file), ret, err);
	if (!error)
		error = check_volume(file, ret, err);
	yaml_file_free(file);
	return error;
}

struct volume_yaml_room {
	struct volume_yaml volume;
	struct set_yaml sets[SET_COUNT_MAX];
	struct replica_yaml replicas[SET_COUNT_MAX][SET_VOTERS_MAX];
	struct replica_yaml witnesses[SET_COUNT_MAX][SET_VOTERS_MAX];
	char policy[POLICY_KEY_COUNT][POLICY_TEXT_CHARS];
};

static void give_policy(const struct volume_policy *policy, struct volume_yaml_room *room)
{
	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
		if (policy_give(policy, i, room->policy[i]))
			room->volume.policy[i] = room->policy[i];
	}
}

static void give_voter(const struct replica_spec *voter, struct replica_yaml *ret)
{
	uuid_format(&voter->uuid, ret->uuid);
	snprintf(ret->name, sizeof(ret->name), "%s", voter->name);
	snprintf(ret->address, sizeof(ret->address), "%s", voter->address);
}

static void give_set(const struct volume_spec *spec, unsigned idx, struct volume_yaml_room *room)
{
	const struct set_spec *set = &spec->sets[idx];
	struct set_yaml *ret = &room->sets[idx];

	uuid_format(&set->uuid, ret->uuid);
	ret->replicas = room->replicas[idx];
	for (unsigned i = 0; i < set->replica_count; i++) {
		const struct replica_spec *voter = &set->replicas[i];

		if (voter->kind == VOTER_WITNESS)
			give_voter(voter, &room->witnesses[idx][ret->witnesses_count++]);
		else
			give_voter(voter, &ret->replicas[ret->replicas_count++]);
	}
	ret->witnesses = ret->witnesses_count ? room->witnesses[idx] : NULL;
}

int volume_file_save(const char *path, const struct volume_spec *spec, struct err *err)
{
	static const char comment[] = "Written by 'lockstep volume create'; the keys are in lockstep-volume(5).";
	struct volume_yaml_room *room;
	int error;

	error = volume_spec_check(spec, err);
	if (error)
		return error;
	room = calloc(1, sizeof(*room));
	if (!room)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	room->volume.format = VOLUME_FORMAT;
	memcpy(room->volume.name, spec->name, sizeof(room->volume.name));
	uuid_format(&spec->uuid, room->volume.uuid);
	size_format(spec->size_bytes, room->volume.size);
	size_format(spec->block_bytes, room->volume.block_size);
	size_format(spec->chunk_bytes, room->volume.chunk);
	give_policy(&spec->policy, room);
	room->volume.sets = room->sets;
	room->volume.sets_count = spec->set_count;
	for (unsigned i = 0; i < spec->set_count; i++)
		give_set(spec, i, room);
	error = yaml_file_save(path, 0644, comment, &volume_schema, &room->volume, err);
	free(room);
	return error;
}
