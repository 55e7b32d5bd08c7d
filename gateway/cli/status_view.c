/* The status of a volume as text, and what both views say about it. Knows no socket; the caller has asked already. */
#include "gateway/cli/status_view.h"

#include <inttypes.h>
#include <string.h>

#include "common/size.h"
#include "gateway/cli/cli.h"

void status_sanitize(struct admin_status *status)
{
	cli_sanitize(status->device);
	cli_sanitize(status->state);
	cli_sanitize(status->mode);
	cli_sanitize(status->mode_reason);
	cli_sanitize(status->reason);
	cli_sanitize(status->waits_for);
	for (unsigned i = 0; i < status->set_count; i++) {
		cli_sanitize(status->sets[i].state);
		cli_sanitize(status->sets[i].reason);
		cli_sanitize(status->sets[i].waits_for);
		cli_sanitize(status->sets[i].why_not);
	}
	for (unsigned i = 0; i < status->leg_count; i++) {
		cli_sanitize(status->legs[i].name);
		cli_sanitize(status->legs[i].address);
		cli_sanitize(status->legs[i].state);
		cli_sanitize(status->legs[i].kind);
		cli_sanitize(status->legs[i].member);
		cli_sanitize(status->legs[i].last_error);
	}
}

void duration_format(uint64_t ms, char out[DURATION_CHARS])
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(out, DURATION_CHARS, "%" PRIu64 " ms", ms);
	else if (s < 120)
		snprintf(out, DURATION_CHARS, "%" PRIu64 " s", s);
	else if (s < 7200)
		snprintf(out, DURATION_CHARS, "%" PRIu64 " min %02" PRIu64 " s", s / 60, s % 60);
	else if (s < 48 * 3600)
		snprintf(out, DURATION_CHARS, "%" PRIu64 " h %02" PRIu64 " min", s / 3600, s / 60 % 60);
	else
		snprintf(out, DURATION_CHARS, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
}

uint64_t status_resync_rate(const struct admin_leg *leg)
{
	uint64_t done = leg->resync_total_bytes - leg->resync_left_bytes;

	if (!leg->resync_ms || leg->resync_left_bytes > leg->resync_total_bytes)
		return 0;
	/* In this order, for bytes beyond 2^54. */
	return done / leg->resync_ms * 1000 + done % leg->resync_ms * 1000 / leg->resync_ms;
}

bool status_resync_eta_ms(const struct admin_leg *leg, uint64_t *ret_ms)
{
	uint64_t rate = status_resync_rate(leg);

	*ret_ms = rate ? leg->resync_left_bytes / rate * 1000 + leg->resync_left_bytes % rate * 1000 / rate : 0;
	return rate != 0;
}

bool status_can_lose_node(const struct admin_status *status, char *ret_why, size_t cap)
{
	for (unsigned i = 0; i < status->set_count; i++) {
		if (status->sets[i].can_lose_node)
			continue;
		snprintf(ret_why, cap, "set %u: %s", i,
			 status->sets[i].why_not[0] ? status->sets[i].why_not : "nothing is known of it");
		return false;
	}
	ret_why[0] = '\0';
	return true;
}

static void print_resync(FILE *out, const struct admin_leg *leg)
{
	char total[SIZE_TEXT_CHARS], left[SIZE_TEXT_CHARS], copied[SIZE_TEXT_CHARS], rate[SIZE_TEXT_CHARS],
		eta[DURATION_CHARS] = "unknown";
	uint64_t eta_ms;

	if (strcmp(leg->member, "syncing") != 0)
		return;
	size_format_rough(leg->resync_total_bytes, total);
	size_format_rough(leg->resync_left_bytes, left);
	size_format_rough(leg->resync_copied_bytes, copied);
	size_format_rough(status_resync_rate(leg), rate);
	if (status_resync_eta_ms(leg, &eta_ms))
		duration_format(eta_ms, eta);
	fprintf(out, "         resync: %s of %s left to compare, %s copied, %s/s, ready in %s\n", left, total, copied,
		rate, eta);
}

static void print_set(FILE *out, unsigned idx, const struct admin_set *set)
{
	char since[DURATION_CHARS], uncertain[SIZE_TEXT_CHARS];

	duration_format(set->since_ms, since);
	fprintf(out, "  set %u  %s since %s%s%s%s: %u of %u in sync, %u of %u vote, epoch %u, gen %u\n", idx,
		set->state, since, set->reason[0] ? " (" : "", set->reason, set->reason[0] ? ")" : "", set->in_sync,
		set->voters - set->witnesses, set->voting, set->voters, set->epoch, set->gen);
	if (set->waits_for[0])
		fprintf(out, "         waits for %s\n", set->waits_for);
	if (set->uncertain_bytes) {
		size_format_rough(set->uncertain_bytes, uncertain);
		fprintf(out, "         %s may differ, and are being made equal\n", uncertain);
	}
	if (set->loss_count)
		fprintf(out, "         completed writes were lost %u time%s\n", set->loss_count,
			set->loss_count == 1 ? "" : "s");
}

static void print_traffic(FILE *out, const struct admin_leg *leg)
{
	char sent[SIZE_TEXT_CHARS], zero_copy[SIZE_TEXT_CHARS], copied[SIZE_TEXT_CHARS], received[SIZE_TEXT_CHARS];

	size_format_rough(leg->zero_copy_bytes + leg->bulk_copy_bytes + leg->gather_bytes, sent);
	size_format_rough(leg->zero_copy_bytes, zero_copy);
	size_format_rough(leg->bulk_copy_bytes + leg->gather_bytes, copied);
	size_format_rough(leg->received_bytes, received);
	fprintf(out, "         sent %s (zero-copy by the kernel's notification %s, copied %s), received %s\n", sent,
		zero_copy, copied, received);
}

static bool is_well(const struct admin_leg *leg)
{
	return !strcmp(leg->state, "up") || !strcmp(leg->member, "votes");
}

static void print_leg(FILE *out, const struct admin_leg *leg)
{
	bool is_witness = !strcmp(leg->kind, "witness");
	char since[DURATION_CHARS];

	duration_format(leg->since_ms, since);
	fprintf(out, "    %-7s %-10s %-22s %s, %s since %s", leg->kind, leg->name, leg->address, leg->member,
		leg->state, since);
	if (!is_witness)
		fprintf(out, ", session %u, %u in flight", leg->session, leg->outstanding);
	if (leg->reconnects)
		fprintf(out, ", %" PRIu64 " reconnects", leg->reconnects);
	fputc('\n', out);
	if (!is_witness)
		print_traffic(out, leg);
	print_resync(out, leg);
	if (leg->last_error[0] && !is_well(leg))
		fprintf(out, "         last error: %s\n", leg->last_error);
}

/* A set and its voters. */
static void print_members(FILE *out, const struct admin_status *status, unsigned set)
{
	print_set(out, set, &status->sets[set]);
	for (unsigned i = 0; i < status->leg_count; i++) {
		if (status->legs[i].set_index == set)
			print_leg(out, &status->legs[i]);
	}
}

static void print_counters(FILE *out, const struct admin_status *status)
{
	char read[SIZE_TEXT_CHARS], written[SIZE_TEXT_CHARS], resident[SIZE_TEXT_CHARS];

	size_format_rough(status->read_bytes, read);
	size_format_rough(status->write_bytes, written);
	size_format_rough(status->resident_bytes, resident);
	fprintf(out,
		"  read %s in %" PRIu64 ", written %s in %" PRIu64 ", %" PRIu64 " flushes, %" PRIu64
		" discards, %" PRIu64 " zeroes; %u in flight of %u; %s resident\n",
		read, status->read_count, written, status->write_count, status->flush_count, status->discard_count,
		status->zeroes_count, status->outstanding, status->queue_depth, resident);
	if (status->resent_writes || status->reissued_reads || status->short_reads || status->checksum_mismatches ||
	    status->failed_requests)
		fprintf(out,
			"  %" PRIu64 " writes sent again, %" PRIu64 " reads asked again, %" PRIu64
			" short reads, %" PRIu64 " checksum mismatches (%" PRIu64 " writes repaired), %" PRIu64
			" failed\n",
			status->resent_writes, status->reissued_reads, status->short_reads, status->checksum_mismatches,
			status->checksum_repairs, status->failed_requests);
	if (status->evictions || status->rejoins || status->reattaches)
		fprintf(out, "  %" PRIu64 " evictions, %" PRIu64 " rejoins, %" PRIu64 " attached again in place\n",
			status->evictions, status->rejoins, status->reattaches);
	if (status->differing_bytes)
		fprintf(out,
			"  verifies found %" PRIu64 " bytes that differed, counted each time, and repaired %" PRIu64
			"; the last one: lockstep volume verify %s --follow\n",
			status->differing_bytes, status->repaired_bytes, status->volume_name);
}

/* What an operator asks before anything else. */
static void print_answer(FILE *out, const struct admin_status *status)
{
	char why_not[STATUS_WHY_CHARS];

	if (status_can_lose_node(status, why_not, sizeof(why_not)))
		fputs("  can a node be lost now? yes, any one\n", out);
	else
		fprintf(out, "  can a node be lost now? no: %s\n", why_not);
}

void status_print(FILE *out, const struct admin_status *status)
{
	char size[SIZE_TEXT_CHARS], since[DURATION_CHARS];

	size_format_rough(status->size_bytes, size);
	duration_format(status->since_ms, since);
	fprintf(out, "%s: %s since %s", status->volume_name, status->state, since);
	if (status->reason[0])
		fprintf(out, ": %s", status->reason);
	if (status->waits_for[0])
		fprintf(out, ", waiting for %s", status->waits_for);
	fputc('\n', out);
	print_answer(out, status);
	fprintf(out, "  device %s, %s, blocks of %u, %u mirror set%s, epoch %u, gen %u, pid %d\n",
		status->device[0] ? status->device : "(none yet)", size, status->block_bytes, status->set_count,
		status->set_count == 1 ? "" : "s", status->epoch, status->gen, (int)status->pid);
	fprintf(out, "  mode %s (%s)\n", status->mode, status->mode_reason);
	print_counters(out, status);
	for (unsigned i = 0; i < status->set_count; i++)
		print_members(out, status, i);
}
