/* What a replica owes to whoever it has answered: the reference that every state after a crash is held against.
 *
 * Knows nothing of slots, cycles or sessions. Values of data are numbers (0: zeros), each sector of a write showing its
 * number; the history of a sector is what was sent to it, in order, and `floor` the oldest that a crash may leave.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/config.h"
#include "tests/crash/disk.h"

#define MODEL_VALUES_MAX 8u
#define MODEL_REGIONS 3u
#define MODEL_CONFIGS_MAX 8u
#define MODEL_WRITES_MAX 8u
#define MODEL_PROMISES_MAX 8u

struct model_value {
	uint8_t value;
	uint8_t write; /* 1 .. write_count; 0: as it was at the start */
};

struct model_write {
	uint32_t stamp_gen; /* 0: without */
	uint32_t epoch;
	uint64_t wseq; /* 0: a copy, which no list has */
	uint64_t offset, length;
	bool has_failed;
	bool is_stable; /* the replica was told that no list need have it */
};

struct model {
	struct {
		unsigned count, floor, completed; /* index of the last that was answered well */
		struct model_value values[MODEL_VALUES_MAX];
	} data[DATA_SECTORS];
	unsigned write_count;
	struct model_write writes[MODEL_WRITES_MAX]; /* from 0 */
	uint32_t stamp_floor[MODEL_REGIONS], stamp_asked[MODEL_REGIONS];
	bool stamps_may_be_damaged; /* a write of the table was under way when a crash came */
	struct ballot promise_floor;
	unsigned promise_count;
	struct ballot promises[MODEL_PROMISES_MAX]; /* asked for; the last is the highest */
	unsigned config_floor, config_count;	    /* index into `configs`; those above it were asked for */
	unsigned configs[MODEL_CONFIGS_MAX];	    /* gens; the rest of a config follows from it and its ballot */
	struct ballot config_ballots[MODEL_CONFIGS_MAX];
	uint32_t epoch;	      /* of the session */
	uint64_t stable_upto; /* of `epoch` */
	bool is_stopping;     /* in order */
	bool is_witness;
};

static inline struct ballot model_promise_asked(const struct model *model)
{
	return model->promises[model->promise_count - 1];
}

/* The bytes of a value. */
void model_fill(uint8_t *bytes, unsigned data_sector, uint8_t value);

/* A change was sent and will be wholly received. Returns its number. */
unsigned model_write(struct model *model, const struct model_write *write, uint8_t value);
void model_write_answered(struct model *model, unsigned write, bool ok, bool is_fua);
/* A FLUSH sent after `writes` of them was answered. */
void model_flushed(struct model *model, unsigned writes);
void model_stamp_asked(struct model *model, unsigned region, uint32_t gen);
void model_stamped(struct model *model, unsigned region, uint32_t gen);

/* `upto`, of the session's epoch, was named as stable in a frame. */
void model_stable(struct model *model, uint64_t upto);
/* The lists of older epochs were to be forgotten. */
void model_forgotten(struct model *model);
/* Must the list name this region? */
bool model_needs_listed(const struct model *model, unsigned region);

/* It started with this: whoever asks is told of it, and so it must not go back either. */
void model_found(struct model *model, const struct superblock *sb);

/* Of everything that the judgements below look at. */
uint64_t model_digest(const struct model *model);

/* NULL, or what is wrong with what a power loss (`is_torn`: with one torn sector) or a kill left. */
const char *model_judge_data(const struct model *model, const struct image *image, bool is_torn, bool is_kill,
			     bool is_clean);
const char *model_judge_stamps(const struct model *model, const struct image *image, const uint32_t *gens,
			       bool is_torn);
const char *model_judge_superblock(const struct model *model, const struct superblock *sb);

#endif
