/* The config record as bytes, and every check that needs no knowledge of the set it belongs to. Pure; knows the
 * record's layout (docs/on-disk.md) and nothing of where it is stored or who may propose it.
 * On no request's path: read at attach, written at a change of membership. */
#include "proto/config.h"

#include <errno.h>
#include <string.h>

#include "common/address.h"
#include "common/byteorder.h"
#include "common/crc32c.h"
#include "common/mutant.h"

#define CONFIG_MAGIC 0x46434b4cu /* "LKCF" on the wire */

/* The layout, for offsets only. */
struct wire_head {
	uint32_t magic;
	uint32_t version;
	uint64_t features;
	uint32_t total_bytes; /* of the record, checksum included */
	uint32_t voter_count;
	uint8_t volume_uuid[16];
	uint8_t set_uuid[16];
	uint32_t set_index;
	uint32_t set_count;
	uint32_t block_bytes;
	uint32_t chunk_bytes;
	uint64_t set_bytes;
	uint64_t volume_bytes;
	uint64_t nonce;
	uint32_t epoch;
	uint32_t gen;
	uint32_t loss_count;
	uint32_t reserved; /* 0 */
};

struct wire_voter {
	uint8_t uuid[16];
	uint8_t boot_id[16];
	uint64_t incarnation;
	uint32_t in_sync_gen;
	uint8_t kind;
	uint8_t state;
	uint8_t compare;
	uint8_t reserved;		     /* 0 */
	char address[ADDRESS_CHARS_MAX + 1]; /* zeros after the text */
};

#define HEAD_BYTES sizeof(struct wire_head)
#define VOTER_BYTES sizeof(struct wire_voter)
#define CRC_BYTES 4u
#define LIFE_BYTES 8u
#define RECORD_BYTES(voters) (HEAD_BYTES + (voters)*VOTER_BYTES + CRC_BYTES)
#define HEAD(field) offsetof(struct wire_head, field)
#define VOTER(field) offsetof(struct wire_voter, field)

static_assert(HEAD_BYTES == 112 && VOTER_BYTES == 320, "no padding");
static_assert(HEAD(volume_uuid) == 24 && HEAD(set_bytes) == 72 && HEAD(reserved) == 108, "offsets of the head");
static_assert(VOTER(incarnation) == 32 && VOTER(kind) == 44 && VOTER(address) == 48, "offsets of a voter");
static_assert(RECORD_BYTES(SET_VOTERS_MAX) + SET_VOTERS_MAX * LIFE_BYTES <= CONFIG_BYTES_MAX,
	      "the largest record fits its slot");

/* The voters' lives follow them. Not there as long as nobody was replaced: any version reads it then. */
#define FEATURE_LIVES (1ull << 0)

static bool has_lives(const struct config *config)
{
	for (uint32_t i = 0; i < config->voter_count; i++) {
		if (config->voters[i].life)
			return true;
	}
	return false;
}

static size_t record_bytes(uint64_t features, uint32_t voter_count)
{
	return RECORD_BYTES((size_t)voter_count) + (features & FEATURE_LIVES ? voter_count * LIFE_BYTES : 0);
}

static void store_uuid(uint8_t *out, const struct uuid *uuid)
{
	memcpy(out, uuid->bytes, sizeof(uuid->bytes));
}

static struct uuid load_uuid(const uint8_t *in)
{
	struct uuid uuid;

	memcpy(uuid.bytes, in, sizeof(uuid.bytes));
	return uuid;
}

static void store_head(uint8_t *out, const struct config *config, uint64_t features)
{
	store_le32(out + HEAD(magic), CONFIG_MAGIC);
	store_le32(out + HEAD(version), CONFIG_VERSION);
	store_le64(out + HEAD(features), features);
	store_le32(out + HEAD(total_bytes), (uint32_t)record_bytes(features, config->voter_count));
	store_le32(out + HEAD(voter_count), config->voter_count);
	store_uuid(out + HEAD(volume_uuid), &config->volume_uuid);
	store_uuid(out + HEAD(set_uuid), &config->set_uuid);
	store_le32(out + HEAD(set_index), config->set_index);
	store_le32(out + HEAD(set_count), config->set_count);
	store_le32(out + HEAD(block_bytes), config->block_bytes);
	store_le32(out + HEAD(chunk_bytes), config->chunk_bytes);
	store_le64(out + HEAD(set_bytes), config->set_bytes);
	store_le64(out + HEAD(volume_bytes), config->volume_bytes);
	store_le64(out + HEAD(nonce), config->ballot.nonce);
	store_le32(out + HEAD(epoch), config->ballot.epoch);
	store_le32(out + HEAD(gen), config->gen);
	store_le32(out + HEAD(loss_count), config->loss_count);
	store_le32(out + HEAD(reserved), 0);
}

static void store_voter(uint8_t *out, const struct voter *voter)
{
	store_uuid(out + VOTER(uuid), &voter->uuid);
	store_uuid(out + VOTER(boot_id), &voter->boot_id);
	store_le64(out + VOTER(incarnation), voter->incarnation);
	store_le32(out + VOTER(in_sync_gen), voter->in_sync_gen);
	out[VOTER(kind)] = (uint8_t)voter->kind;
	out[VOTER(state)] = (uint8_t)voter->state;
	out[VOTER(compare)] = (uint8_t)voter->compare;
	out[VOTER(reserved)] = 0;
	memset(out + VOTER(address), 0, ADDRESS_CHARS_MAX + 1);
	memcpy(out + VOTER(address), voter->address, strnlen(voter->address, ADDRESS_CHARS_MAX));
}

int config_encode(const struct config *config, uint8_t *out, size_t cap)
{
	uint64_t features;
	size_t bytes;

	if (config->voter_count > SET_VOTERS_MAX)
		return -EMSGSIZE;
	features = has_lives(config) ? FEATURE_LIVES : 0;
	bytes = record_bytes(features, config->voter_count);
	if (bytes > cap)
		return -EMSGSIZE;
	store_head(out, config, features);
	for (uint32_t i = 0; i < config->voter_count; i++)
		store_voter(out + HEAD_BYTES + i * VOTER_BYTES, &config->voters[i]);
	for (uint32_t i = 0; features && i < config->voter_count; i++)
		store_le64(out + HEAD_BYTES + config->voter_count * VOTER_BYTES + i * LIFE_BYTES,
			   config->voters[i].life);
	store_le32(out + bytes - CRC_BYTES, crc32c(0, out, bytes - CRC_BYTES));
	return (int)bytes;
}

static void load_head(const uint8_t *in, struct config *ret)
{
	ret->volume_uuid = load_uuid(in + HEAD(volume_uuid));
	ret->set_uuid = load_uuid(in + HEAD(set_uuid));
	ret->set_index = load_le32(in + HEAD(set_index));
	ret->set_count = load_le32(in + HEAD(set_count));
	ret->block_bytes = load_le32(in + HEAD(block_bytes));
	ret->chunk_bytes = load_le32(in + HEAD(chunk_bytes));
	ret->set_bytes = load_le64(in + HEAD(set_bytes));
	ret->volume_bytes = load_le64(in + HEAD(volume_bytes));
	ret->ballot.nonce = load_le64(in + HEAD(nonce));
	ret->ballot.epoch = load_le32(in + HEAD(epoch));
	ret->gen = load_le32(in + HEAD(gen));
	ret->loss_count = load_le32(in + HEAD(loss_count));
	ret->voter_count = load_le32(in + HEAD(voter_count));
}

/* NULL, or why it is not a voter. */
static const char *load_voter(const uint8_t *in, struct voter *ret)
{
	size_t chars;

	ret->uuid = load_uuid(in + VOTER(uuid));
	ret->boot_id = load_uuid(in + VOTER(boot_id));
	ret->incarnation = load_le64(in + VOTER(incarnation));
	ret->in_sync_gen = load_le32(in + VOTER(in_sync_gen));
	ret->kind = (enum voter_kind)in[VOTER(kind)];
	ret->state = (enum voter_state)in[VOTER(state)];
	ret->compare = (enum compare_rule)in[VOTER(compare)];
	if (in[VOTER(reserved)] != 0)
		return "a reserved byte of a voter is not 0";
	memcpy(ret->address, in + VOTER(address), sizeof(ret->address));
	chars = strnlen(ret->address, sizeof(ret->address));
	if (chars > ADDRESS_CHARS_MAX)
		return "a voter's address has no end";
	for (size_t i = chars; i < sizeof(ret->address); i++) {
		if (ret->address[i] != '\0')
			return "bytes after the end of a voter's address";
	}
	return NULL;
}

static void load_lives(const uint8_t *in, struct config *ret)
{
	for (uint32_t i = 0; i < ret->voter_count; i++)
		ret->voters[i].life = load_le64(in + HEAD_BYTES + ret->voter_count * VOTER_BYTES + i * LIFE_BYTES);
}

/* A life begins with a config that was proposed, this one or one before it. */
static const char *life_misfit(const struct config *config, const struct voter *voter)
{
	uint32_t epoch = (uint32_t)(voter->life >> 32), gen = (uint32_t)voter->life;

	if (voter->life == 0)
		return NULL;
	return epoch == 0 || gen == 0 || epoch > config->ballot.epoch || gen > config->gen
		       ? "a voter whose life begins in a config that is yet to come"
		       : NULL;
}

static const char *witness_misfit(const struct voter *voter)
{
	if (voter->state != VOTER_OUT || voter->compare != 0 || voter->in_sync_gen != 0 || voter->incarnation != 0 ||
	    !uuid_is_nil(&voter->boot_id))
		return "a witness with the state of a replica";
	return NULL;
}

static const char *replica_misfit(const struct config *config, const struct voter *voter)
{
	if (voter->state != VOTER_IN && voter->state != VOTER_OUT)
		return "a voter's state is unknown";
	if (voter->compare < COMPARE_STAMPS || voter->compare > COMPARE_EVERYTHING)
		return "a voter's compare rule is unknown";
	if (voter->in_sync_gen > config->gen)
		return "a voter in sync in a gen that is yet to come";
	return NULL;
}

static const char *voter_misfit(const struct config *config, uint32_t idx)
{
	const struct voter *voter = &config->voters[idx];
	struct address address;
	const char *reason = life_misfit(config, voter);

	if (reason)
		return reason;
	if (uuid_is_nil(&voter->uuid))
		return "a voter without uuid";
	for (uint32_t i = 0; i < idx; i++) {
		if (uuid_equal(&config->voters[i].uuid, &voter->uuid))
			return "a voter named twice";
	}
	if (address_parse(voter->address, 0, &address, NULL) < 0)
		return "a voter's address is not host:port";
	if (voter->kind == VOTER_REPLICA)
		return replica_misfit(config, voter);
	return voter->kind == VOTER_WITNESS ? witness_misfit(voter) : "a voter's kind is unknown";
}

static const char *voters_misfit(const struct config *config)
{
	uint32_t replica_count = 0, in_count = 0;

	for (uint32_t i = 0; i < config->voter_count; i++) {
		const char *reason = voter_misfit(config, i);

		if (reason)
			return reason;
		replica_count += config->voters[i].kind == VOTER_REPLICA;
		in_count += config->voters[i].state == VOTER_IN;
	}
	if (replica_count == 0)
		return "no replica among the voters";
	if (replica_count > SET_REPLICAS_MAX)
		return "too many replicas";
	return in_count == 0 ? "no replica is in sync" : NULL;
}

static const char *block_misfit(const struct config *config)
{
	if (config->block_bytes != BLOCK_BYTES_MIN && config->block_bytes != BLOCK_BYTES_MAX)
		return "the block size is neither 512 nor 4096";
	if (config->chunk_bytes < CHUNK_BYTES_MIN || config->chunk_bytes > CHUNK_BYTES_MAX)
		return "the chunk size is outside its limits";
	if (config->chunk_bytes % BLOCK_BYTES_MAX != 0)
		return "the chunk size is not a multiple of 4096";
	return NULL;
}

static const char *geometry_misfit(const struct config *config)
{
	if (config->set_count == 0 || config->set_count > SET_COUNT_MAX || config->set_index >= config->set_count)
		return "the set's index or count is outside its limits";
	if (config->volume_bytes == 0 || config->volume_bytes > VOLUME_BYTES_MAX ||
	    config->volume_bytes % config->block_bytes != 0)
		return "the volume's size is 0, too large or not a multiple of the block";
	if (config->set_bytes == 0 || config->set_bytes > config->volume_bytes ||
	    config->set_bytes % config->block_bytes != 0)
		return "the set's size is 0, larger than the volume or not a multiple of the block";
	if (config->set_count == 1 && config->set_bytes != config->volume_bytes)
		return "the only set is smaller than the volume";
	return NULL;
}

static const char *misfit(const struct config *config)
{
	const char *reason;

	if (uuid_is_nil(&config->volume_uuid) || uuid_is_nil(&config->set_uuid))
		return "a volume or set without uuid";
	if (config->gen == 0)
		return "gen 0";
	reason = block_misfit(config);
	if (!reason)
		reason = geometry_misfit(config);
	return reason ? reason : voters_misfit(config);
}

/* Everything up to the checksum: after it the bytes are what somebody once encoded. */
static int check_envelope(const uint8_t *in, size_t len, const char **ret_reason)
{
	uint64_t features;

	if (len < RECORD_BYTES(0) || load_le32(in + HEAD(magic)) != CONFIG_MAGIC) {
		*ret_reason = "not a config record";
		return -EBADMSG;
	}
	if (load_le32(in + HEAD(version)) != CONFIG_VERSION) {
		*ret_reason = "an unknown version of the config record";
		return -EPROTONOSUPPORT;
	}
	features = load_le64(in + HEAD(features));
	if (features & ~FEATURE_LIVES) {
		*ret_reason = "unknown feature bits in the config record";
		return -EPROTONOSUPPORT;
	}
	if (load_le32(in + HEAD(voter_count)) > SET_VOTERS_MAX || load_le32(in + HEAD(total_bytes)) != len ||
	    len != record_bytes(features, load_le32(in + HEAD(voter_count)))) {
		*ret_reason = "the config record's length does not match its voters";
		return -EBADMSG;
	}
	if (load_le32(in + len - CRC_BYTES) != crc32c(0, in, len - CRC_BYTES)) {
		*ret_reason = "the config record's checksum does not match";
		return -EBADMSG;
	}
	return 0;
}

int config_decode(const uint8_t *in, size_t len, struct config *ret, const char **ret_reason)
{
	int error = check_envelope(in, len, ret_reason);

	if (error)
		return error;
	*ret_reason = load_le32(in + HEAD(reserved)) ? "a reserved field of the config record is not 0" : NULL;
	memset(ret, 0, sizeof(*ret));
	load_head(in, ret);
	for (uint32_t i = 0; i < ret->voter_count && !*ret_reason; i++)
		*ret_reason = load_voter(in + HEAD_BYTES + i * VOTER_BYTES, &ret->voters[i]);
	if (!*ret_reason && load_le64(in + HEAD(features)) & FEATURE_LIVES)
		load_lives(in, ret);
	/* One config has one encoding. */
	if (!*ret_reason && load_le64(in + HEAD(features)) & FEATURE_LIVES && !has_lives(ret))
		*ret_reason = "lives of voters, and all of them 0";
	if (!*ret_reason)
		*ret_reason = misfit(ret);
	return *ret_reason ? -EINVAL : 0;
}

int config_compare(const struct config *a, const struct config *b)
{
	if (a->ballot.epoch != b->ballot.epoch && !MUTANT(configs_ordered_by_gen))
		return a->ballot.epoch < b->ballot.epoch ? -1 : 1;
	if (a->gen != b->gen)
		return a->gen < b->gen ? -1 : 1;
	return 0;
}

const char *voter_kind_name(enum voter_kind kind)
{
	return kind == VOTER_WITNESS ? "witness" : "replica";
}

const struct voter *config_voter(const struct config *config, const struct uuid *voter)
{
	for (uint32_t i = 0; i < config->voter_count; i++) {
		if (uuid_equal(&config->voters[i].uuid, voter))
			return &config->voters[i];
	}
	return NULL;
}
