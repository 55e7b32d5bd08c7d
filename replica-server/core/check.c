/* Judges a replica's files from their bytes. Must not open anything. Never on a request's path: offline only. */
#include "replica-server/core/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void check_init(struct check_report *report)
{
	*report = (struct check_report){0};
}

void check_problem(struct check_report *report, const char *format, ...)
{
	va_list args;

	if (report->problem_count < CHECK_PROBLEMS_MAX) {
		va_start(args, format);
		(void)vsnprintf(report->problems[report->problem_count], CHECK_TEXT_MAX + 1, format, args);
		va_end(args);
	}
	report->problem_count++;
}

void check_note(struct check_report *report, const char *format, ...)
{
	va_list args;

	if (report->note_count == CHECK_NOTES_MAX)
		return;
	va_start(args, format);
	(void)vsnprintf(report->notes[report->note_count++], CHECK_TEXT_MAX + 1, format, args);
	va_end(args);
}

void check_superblock(struct check_report *report, const uint8_t *image)
{
	int error = superblock_choose(image, &report->superblock, &report->slots);

	report->superblock_valid = error == 0;
	report->is_witness = error == 0 && superblock_is_witness(&report->superblock);
	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++) {
		/* One empty slot is normal in a replica that was never written again. */
		if (report->slots.error[i] && report->slots.error[i] != -ENODATA)
			check_problem(report, "superblock slot %u: %s; the other slot %s", i, report->slots.reason[i],
				      error ? "cannot stand in, restore the replica from its mirrors" : "stands in");
	}
	if (error == -ENODATA)
		check_problem(report, "superblock: neither slot was ever written; the directory is not a replica");
	if (error == -EPROTONOSUPPORT)
		check_problem(report,
			      "superblock: made by a newer version; use that version, this one must not write it");
}

void check_stamps_header(struct check_report *report, const uint8_t header[STAMPS_BLOCK_BYTES])
{
	const struct superblock *sb = &report->superblock;
	struct stamps_header found;
	const char *reason;

	report->stamps_valid = false;
	if (stamps_header_decode(header, &found, &reason)) {
		check_problem(report, "stamps: %s; restore the replica from its mirrors", reason);
		return;
	}
	report->stamps_valid = true;
	if (!report->superblock_valid)
		return;
	if (!uuid_equal(&found.set_uuid, &sb->config.set_uuid) || !uuid_equal(&found.replica_uuid, &sb->replica_uuid)) {
		check_problem(report, "stamps: of another replica; the directory's files were mixed up, put them back");
		report->stamps_valid = false;
	} else if (found.region_count != stamps_region_count(sb->config.set_bytes)) {
		check_problem(report, "stamps: %" PRIu64 " regions, the set has %" PRIu64 "; put the right file back",
			      found.region_count, stamps_region_count(sb->config.set_bytes));
		report->stamps_valid = false;
	}
}

void check_stamps_block(struct check_report *report, uint64_t block_idx, const uint8_t block[STAMPS_BLOCK_BYTES])
{
	uint32_t gens[STAMPS_PER_BLOCK];

	report->stamp_blocks++;
	if (stamps_block_decode(block_idx, block, gens)) {
		report->stamp_blocks_damaged++;
		check_problem(report,
			      "stamps: block %" PRIu64 " is damaged; its regions will be compared at the next rejoin",
			      block_idx);
		return;
	}
	for (unsigned i = 0; i < STAMPS_PER_BLOCK; i++) {
		report->regions_stamped += gens[i] != 0;
		if (gens[i] != STAMP_UNKNOWN && gens[i] > report->stamp_gen_max)
			report->stamp_gen_max = gens[i];
	}
}

/* Stamps are raised before the config that they belong to is proposed (R6), so a little newer is in order. */
void check_stamps_end(struct check_report *report)
{
	uint32_t gen = report->superblock.config.gen;

	if (report->superblock_valid && report->stamp_gen_max > gen)
		check_note(report,
			   "stamps: the newest is of gen %" PRIu32 ", the config of gen %" PRIu32
			   ": a change was under way when the server stopped, or the superblock is an older copy; the "
			   "next attach goes by the majority",
			   report->stamp_gen_max, gen);
}

void check_data(struct check_report *report)
{
	uint64_t wanted = report->superblock.config.set_bytes;

	if (!report->superblock_valid || report->data_bytes == wanted)
		return;
	check_problem(report, "data: %" PRIu64 " bytes, the set has %" PRIu64 "; %s", report->data_bytes, wanted,
		      report->data_bytes < wanted ? "it was truncated, restore the replica from its mirrors"
						  : "bytes beyond the set are never used");
}
