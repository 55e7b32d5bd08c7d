/* The status of a volume as text and as JSON. Knows no socket; the caller has asked already. */
#include "gateway/cli/status_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "gateway/cli/cli.h"

void status_sanitize(struct admin_status *status)
{
	cli_sanitize(status->device);
	cli_sanitize(status->state);
	cli_sanitize(status->mode);
	cli_sanitize(status->mode_reason);
	cli_sanitize(status->waits_for);
	for (unsigned i = 0; i < status->leg_count; i++) {
		cli_sanitize(status->legs[i].name);
		cli_sanitize(status->legs[i].address);
		cli_sanitize(status->legs[i].state);
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

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* One row a counter: JSON and text show the same set, in the same order. */
struct counter {
	const char *name;
	size_t offset;
};

#define LEG_COUNTER(field)                                                                                             \
	{                                                                                                              \
#field, offsetof(struct admin_leg, field)                                                              \
	}
#define VOLUME_COUNTER(field)                                                                                          \
	{                                                                                                              \
#field, offsetof(struct admin_status, field)                                                           \
	}

static const struct counter leg_counters[] = {
	LEG_COUNTER(since_ms),	      LEG_COUNTER(outstanding_bytes), LEG_COUNTER(reconnects),
	LEG_COUNTER(zero_copy_bytes), LEG_COUNTER(bulk_copy_bytes),   LEG_COUNTER(gather_bytes),
	LEG_COUNTER(received_bytes),  LEG_COUNTER(notifications),
};

static const struct counter volume_counters[] = {
	VOLUME_COUNTER(size_bytes),	   VOLUME_COUNTER(since_ms),	      VOLUME_COUNTER(uptime_ms),
	VOLUME_COUNTER(bulk_min_bytes),	   VOLUME_COUNTER(read_count),	      VOLUME_COUNTER(write_count),
	VOLUME_COUNTER(flush_count),	   VOLUME_COUNTER(discard_count),     VOLUME_COUNTER(zeroes_count),
	VOLUME_COUNTER(read_bytes),	   VOLUME_COUNTER(write_bytes),	      VOLUME_COUNTER(short_reads),
	VOLUME_COUNTER(zeroed_bytes),	   VOLUME_COUNTER(resent_writes),     VOLUME_COUNTER(reissued_reads),
	VOLUME_COUNTER(crc_mismatches),	   VOLUME_COUNTER(crc_repairs),	      VOLUME_COUNTER(verified_bytes),
	VOLUME_COUNTER(differing_bytes),   VOLUME_COUNTER(repaired_bytes),    VOLUME_COUNTER(failed_requests),
	VOLUME_COUNTER(ring_sqe_count),	   VOLUME_COUNTER(ring_cqe_count),    VOLUME_COUNTER(ring_enter_count),
	VOLUME_COUNTER(direct_read_bytes), VOLUME_COUNTER(copied_read_bytes), VOLUME_COUNTER(buffer_fallbacks),
	VOLUME_COUNTER(resident_bytes),
};

static int add_counters(json_t *object, const struct counter *counters, size_t count, const void *base)
{
	int error = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)base + counters[i].offset, sizeof(value));
		error |= json_object_set_new(object, counters[i].name, number(value));
	}
	return error;
}

static json_t *leg_json(const struct admin_leg *leg)
{
	char uuid[UUID_CHARS + 1], incarnation[17];
	json_t *json;

	uuid_format(&leg->uuid, uuid);
	snprintf(incarnation, sizeof(incarnation), "%016" PRIx64, leg->incarnation);
	json = json_pack("{s:i, s:o, s:o, s:s, s:o, s:s, s:i, s:i, s:b, s:o}", "set_index", (int)leg->set_index, "name",
			 cli_json_text(leg->name), "address", cli_json_text(leg->address), "uuid", uuid, "state",
			 cli_json_text(leg->state), "incarnation", incarnation, "session", (int)leg->session,
			 "outstanding", (int)leg->outstanding, "zero_copy_now", leg->zero_copy_now, "last_error",
			 cli_json_text(leg->last_error));
	if (json && add_counters(json, leg_counters, ARRAY_COUNT(leg_counters), leg)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *status_json(const struct admin_status *status)
{
	char uuid[UUID_CHARS + 1];
	json_t *legs = json_array(), *json;

	for (unsigned i = 0; i < status->leg_count; i++)
		json_array_append_new(legs, leg_json(&status->legs[i]));
	uuid_format(&status->volume_uuid, uuid);
	json = json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o}",
			 "name", status->volume_name, "uuid", uuid, "version", status->version, "pid", (int)status->pid,
			 "device", cli_json_text(status->device), "mode", cli_json_text(status->mode), "mode_reason",
			 cli_json_text(status->mode_reason), "state", cli_json_text(status->state), "waits_for",
			 cli_json_text(status->waits_for), "block_bytes", (int)status->block_bytes, "chunk_bytes",
			 (int)status->chunk_bytes, "set_count", (int)status->set_count, "epoch", (int)status->epoch,
			 "gen", (int)status->gen, "queue_depth", (int)status->queue_depth, "outstanding",
			 (int)status->outstanding, "legs", legs);
	if (json && add_counters(json, volume_counters, ARRAY_COUNT(volume_counters), status)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static void print_leg(FILE *out, const struct admin_leg *leg)
{
	char since[DURATION_CHARS], sent[SIZE_TEXT_CHARS], zero_copy[SIZE_TEXT_CHARS], copied[SIZE_TEXT_CHARS],
		received[SIZE_TEXT_CHARS];

	duration_format(leg->since_ms, since);
	size_format_rough(leg->zero_copy_bytes + leg->bulk_copy_bytes + leg->gather_bytes, sent);
	size_format_rough(leg->zero_copy_bytes, zero_copy);
	size_format_rough(leg->bulk_copy_bytes + leg->gather_bytes, copied);
	size_format_rough(leg->received_bytes, received);
	fprintf(out, "  set %u  %-12s %-22s %s since %s, session %u, %u in flight", leg->set_index, leg->name,
		leg->address, leg->state, since, leg->session, leg->outstanding);
	if (leg->reconnects)
		fprintf(out, ", %" PRIu64 " reconnects", leg->reconnects);
	fprintf(out, "\n         sent %s (zero-copy by the kernel's notification %s, copied %s), received %s\n", sent,
		zero_copy, copied, received);
	if (leg->last_error[0] && strcmp(leg->state, "up") != 0)
		fprintf(out, "         last error: %s\n", leg->last_error);
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
	if (status->resent_writes || status->reissued_reads || status->short_reads || status->crc_mismatches ||
	    status->failed_requests)
		fprintf(out,
			"  %" PRIu64 " writes sent again, %" PRIu64 " reads asked again, %" PRIu64
			" short reads, %" PRIu64 " checksum mismatches (%" PRIu64 " writes repaired), %" PRIu64
			" failed\n",
			status->resent_writes, status->reissued_reads, status->short_reads, status->crc_mismatches,
			status->crc_repairs, status->failed_requests);
	if (status->differing_bytes)
		fprintf(out, "  verified: %" PRIu64 " bytes differed between replicas, %" PRIu64 " of them repaired\n",
			status->differing_bytes, status->repaired_bytes);
}

void status_print(FILE *out, const struct admin_status *status)
{
	char size[SIZE_TEXT_CHARS], since[DURATION_CHARS], uuid[UUID_CHARS + 1];

	size_format_rough(status->size_bytes, size);
	duration_format(status->since_ms, since);
	uuid_format(&status->volume_uuid, uuid);
	fprintf(out, "%s: %s since %s", status->volume_name, status->state, since);
	if (status->waits_for[0])
		fprintf(out, ", waiting for %s", status->waits_for);
	fprintf(out, "\n  device %s, %s, blocks of %u, %u mirror set%s, epoch %u, gen %u, pid %d\n",
		status->device[0] ? status->device : "(none yet)", size, status->block_bytes, status->set_count,
		status->set_count == 1 ? "" : "s", status->epoch, status->gen, (int)status->pid);
	fprintf(out, "  mode %s (%s)\n", status->mode, status->mode_reason);
	print_counters(out, status);
	for (unsigned i = 0; i < status->leg_count; i++)
		print_leg(out, &status->legs[i]);
}
