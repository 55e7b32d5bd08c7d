/* Judges the two slots of a superblock against each other, and the config in it against its owner. What a voter
 * promised and accepted only grows: a newer slot that says less is a disk that was put back, or two files mixed up.
 * Must not open anything. Never on a request's path: offline only. */
#include <inttypes.h>
#include <string.h>

#include "replica-server/core/check.h"

static void check_places(struct check_report *report)
{
	const struct superblock_slots *slots = &report->slots;

	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++) {
		if (!slots->error[i] && slots->sequence[i] % SUPERBLOCK_SLOT_COUNT != i)
			check_problem(report,
				      "superblock slot %u: write number %" PRIu64 " belongs into the other slot; the "
				      "file was put together from parts, restore it from its mirrors",
				      i, slots->sequence[i]);
	}
}

static bool is_same_owner(const struct superblock *a, const struct superblock *b)
{
	return uuid_equal(&a->replica_uuid, &b->replica_uuid) &&
	       uuid_equal(&a->config.volume_uuid, &b->config.volume_uuid) &&
	       uuid_equal(&a->config.set_uuid, &b->config.set_uuid) &&
	       superblock_is_witness(a) == superblock_is_witness(b);
}

static void check_promises(struct check_report *report, const struct superblock *newer, const struct superblock *older)
{
	if (newer->promised.epoch < older->promised.epoch)
		check_problem(report,
			      "superblock: the promise goes back from epoch %" PRIu32 " to %" PRIu32
			      "; the disk was put back, do not start it: restore the replica from its mirrors",
			      older->promised.epoch, newer->promised.epoch);
	else if (newer->promised.epoch == older->promised.epoch && newer->promised.nonce != older->promised.nonce)
		check_problem(report,
			      "superblock: epoch %" PRIu32 " was promised to two attachments; do not start it: restore "
			      "the replica from its mirrors",
			      newer->promised.epoch);
}

/* Both encodings have the same length when all fields are the same. */
static bool is_same_config(const struct config *a, const struct config *b)
{
	uint8_t bytes[2][CONFIG_BYTES_MAX];
	int len = config_encode(a, bytes[0], sizeof(bytes[0]));

	return len == config_encode(b, bytes[1], sizeof(bytes[1])) && len > 0 &&
	       memcmp(bytes[0], bytes[1], (size_t)len) == 0;
}

static void check_configs(struct check_report *report, const struct config *newer, const struct config *older)
{
	int order = config_compare(newer, older);

	if (order < 0)
		check_problem(report,
			      "superblock: the config goes back from epoch %" PRIu32 ", gen %" PRIu32 " to %" PRIu32
			      ", %" PRIu32 "; do not start it: restore the replica from its mirrors",
			      older->ballot.epoch, older->gen, newer->ballot.epoch, newer->gen);
	else if (order == 0 && !is_same_config(newer, older))
		check_problem(report,
			      "superblock: two configs of epoch %" PRIu32 ", gen %" PRIu32
			      "; do not start it: restore the replica from its mirrors",
			      newer->ballot.epoch, newer->gen);
}

static void check_pair(struct check_report *report, const struct superblock *newer, const struct superblock *older)
{
	if (!is_same_owner(newer, older)) {
		check_problem(report, "superblock: its slots are of different replicas; the file was put together from "
				      "parts, restore it from its mirrors");
		return;
	}
	if (newer->sequence == older->sequence)
		check_problem(report,
			      "superblock: both slots are write number %" PRIu64
			      "; which one counts is chance, restore the replica from its mirrors",
			      newer->sequence);
	check_promises(report, newer, older);
	if (newer->failed_syncs < older->failed_syncs)
		check_problem(report,
			      "superblock: its count of failed syncs goes back from %" PRIu32 " to %" PRIu32
			      "; the disk was put back, do not start it: restore the replica from its mirrors",
			      older->failed_syncs, newer->failed_syncs);
	/* A life ends with its directory. */
	if (newer->life < older->life || superblock_is_blank(newer) > superblock_is_blank(older))
		check_problem(report,
			      "superblock: its slots are of two lives of the replica; the file was put together from "
			      "parts, restore it from its mirrors");
	check_configs(report, &newer->config, &older->config);
}

/* What is accepted was promised before; but for the config that it was created with. */
static void check_ballots(struct check_report *report, const struct superblock *sb)
{
	const struct ballot *accepted = &sb->config.ballot, *promised = &sb->promised;

	if (promised->epoch == 0)
		return;
	if (accepted->epoch > promised->epoch ||
	    (accepted->epoch == promised->epoch && accepted->nonce != promised->nonce))
		check_problem(report,
			      "superblock: its config is of epoch %" PRIu32
			      " and was never promised (the promise is of "
			      "epoch %" PRIu32 "); restore the replica from its mirrors",
			      accepted->epoch, promised->epoch);
}

static const char *what_is_compared(enum compare_rule rule)
{
	switch (rule) {
	case COMPARE_ITS_LIST:
		return "what it missed and what was not yet stable";
	case COMPARE_EVERYTHING:
		return "everything";
	default:
		return "what it missed";
	}
}

static void check_self(struct check_report *report, const struct superblock *sb)
{
	const struct voter *self = config_voter(&sb->config, &sb->replica_uuid);

	if (!self)
		check_problem(report,
			      "superblock: its own config does not name this %s among the %" PRIu32
			      " voters; gateways refuse it: put the right superblock back, or delete the directory",
			      superblock_is_witness(sb) ? "witness" : "replica", sb->config.voter_count);
	else if (self->kind == VOTER_REPLICA && self->state == VOTER_OUT)
		check_note(report,
			   "out of sync since gen %" PRIu32 ", by its own config; %s is compared when it is back",
			   self->in_sync_gen, what_is_compared(self->compare));
	if (superblock_is_blank(sb))
		check_note(report,
			   "made to replace a directory that was lost: it has no vote and no data before a gateway has "
			   "given it both");
	if (sb->failed_syncs)
		check_note(report,
			   "its data could not be made durable %" PRIu32
			   " times: each counts as a power loss, and the disk should be looked at",
			   sb->failed_syncs);
	if (sb->config.loss_count)
		check_note(report, "the config records %" PRIu32 " losses of completed writes that were not flushed",
			   sb->config.loss_count);
}

void check_slots(struct check_report *report, const uint8_t *image)
{
	struct superblock found[SUPERBLOCK_SLOT_COUNT];
	unsigned newest = report->slots.newest;
	const char *reason;

	if (!report->superblock_valid)
		return;
	check_places(report);
	check_ballots(report, &report->superblock);
	check_self(report, &report->superblock);
	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++) {
		if (superblock_decode(image + i * SUPERBLOCK_SLOT_SPACING, &found[i], &reason))
			return;
	}
	check_pair(report, &found[newest], &found[1 - newest]);
}
