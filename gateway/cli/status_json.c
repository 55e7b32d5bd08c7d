/* The status of a volume as JSON: lockstep(8) has the shape. Knows no socket; the caller has asked already. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/status_view.h"

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
	LEG_COUNTER(since_ms),		LEG_COUNTER(outstanding_bytes),	  LEG_COUNTER(reconnects),
	LEG_COUNTER(zero_copy_bytes),	LEG_COUNTER(bulk_copy_bytes),	  LEG_COUNTER(gather_bytes),
	LEG_COUNTER(received_bytes),	LEG_COUNTER(notifications),	  LEG_COUNTER(resync_total_bytes),
	LEG_COUNTER(resync_left_bytes), LEG_COUNTER(resync_copied_bytes), LEG_COUNTER(resync_ms),
};

static const struct counter volume_counters[] = {
	VOLUME_COUNTER(size_bytes),	   VOLUME_COUNTER(since_ms),
	VOLUME_COUNTER(uptime_ms),	   VOLUME_COUNTER(bulk_min_bytes),
	VOLUME_COUNTER(read_count),	   VOLUME_COUNTER(write_count),
	VOLUME_COUNTER(flush_count),	   VOLUME_COUNTER(discard_count),
	VOLUME_COUNTER(zeroes_count),	   VOLUME_COUNTER(read_bytes),
	VOLUME_COUNTER(write_bytes),	   VOLUME_COUNTER(short_reads),
	VOLUME_COUNTER(zeroed_bytes),	   VOLUME_COUNTER(resent_writes),
	VOLUME_COUNTER(reissued_reads),	   VOLUME_COUNTER(checksum_mismatches),
	VOLUME_COUNTER(checksum_repairs),  VOLUME_COUNTER(verified_bytes),
	VOLUME_COUNTER(differing_bytes),   VOLUME_COUNTER(repaired_bytes),
	VOLUME_COUNTER(failed_requests),   VOLUME_COUNTER(ring_sqe_count),
	VOLUME_COUNTER(ring_cqe_count),	   VOLUME_COUNTER(ring_enter_count),
	VOLUME_COUNTER(ring_poll_count),   VOLUME_COUNTER(ring_poll_hit_count),
	VOLUME_COUNTER(direct_read_bytes), VOLUME_COUNTER(copied_read_bytes),
	VOLUME_COUNTER(buffer_fallbacks),  VOLUME_COUNTER(resident_bytes),
	VOLUME_COUNTER(evictions),	   VOLUME_COUNTER(rejoins),
	VOLUME_COUNTER(reattaches),	   VOLUME_COUNTER(reconciled_bytes),
	VOLUME_COUNTER(resynced_bytes),
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

static json_t *set_json(unsigned idx, const struct admin_set *set)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:o, s:o, s:b}", "index",
			 (int)idx, "state", cli_json_text(set->state), "since_ms", number(set->since_ms), "reason",
			 cli_json_text(set->reason), "waits_for", cli_json_text(set->waits_for), "epoch",
			 (int)set->epoch, "gen", (int)set->gen, "loss_count", (int)set->loss_count, "voters",
			 (int)set->voters, "witnesses", (int)set->witnesses, "in_sync", (int)set->in_sync, "voting",
			 (int)set->voting, "can_lose_node", set->can_lose_node, "why_not", cli_json_text(set->why_not),
			 "uncertain_bytes", number(set->uncertain_bytes), "has_lease", set->has_lease);
}

static json_t *leg_json(const struct admin_leg *leg)
{
	char uuid[UUID_CHARS + 1], incarnation[17];
	uint64_t eta_ms;
	bool has_eta = status_resync_eta_ms(leg, &eta_ms);
	json_t *json;

	uuid_format(&leg->uuid, uuid);
	snprintf(incarnation, sizeof(incarnation), "%016" PRIx64, leg->incarnation);
	json = json_pack("{s:i, s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:i, s:i, s:b, s:o, s:o, s:o}", "set_index",
			 (int)leg->set_index, "name", cli_json_text(leg->name), "kind", cli_json_text(leg->kind),
			 "member", cli_json_text(leg->member), "address", cli_json_text(leg->address), "uuid", uuid,
			 "state", cli_json_text(leg->state), "incarnation", incarnation, "session", (int)leg->session,
			 "outstanding", (int)leg->outstanding, "zero_copy_now", leg->zero_copy_now, "last_error",
			 cli_json_text(leg->last_error), "resync_rate_bytes", number(status_resync_rate(leg)),
			 "resync_eta_ms", has_eta ? number(eta_ms) : json_null());
	if (json && add_counters(json, leg_counters, ARRAY_COUNT(leg_counters), leg)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *status_json(const struct admin_status *status)
{
	char uuid[UUID_CHARS + 1], why_not[STATUS_WHY_CHARS];
	bool can_lose = status_can_lose_node(status, why_not, sizeof(why_not));
	json_t *legs = json_array(), *sets = json_array(), *json;

	for (unsigned i = 0; i < status->leg_count; i++)
		json_array_append_new(legs, leg_json(&status->legs[i]));
	for (unsigned i = 0; i < status->set_count; i++)
		json_array_append_new(sets, set_json(i, &status->sets[i]));
	uuid_format(&status->volume_uuid, uuid);
	json = json_pack(
		"{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o}",
		"name", status->volume_name, "uuid", uuid, "version", status->version, "pid", (int)status->pid,
		"device", cli_json_text(status->device), "mode", cli_json_text(status->mode), "mode_reason",
		cli_json_text(status->mode_reason), "state", cli_json_text(status->state), "reason",
		cli_json_text(status->reason), "waits_for", cli_json_text(status->waits_for), "can_lose_node", can_lose,
		"why_not", cli_json_text(why_not), "block_bytes", (int)status->block_bytes, "chunk_bytes",
		(int)status->chunk_bytes, "set_count", (int)status->set_count, "epoch", (int)status->epoch, "gen",
		(int)status->gen, "queue_depth", (int)status->queue_depth, "outstanding", (int)status->outstanding,
		"legs", legs);
	if (json && !add_counters(json, volume_counters, ARRAY_COUNT(volume_counters), status) &&
	    !json_object_set(json, "sets", sets)) {
		json_decref(sets);
		return json;
	}
	json_decref(sets);
	json_decref(json);
	return NULL;
}
