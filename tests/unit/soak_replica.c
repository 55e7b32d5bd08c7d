/* The soak's replicas. Know nothing of the application's side. */
#include "tests/unit/soak_replica.h"

#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/engine_harness_messages.h"

static void remember(struct soak_replica *replica, const struct frame *frame)
{
	struct soak_entry *entry = &replica->list[replica->list_count++];

	CHECK_TRUE(replica->list_count < SOAK_ENTRIES_MAX);
	*entry = (struct soak_entry){frame->epoch, frame->wseq, frame->offset / REGION_BYTES,
				     (frame->offset + frame->length - 1) / REGION_BYTES};
}

void soak_prune(struct soak_replica *replica, const struct frame *frame)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < replica->list_count; i++) {
		const struct soak_entry *entry = &replica->list[i];

		if (entry->epoch != frame->epoch || entry->wseq > frame->stable_upto)
			replica->list[kept++] = *entry;
	}
	replica->list_count = kept;
}

void soak_apply(struct soak_replica *replica, struct harness_replica *shown, const struct frame *frame,
		uint64_t version, const uint64_t *copied)
{
	bool is_copy = frame->flags & FRAME_F_COPY;

	if (frame->flags & FRAME_F_STAMP)
		harness_stamp_frame(shown, frame);
	if (!is_copy)
		remember(replica, frame);
	for (uint64_t i = 0; i < frame->length / 4096; i++) {
		uint64_t block = frame->offset / 4096 + i;

		replica->memory[block] = is_copy ? copied[i] : version;
		if (frame->flags & FRAME_F_FUA)
			replica->disk[block] = replica->memory[block];
	}
}

void soak_make_durable(struct soak_replica *replica)
{
	memcpy(replica->disk, replica->memory, sizeof(replica->disk));
}

uint64_t soak_digest(const struct soak_replica *replica, uint64_t piece)
{
	uint64_t hash = 1;

	for (unsigned i = 0; i < DIGEST_PIECE_BYTES / 4096; i++)
		hash = hash * 0x9e3779b97f4a7c15ull + replica->memory[piece * (DIGEST_PIECE_BYTES / 4096) + i];
	return hash;
}

static void show_list(const struct soak_replica *replica, struct harness_replica *shown)
{
	memset(shown->list, 0, sizeof(shown->list));
	for (unsigned i = 0; i < replica->list_count; i++) {
		for (uint64_t r = replica->list[i].first; r <= replica->list[i].last; r++)
			shown->list[r] = true;
	}
}

static void forget(struct soak_replica *replica, uint32_t before_epoch)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < replica->list_count; i++) {
		if (replica->list[i].epoch >= before_epoch)
			replica->list[kept++] = replica->list[i];
	}
	replica->list_count = kept;
}

void soak_asked(struct soak_replica *replica, struct harness_replica *shown, const struct harness_message *asked)
{
	if (asked->kind == MESSAGE_LIST_REGIONS)
		show_list(replica, shown);
	else if (asked->kind == MESSAGE_STAMP && asked->stamp.sync)
		soak_make_durable(replica);
	else if (asked->kind == MESSAGE_FORGET)
		forget(replica, asked->ballot.epoch);
}
