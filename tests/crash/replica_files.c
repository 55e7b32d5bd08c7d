/* Makes a replica's files and judges them against the model with the decoders of the core. Knows no workload. */
#include "tests/crash/replica_files.h"

#include <string.h>

static const struct uuid volume_uuid = {{1, 1}}, set_uuid = {{2, 2}}, replica_uuid = {{3, 3}};
static const struct ballot older = {1, 11}, newer = {2, 22};

static struct voter voter(uint8_t id, bool is_witness)
{
	struct voter voter = {.uuid = {{3, id}}, .kind = VOTER_WITNESS, .state = VOTER_OUT, .address = "10.0.0.1:7420"};

	if (!is_witness) {
		voter.kind = VOTER_REPLICA;
		voter.state = VOTER_IN;
		voter.compare = COMPARE_STAMPS;
		voter.in_sync_gen = 1;
		voter.incarnation = id;
	}
	return voter;
}

void files_config(uint32_t gen, struct ballot ballot, bool is_witness, struct config *ret)
{
	*ret = (struct config){
		.volume_uuid = volume_uuid,
		.set_uuid = set_uuid,
		.set_count = 1,
		.block_bytes = DISK_BLOCK_BYTES,
		.chunk_bytes = CHUNK_BYTES_DEFAULT,
		.set_bytes = DISK_SET_BYTES,
		.volume_bytes = DISK_SET_BYTES,
		.ballot = ballot,
		.gen = gen,
		.voter_count = 3,
	};
	ret->voters[0] = voter(3, is_witness);
	ret->voters[1] = voter(4, !is_witness);
	ret->voters[2] = voter(5, false);
	ret->voters[2].in_sync_gen = gen; /* a place in another sector than the gen's */
}

static void put_slot(struct image *image, uint64_t sequence, uint32_t gen, struct ballot ballot, bool is_witness)
{
	struct superblock sb = {.sequence = sequence,
				.replica_uuid = replica_uuid,
				.volume_name = "vol",
				.promised = ballot,
				.incompat = is_witness ? SUPERBLOCK_INCOMPAT_WITNESS : 0,
				.created_s = 1,
				.updated_s = 1};
	int error;

	files_config(gen, ballot, is_witness, &sb.config);
	error = superblock_encode(
		&sb, image_sector(image, superblock_slot_offset(sequence) / SUPERBLOCK_SLOT_SPACING * SLOT_SECTORS));
	assert(!error);
}

static uint8_t *stamps_block(struct image *image, unsigned block)
{
	return image_sector(image, AT_STAMPS_SECTOR + block * STAMPS_BLOCK_BYTES / SECTOR_BYTES);
}

static void make_stamps(struct image *image, struct model *model, bool has_table)
{
	struct stamps_header header = {set_uuid, replica_uuid, stamps_region_count(DISK_SET_BYTES)};
	uint32_t gens[STAMPS_PER_BLOCK] = {2, 0, 3};

	stamps_header_encode(&header, stamps_block(image, 0));
	if (!has_table)
		return;
	stamps_block_encode(0, gens, stamps_block(image, 1));
	memcpy(model->stamp_floor, gens, sizeof(model->stamp_floor));
	memcpy(model->stamp_asked, gens, sizeof(model->stamp_asked));
}

static void make_data(struct image *image, struct model *model)
{
	for (unsigned i = 0; i < DATA_SECTORS; i++) {
		model->data[i].count = 1;
		model->data[i].values[0].value = 1;
		model_fill(image_sector(image, AT_DATA_SECTOR + i), i, 1);
	}
}

void files_make(struct image *image, struct model *model, unsigned variant, bool is_witness)
{
	uint64_t sequence = variant == 1 ? 5 : 4;

	memset(image, 0, sizeof(*image));
	memset(model, 0, sizeof(*model));
	model->promise_floor = model->promises[0] = newer;
	model->promise_count = 1;
	model->is_witness = is_witness;
	model->configs[0] = FILES_GEN - 1;
	model->config_ballots[0] = older;
	model->configs[1] = FILES_GEN;
	model->config_ballots[1] = newer;
	model->config_floor = 1;
	model->config_count = 2;
	put_slot(image, sequence - 1, FILES_GEN - 1, older, is_witness);
	put_slot(image, sequence, FILES_GEN, newer, is_witness);
	if (variant == 2)
		image_sector(image, SLOT_SECTORS)[100] ^= 1;
	if (is_witness)
		return;
	make_stamps(image, model, variant != 0);
	make_data(image, model);
}

static const char *judge_identity(const struct superblock *sb)
{
	if (!uuid_equal(&sb->replica_uuid, &replica_uuid) || !uuid_equal(&sb->config.set_uuid, &set_uuid) ||
	    !uuid_equal(&sb->config.volume_uuid, &volume_uuid) || strcmp(sb->volume_name, "vol") != 0)
		return "it came back as another replica";
	return sb->config.set_bytes == DISK_SET_BYTES ? NULL : "it came back with another size";
}

static const char *judge_tables(const struct model *model, const struct image *image, const struct crash *crash,
				bool is_clean)
{
	static uint32_t gens[STAMPS_PER_BLOCK];
	struct stamps_header header;
	const char *reason, *wrong;

	if (stamps_header_decode(image_look(image, AT_STAMPS_SECTOR), &header, &reason))
		return "the stamp table's header is gone";
	if (stamps_block_decode(0, image_look(image, AT_STAMPS_SECTOR + STAMPS_BLOCK_BYTES / SECTOR_BYTES), gens) &&
	    !model->stamps_may_be_damaged)
		return "stamps are damaged though none was being written";
	wrong = model_judge_stamps(model, image, gens, crash->has_torn);
	return wrong ? wrong : model_judge_data(model, image, crash->has_torn, crash->is_kill, is_clean);
}

const char *files_judge(const struct model *model, const struct image *image, const struct crash *crash)
{
	struct superblock_slots slots;
	struct superblock sb;
	const char *wrong;

	if (image_superblock(image, &sb, &slots))
		return "no superblock can be read any more";
	wrong = judge_identity(&sb);
	if (!wrong)
		wrong = model_judge_superblock(model, &sb);
	if (!wrong && !model->is_witness)
		wrong = judge_tables(model, image, crash, sb.clean);
	return wrong;
}
