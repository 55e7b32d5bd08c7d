/* The reference model and its judgements. Must not know how the replica does it. */
#include "tests/crash/model.h"

#include <string.h>

#include "common/uuid.h"

void model_fill(uint8_t *bytes, unsigned data_sector, uint8_t value)
{
	/* Every byte differs between two values, so that a torn sector shows which it was torn from. */
	for (unsigned i = 0; i < SECTOR_BYTES; i++)
		bytes[i] = value ? (uint8_t)(value * 16 + (i + data_sector) % 16) : 0;
}

static bool shows(const uint8_t *bytes, unsigned data_sector, uint8_t value)
{
	uint8_t wanted[SECTOR_BYTES];

	model_fill(wanted, data_sector, value);
	return memcmp(bytes, wanted, SECTOR_BYTES) == 0;
}

unsigned model_write(struct model *model, const struct model_write *write, uint8_t value)
{
	unsigned first = disk_data_sector(write->offset), count = (unsigned)(write->length / SECTOR_BYTES);

	assert(model->write_count < MODEL_WRITES_MAX);
	model->writes[model->write_count++] = *write;
	for (unsigned i = first; i < first + count; i++) {
		assert(model->data[i].count < MODEL_VALUES_MAX);
		model->data[i].values[model->data[i].count++] =
			(struct model_value){value, (uint8_t)model->write_count};
	}
	return model->write_count;
}

/* Of every sector: the newest value that `write` or an earlier one, not failed, gave it. */
static unsigned newest_upto(const struct model *model, unsigned sector, unsigned write)
{
	unsigned newest = 0;

	for (unsigned v = 1; v < model->data[sector].count; v++) {
		unsigned by = model->data[sector].values[v].write;

		if (by <= write && !model->writes[by - 1].has_failed)
			newest = v;
	}
	return newest;
}

void model_write_answered(struct model *model, unsigned write, bool ok, bool is_fua)
{
	struct model_write *it = &model->writes[write - 1];

	it->has_failed = !ok;
	for (unsigned i = 0; ok && i < DATA_SECTORS; i++) {
		for (unsigned v = 1; v < model->data[i].count; v++) {
			if (model->data[i].values[v].write != write)
				continue;
			model->data[i].completed = v;
			if (is_fua)
				model->data[i].floor = v;
		}
	}
	if (!ok || !it->stamp_gen)
		return;
	for (uint64_t r = it->offset / REGION_BYTES; r <= (it->offset + it->length - 1) / REGION_BYTES; r++)
		model_stamped(model, (unsigned)r, it->stamp_gen);
}

void model_flushed(struct model *model, unsigned writes)
{
	for (unsigned i = 0; i < DATA_SECTORS; i++) {
		unsigned newest = newest_upto(model, i, writes);

		if (newest > model->data[i].floor)
			model->data[i].floor = newest;
	}
}

void model_stamp_asked(struct model *model, unsigned region, uint32_t gen)
{
	if (gen > model->stamp_asked[region])
		model->stamp_asked[region] = gen;
}

void model_stamped(struct model *model, unsigned region, uint32_t gen)
{
	if (gen > model->stamp_floor[region])
		model->stamp_floor[region] = gen;
}

void model_stable(struct model *model, uint64_t upto)
{
	for (unsigned i = 0; i < model->write_count; i++)
		model->writes[i].is_stable |= model->writes[i].epoch == model->epoch && model->writes[i].wseq <= upto;
}

void model_forgotten(struct model *model)
{
	for (unsigned i = 0; i < model->write_count; i++)
		model->writes[i].is_stable |= model->writes[i].epoch < model->epoch;
}

bool model_needs_listed(const struct model *model, unsigned region)
{
	for (unsigned i = 0; i < model->write_count; i++) {
		const struct model_write *it = &model->writes[i];

		if (!it->is_stable && it->wseq && region >= it->offset / REGION_BYTES &&
		    region <= (it->offset + it->length - 1) / REGION_BYTES)
			return true;
	}
	return false;
}

static bool ballot_is(const struct ballot *a, const struct ballot *b)
{
	return a->epoch == b->epoch && a->nonce == b->nonce;
}

static bool was_asked(const struct model *model, const struct ballot *promise)
{
	for (unsigned i = 0; i < model->promise_count; i++)
		if (ballot_is(&model->promises[i], promise))
			return true;
	return false;
}

void model_found(struct model *model, const struct superblock *sb)
{
	model->is_stopping = false;
	model->promise_floor = sb->promised;
	for (unsigned i = model->config_floor; i < model->config_count; i++)
		if (model->configs[i] == sb->config.gen && ballot_is(&model->config_ballots[i], &sb->config.ballot))
			model->config_floor = i;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

uint64_t model_digest(const struct model *model)
{
	uint64_t hash = mix(model->config_floor, model->config_count << 3 | model->stamps_may_be_damaged << 2 |
							 model->is_stopping << 1 | model->is_witness);

	for (unsigned i = 0; i < DATA_SECTORS; i++) {
		hash = mix(hash,
			   (uint64_t)model->data[i].floor << 16 | model->data[i].completed << 8 | model->data[i].count);
		for (unsigned v = 0; v < model->data[i].count; v++)
			hash = mix(hash, model->data[i].values[v].value);
	}
	for (unsigned i = 0; i < MODEL_REGIONS; i++)
		hash = mix(hash, (uint64_t)model->stamp_floor[i] << 32 | model->stamp_asked[i]);
	for (unsigned i = 0; i < model->write_count; i++)
		hash = mix(hash, model->writes[i].stamp_gen << 1 | model->writes[i].has_failed);
	for (unsigned i = 0; i < model->config_count; i++)
		hash = mix(hash, (uint64_t)model->configs[i] << 32 | model->config_ballots[i].epoch);
	for (unsigned i = 0; i < model->promise_count; i++)
		hash = mix(hash, (uint64_t)model->promises[i].epoch << 32 | model->promises[i].nonce);
	return mix(hash, (uint64_t)model->promise_floor.epoch << 32 | model->promise_floor.nonce);
}

/* -- Judgements -- */

static bool byte_is_allowed(const struct model *model, unsigned sector, unsigned from, unsigned at, uint8_t byte)
{
	for (unsigned v = from; v < model->data[sector].count; v++) {
		uint8_t value = model->data[sector].values[v].value;

		if (byte == (value ? (uint8_t)(value * 16 + (at + sector) % 16) : 0))
			return true;
	}
	return false;
}

static bool sector_is_allowed(const struct model *model, unsigned sector, unsigned from, const uint8_t *bytes,
			      bool is_torn)
{
	for (unsigned v = from; v < model->data[sector].count; v++)
		if (shows(bytes, sector, model->data[sector].values[v].value))
			return true;
	for (unsigned at = 0; is_torn && at < SECTOR_BYTES; at++)
		if (!byte_is_allowed(model, sector, from, at, bytes[at]))
			return false;
	return is_torn;
}

const char *model_judge_data(const struct model *model, const struct image *image, bool is_torn, bool is_kill,
			     bool is_clean)
{
	for (unsigned i = 0; i < DATA_SECTORS; i++) {
		const uint8_t *bytes = image_look(image, AT_DATA_SECTOR + i);
		unsigned from = is_kill || is_clean ? model->data[i].completed : model->data[i].floor;

		from = from > model->data[i].floor ? from : model->data[i].floor;
		if (sector_is_allowed(model, i, from, bytes, is_torn))
			continue;
		if (!sector_is_allowed(model, i, 0, bytes, is_torn))
			return "data that nobody sent";
		if (is_clean)
			return "it calls itself cleanly stopped, and completed writes are gone";
		return is_kill ? "a completed write is gone after a kill" : "data that was answered durable are gone";
	}
	return NULL;
}

/* R4: where the bytes of a write that stamps are, its stamp is. */
static bool data_is_stamped(const struct model *model, const struct image *image, const uint32_t *gens)
{
	for (unsigned i = 0; i < DATA_SECTORS; i++) {
		for (unsigned v = 1; v < model->data[i].count; v++) {
			const struct model_write *write = &model->writes[model->data[i].values[v].write - 1];

			if (write->stamp_gen > gens[disk_data_offset(i) / REGION_BYTES] &&
			    shows(image_look(image, AT_DATA_SECTOR + i), i, model->data[i].values[v].value))
				return false;
		}
	}
	return true;
}

const char *model_judge_stamps(const struct model *model, const struct image *image, const uint32_t *gens, bool is_torn)
{
	for (unsigned i = 0; i < MODEL_REGIONS; i++) {
		if (gens[i] < model->stamp_floor[i])
			return "a stamp that was answered durable is gone";
		if (gens[i] == STAMP_UNKNOWN && model->stamps_may_be_damaged)
			continue;
		if (gens[i] > model->stamp_asked[i])
			return gens[i] == STAMP_UNKNOWN ? "stamps are damaged though none was being written"
							: "a stamp that nobody asked for";
	}
	if (!is_torn && !data_is_stamped(model, image, gens))
		return "data of a write that stamps, without its stamp";
	return NULL;
}

const char *model_judge_superblock(const struct model *model, const struct superblock *sb)
{
	if (sb->promised.epoch < model->promise_floor.epoch)
		return "the promise went back behind one that was answered";
	if (!was_asked(model, &sb->promised))
		return "a promise that nobody asked for";
	if (superblock_is_witness(sb) != model->is_witness)
		return "a witness came back as a replica, or a replica as a witness";
	if (sb->clean && !model->is_stopping)
		return "it calls itself cleanly stopped and was not";
	for (unsigned i = model->config_floor; i < model->config_count; i++)
		if (model->configs[i] == sb->config.gen && ballot_is(&model->config_ballots[i], &sb->config.ballot))
			return NULL;
	for (unsigned i = 0; i < model->config_floor; i++)
		if (model->configs[i] == sb->config.gen)
			return "the config went back behind one that was answered";
	return "a config that nobody proposed";
}
