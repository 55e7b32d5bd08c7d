/* Superblock slots: encode, decode, choose. Knows bytes only; who reads and writes them is replica.c and the drivers.
 * On a request's path only when a promise or a config must become durable. */
#include "replica-server/core/superblock.h"

#include <errno.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/crc32c.h"
#include "common/mutant.h"

/* Byte offsets in a slot; docs/on-disk.md has the same table. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_HEADER_BYTES = 12,
	AT_COMPAT = 16,
	AT_INCOMPAT = 24,
	AT_SEQUENCE = 32,
	AT_VOLUME_UUID = 40,
	AT_SET_UUID = 56,
	AT_REPLICA_UUID = 72,
	AT_SET_INDEX = 88,
	AT_SET_COUNT = 92,
	AT_BLOCK_BYTES = 96,
	AT_CHUNK_BYTES = 100,
	AT_SET_BYTES = 104,
	AT_VOLUME_BYTES = 112,
	AT_PROMISE_EPOCH = 120,
	AT_CONFIG_LENGTH = 124,
	AT_PROMISE_NONCE = 128,
	AT_FLAGS = 136,
	AT_REGION_BYTES = 140,
	AT_CREATED = 144,
	AT_UPDATED = 152,
	AT_VOLUME_NAME = 160,
	AT_CONFIG_CRC = 224,
	AT_FAILED_SYNCS = 228,
	AT_LIFE = 232,
	AT_BOOT = 240,
	AT_KERNEL = 256,
	AT_CRC = 4092,
};

#define FLAG_CLEAN 1u
#define VOLUME_NAME_FIELD 64u

static const char magic[8] = {'L', 'S', 'R', 'E', 'P', 'S', 'B', '1'};

static_assert(AT_VOLUME_NAME + VOLUME_NAME_FIELD == AT_CONFIG_CRC, "the name fills its field");
static_assert(VOLUME_NAME_MAX + 1 == VOLUME_NAME_FIELD, "a name and its NUL fill the field");
static_assert(SUPERBLOCK_HEADER_BYTES + CONFIG_BYTES_MAX == SUPERBLOCK_SLOT_BYTES, "a slot is header and config");
static_assert(AT_CRC + 4 == SUPERBLOCK_HEADER_BYTES, "the checksum ends the header");

/* Over the whole slot, the checksum's own bytes counted as zeros. A record that ends with its own CRC adds the same to
 * it whatever it says: which config belongs to the header is told by AT_CONFIG_CRC alone. */
static uint32_t slot_crc(const uint8_t *slot)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32c(0, slot, AT_CRC);

	crc = crc32c(crc, zeros, sizeof(zeros));
	return crc32c(crc, slot + SUPERBLOCK_HEADER_BYTES, SUPERBLOCK_SLOT_BYTES - SUPERBLOCK_HEADER_BYTES);
}

static uint32_t config_crc(const uint8_t *slot, uint32_t length)
{
	return load_le32(slot + SUPERBLOCK_HEADER_BYTES + length - 4);
}

static void encode_identity(const struct superblock *sb, uint8_t *out)
{
	const struct config *config = &sb->config;

	memcpy(out + AT_VOLUME_UUID, config->volume_uuid.bytes, 16);
	memcpy(out + AT_SET_UUID, config->set_uuid.bytes, 16);
	memcpy(out + AT_REPLICA_UUID, sb->replica_uuid.bytes, 16);
	store_le32(out + AT_SET_INDEX, config->set_index);
	store_le32(out + AT_SET_COUNT, config->set_count);
	store_le32(out + AT_BLOCK_BYTES, config->block_bytes);
	store_le32(out + AT_CHUNK_BYTES, config->chunk_bytes);
	store_le64(out + AT_SET_BYTES, config->set_bytes);
	store_le64(out + AT_VOLUME_BYTES, config->volume_bytes);
	store_le32(out + AT_REGION_BYTES, (uint32_t)REGION_BYTES);
	memcpy(out + AT_VOLUME_NAME, sb->volume_name, strnlen(sb->volume_name, VOLUME_NAME_MAX));
}

int superblock_encode(const struct superblock *sb, uint8_t out[SUPERBLOCK_SLOT_BYTES])
{
	int length;

	memset(out, 0, SUPERBLOCK_SLOT_BYTES);
	length = config_encode(&sb->config, out + SUPERBLOCK_HEADER_BYTES, CONFIG_BYTES_MAX);
	if (length < 0)
		return -EINVAL;
	memcpy(out + AT_MAGIC, magic, sizeof(magic));
	store_le32(out + AT_VERSION, SUPERBLOCK_VERSION);
	store_le32(out + AT_HEADER_BYTES, SUPERBLOCK_HEADER_BYTES);
	store_le64(out + AT_COMPAT, sb->compat);
	store_le64(out + AT_INCOMPAT, sb->incompat);
	store_le64(out + AT_SEQUENCE, sb->sequence);
	encode_identity(sb, out);
	store_le64(out + AT_LIFE, sb->life);
	store_le32(out + AT_PROMISE_EPOCH, sb->promised.epoch);
	store_le64(out + AT_PROMISE_NONCE, sb->promised.nonce);
	store_le32(out + AT_CONFIG_LENGTH, (uint32_t)length);
	store_le32(out + AT_CONFIG_CRC, config_crc(out, (uint32_t)length));
	store_le32(out + AT_FLAGS, sb->clean ? FLAG_CLEAN : 0);
	store_le64(out + AT_CREATED, sb->created_s);
	store_le64(out + AT_UPDATED, sb->updated_s);
	store_le32(out + AT_FAILED_SYNCS, sb->failed_syncs);
	memcpy(out + AT_BOOT, sb->boot.bytes, sizeof(sb->boot.bytes));
	memcpy(out + AT_KERNEL, sb->kernel.bytes, sizeof(sb->kernel.bytes));
	store_le32(out + AT_CRC, slot_crc(out));
	return 0;
}

static bool is_all_zero(const uint8_t *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* What must hold before any other field means something. */
static int check_envelope(const uint8_t *in, const char **ret_reason)
{
	if (is_all_zero(in, SUPERBLOCK_SLOT_BYTES)) {
		*ret_reason = "never written";
		return -ENODATA;
	}
	if (memcmp(in + AT_MAGIC, magic, sizeof(magic))) {
		*ret_reason = "not a superblock (bad magic)";
		return -EBADMSG;
	}
	if (load_le32(in + AT_CRC) != slot_crc(in) && !MUTANT(torn_superblock_taken)) {
		*ret_reason = "damaged (bad checksum)";
		return -EBADMSG;
	}
	if (load_le32(in + AT_VERSION) > SUPERBLOCK_VERSION) {
		*ret_reason = "written by a newer version of this program";
		return -EPROTONOSUPPORT;
	}
	if (load_le64(in + AT_INCOMPAT) & ~SUPERBLOCK_INCOMPAT_KNOWN) {
		*ret_reason = "uses a feature that this version does not know";
		return -EPROTONOSUPPORT;
	}
	if (load_le32(in + AT_VERSION) != SUPERBLOCK_VERSION ||
	    load_le32(in + AT_HEADER_BYTES) != SUPERBLOCK_HEADER_BYTES) {
		*ret_reason = "impossible version or header size";
		return -EINVAL;
	}
	return 0;
}

/* The header repeats the config's identity: a config of another set, pasted in, is noticed. */
static bool identity_agrees(const uint8_t *in, const struct config *config)
{
	return !memcmp(in + AT_VOLUME_UUID, config->volume_uuid.bytes, 16) &&
	       !memcmp(in + AT_SET_UUID, config->set_uuid.bytes, 16) &&
	       load_le32(in + AT_SET_INDEX) == config->set_index && load_le32(in + AT_SET_COUNT) == config->set_count &&
	       load_le32(in + AT_BLOCK_BYTES) == config->block_bytes &&
	       load_le32(in + AT_CHUNK_BYTES) == config->chunk_bytes &&
	       load_le64(in + AT_SET_BYTES) == config->set_bytes &&
	       load_le64(in + AT_VOLUME_BYTES) == config->volume_bytes;
}

/* A replica that the config no longer names is a replica as before. */
static bool kind_agrees(const struct superblock *sb)
{
	const struct voter *self = config_voter(&sb->config, &sb->replica_uuid);

	return !self || (self->kind == VOTER_WITNESS) == superblock_is_witness(sb);
}

/* A blank one has accepted nothing; any other stores only configs that name its own life. */
static bool life_agrees(const struct superblock *sb)
{
	const struct voter *self = config_voter(&sb->config, &sb->replica_uuid);

	if (superblock_is_blank(sb))
		return !sb->life && !sb->config.ballot.epoch;
	return !self || self->life == sb->life || MUTANT(old_directory_votes);
}

static int decode_config(const uint8_t *in, struct config *ret, const char **ret_reason)
{
	uint32_t length = load_le32(in + AT_CONFIG_LENGTH);
	int error;

	if (length > CONFIG_BYTES_MAX) {
		*ret_reason = "config length beyond the slot";
		return -EINVAL;
	}
	error = config_decode(in + SUPERBLOCK_HEADER_BYTES, length, ret, ret_reason);
	if (error)
		return error == -EPROTONOSUPPORT ? error : -EINVAL;
	if (load_le32(in + AT_CONFIG_CRC) != config_crc(in, length) && !MUTANT(slot_of_two_writes_taken)) {
		*ret_reason = "damaged (header and config of different writes)";
		return -EBADMSG;
	}
	if (!identity_agrees(in, ret)) {
		*ret_reason = "header and config name different sets or geometries";
		return -EINVAL;
	}
	if (load_le32(in + AT_REGION_BYTES) != REGION_BYTES) {
		*ret_reason = "another size of region";
		return -EINVAL;
	}
	return 0;
}

int superblock_decode(const uint8_t in[SUPERBLOCK_SLOT_BYTES], struct superblock *ret, const char **ret_reason)
{
	struct superblock sb = {0};
	int error = check_envelope(in, ret_reason);

	if (error)
		return error;
	error = decode_config(in, &sb.config, ret_reason);
	if (error)
		return error;
	if (in[AT_CONFIG_CRC - 1] != 0 || in[AT_VOLUME_NAME] == 0) {
		*ret_reason = "volume name empty or without end";
		return -EINVAL;
	}
	sb.compat = load_le64(in + AT_COMPAT);
	sb.incompat = load_le64(in + AT_INCOMPAT);
	sb.sequence = load_le64(in + AT_SEQUENCE);
	memcpy(sb.replica_uuid.bytes, in + AT_REPLICA_UUID, 16);
	if (!kind_agrees(&sb)) {
		*ret_reason = "header and config differ about being a witness";
		return -EINVAL;
	}
	memcpy(sb.volume_name, in + AT_VOLUME_NAME, VOLUME_NAME_FIELD);
	sb.promised.epoch = load_le32(in + AT_PROMISE_EPOCH);
	sb.promised.nonce = load_le64(in + AT_PROMISE_NONCE);
	sb.life = load_le64(in + AT_LIFE);
	if (!life_agrees(&sb)) {
		*ret_reason = "header and config are of different lives of the replica";
		return -EINVAL;
	}
	sb.clean = load_le32(in + AT_FLAGS) & FLAG_CLEAN;
	sb.created_s = load_le64(in + AT_CREATED);
	sb.updated_s = load_le64(in + AT_UPDATED);
	sb.failed_syncs = load_le32(in + AT_FAILED_SYNCS);
	memcpy(sb.boot.bytes, in + AT_BOOT, sizeof(sb.boot.bytes));
	memcpy(sb.kernel.bytes, in + AT_KERNEL, sizeof(sb.kernel.bytes));
	*ret = sb;
	return 0;
}

/* Neither slot may be used: the error that tells most. */
static int choose_error(const struct superblock_slots *slots)
{
	if (slots->error[0] == -ENODATA && slots->error[1] == -ENODATA)
		return -ENODATA;
	return -EBADMSG;
}

int superblock_choose(const uint8_t *image, struct superblock *ret, struct superblock_slots *ret_slots)
{
	struct superblock found[SUPERBLOCK_SLOT_COUNT] = {0};
	struct superblock_slots slots = {0};
	bool any = false, newer = false;

	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++) {
		slots.reason[i] = "valid";
		slots.error[i] = superblock_decode(image + i * SUPERBLOCK_SLOT_SPACING, &found[i], &slots.reason[i]);
		newer |= slots.error[i] == -EPROTONOSUPPORT;
		if (slots.error[i])
			continue;
		slots.sequence[i] = found[i].sequence;
		if (!any || (found[i].sequence > found[slots.newest].sequence) != MUTANT(older_slot_counts))
			slots.newest = i;
		any = true;
	}
	*ret_slots = slots;
	if (newer)
		return -EPROTONOSUPPORT;
	if (!any)
		return choose_error(&slots);
	*ret = found[slots.newest];
	return 0;
}

void superblock_start(struct superblock *sb, const struct uuid *kernel)
{
	bool is_whole = sb->clean || uuid_equal(&sb->kernel, kernel) || MUTANT(power_loss_forgotten);

	if (!is_whole || uuid_is_nil(&sb->boot))
		sb->boot = *kernel;
	sb->kernel = *kernel;
	sb->clean = false;
}

struct uuid superblock_boot_id(const struct superblock *sb, const struct uuid *kernel)
{
	struct uuid ret = uuid_is_nil(&sb->boot) ? *kernel : sb->boot;

	if (!MUTANT(failed_sync_forgotten))
		store_le32(ret.bytes + 12, load_le32(ret.bytes + 12) ^ sb->failed_syncs);
	return ret;
}

uint64_t superblock_slot_offset(uint64_t sequence)
{
	return MUTANT(one_superblock_slot) ? 0 : (sequence % SUPERBLOCK_SLOT_COUNT) * SUPERBLOCK_SLOT_SPACING;
}
