/* What an offline look at a replica's files finds: numbers and sentences. Pure: the caller reads the files.
 * Used by `lockstep replica check` (drivers/store_check.h). Any thread. */
#ifndef REPLICA_SERVER_CORE_CHECK_H
#define REPLICA_SERVER_CORE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "replica-server/core/stamps.h"
#include "replica-server/core/superblock.h"

#define CHECK_PROBLEMS_MAX 16u
#define CHECK_NOTES_MAX 16u
#define CHECK_TEXT_MAX 255u

struct check_report {
	/* Superblock. */
	bool superblock_valid;	      /* the fields below it are meaningful */
	struct superblock superblock; /* the newest valid slot */
	struct superblock_slots slots;
	bool is_witness; /* the rest then stays 0: it has no other file */
	/* Stamp table. */
	bool stamps_valid; /* its header is readable and belongs to this replica */
	uint64_t stamp_blocks;
	uint64_t stamp_blocks_damaged; /* their regions count as changed */
	uint64_t regions_stamped;
	uint32_t stamp_gen_max;
	/* Data file; filled by the caller before check_data(). */
	uint64_t data_bytes;
	uint64_t data_allocated_bytes;
	/* Sentences: object, reason, next step. More than fit: counted in problem_count, not kept. */
	unsigned problem_count;
	char problems[CHECK_PROBLEMS_MAX][CHECK_TEXT_MAX + 1];
	/* What is worth knowing and is no damage. */
	unsigned note_count;
	char notes[CHECK_NOTES_MAX][CHECK_TEXT_MAX + 1];
};

void check_init(struct check_report *report);
void check_problem(struct check_report *report, const char *format, ...) printf_like(2, 3);
void check_note(struct check_report *report, const char *format, ...) printf_like(2, 3);

/* `image`: SUPERBLOCK_FILE_BYTES. */
void check_superblock(struct check_report *report, const uint8_t *image);
/* After it: the slots against each other, the config against its owner (check_slots.c). */
void check_slots(struct check_report *report, const uint8_t *image);
/* Needs check_superblock() before. `header`: first STAMPS_BLOCK_BYTES of the file. */
void check_stamps_header(struct check_report *report, const uint8_t header[STAMPS_BLOCK_BYTES]);
void check_stamps_block(struct check_report *report, uint64_t block_idx, const uint8_t block[STAMPS_BLOCK_BYTES]);
/* After all blocks. */
void check_stamps_end(struct check_report *report);
/* Compares data_bytes with the geometry. */
void check_data(struct check_report *report);

#endif
