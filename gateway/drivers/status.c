/* Fills the admin socket's status from the engine's, the peers' and the frontend's.
 * Decides nothing. Not on a request's path: control thread, when somebody asks. */
#include "gateway/drivers/status.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "gateway/drivers/frontend.h"
#include "gateway/drivers/loop.h"

static void set_text(char *to, size_t cap, const char *from)
{
	snprintf(to, cap, "%s", from);
}

static uint64_t age_ms(uint64_t now_ns, uint64_t since_ns)
{
	return now_ns > since_ns ? (now_ns - since_ns) / NS_PER_MS : 0;
}

static const char *member_of(const struct leg_status *leg)
{
	if (leg->is_witness)
		return leg->state == LEG_VOTING ? "votes" : "away";
	if (leg->is_syncing)
		return "syncing";
	return leg->is_in_sync ? "in-sync" : "out";
}

static void set_leg(const struct volume_spec *spec, unsigned leg, const struct loop_status *snapshot,
		    struct admin_leg *ret)
{
	const struct leg_status *engine = &snapshot->engine.legs[leg];
	const struct peer_leg_stats *peer = &snapshot->peers.legs[leg];
	unsigned set;
	const struct replica_spec *replica = volume_leg_replica(spec, leg, &set);

	ret->set_index = set;
	set_text(ret->name, sizeof(ret->name), replica->name);
	set_text(ret->address, sizeof(ret->address), replica->address);
	ret->uuid = replica->uuid;
	set_text(ret->state, sizeof(ret->state), leg_state_name(engine->state));
	ret->since_ms = age_ms(snapshot->now_ns, engine->since_ns);
	ret->session = engine->session;
	ret->incarnation = engine->incarnation;
	ret->outstanding_bytes = engine->outstanding_bytes;
	ret->outstanding = engine->outstanding;
	ret->reconnects = engine->reconnects;
	set_text(ret->last_error, sizeof(ret->last_error), engine->last_error);
	ret->zero_copy_bytes = peer->zero_copied_bytes;
	ret->bulk_copy_bytes = peer->copied_bytes;
	ret->notifications = peer->notifications;
	ret->gather_bytes = peer->gathered_bytes;
	ret->received_bytes = peer->received_bytes;
	ret->zero_copy_now = peer->zero_copy_now;
	set_text(ret->kind, sizeof(ret->kind), voter_kind_name(replica->kind));
	set_text(ret->member, sizeof(ret->member), member_of(engine));
	if (!engine->is_syncing)
		return;
	ret->resync_total_bytes = engine->resync_total_bytes;
	ret->resync_left_bytes = engine->resync_left_bytes;
	ret->resync_copied_bytes = engine->resync_copied_bytes;
	ret->resync_ms = age_ms(snapshot->now_ns, engine->resync_since_ns);
}

static void set_set(const struct loop_status *snapshot, unsigned set, struct admin_set *ret)
{
	const struct set_status *engine = &snapshot->engine.sets[set];

	set_text(ret->state, sizeof(ret->state), volume_state_name(engine->state));
	ret->since_ms = age_ms(snapshot->now_ns, engine->since_ns);
	set_text(ret->reason, sizeof(ret->reason), engine->reason);
	set_text(ret->waits_for, sizeof(ret->waits_for), engine->waits_for);
	ret->epoch = snapshot->engine.epoch;
	ret->gen = engine->gen;
	ret->loss_count = engine->loss_count;
	ret->voters = engine->voters;
	ret->witnesses = engine->witnesses;
	ret->in_sync = engine->in_sync;
	ret->voting = engine->voting;
	ret->can_lose_node = engine->can_lose_one;
	set_text(ret->why_not, sizeof(ret->why_not), engine->why_not);
	ret->uncertain_bytes = engine->uncertain_bytes;
	ret->has_lease = engine->has_lease;
}

static void set_volume(const struct status_sources *sources, struct admin_status *ret)
{
	const struct volume_spec *spec = sources->spec;
	const struct frontend *fe = sources->frontend;

	set_text(ret->version, sizeof(ret->version), LOCKSTEP_VERSION);
	ret->pid = (int32_t)getpid();
	set_text(ret->volume_name, sizeof(ret->volume_name), spec->name);
	ret->volume_uuid = spec->uuid;
	ret->size_bytes = spec->size_bytes;
	ret->block_bytes = spec->block_bytes;
	ret->chunk_bytes = spec->chunk_bytes;
	ret->set_count = spec->set_count;
	set_text(ret->device, sizeof(ret->device), fe->ops->device(fe));
	set_text(ret->mode, sizeof(ret->mode), fe->ops->mode(fe));
	set_text(ret->mode_reason, sizeof(ret->mode_reason), fe->ops->mode_reason(fe));
	ret->queue_depth = fe->queue_depth;
	ret->bulk_min_bytes = sources->bulk_min_bytes;
	ret->uptime_ms = age_ms(clock_now_ns(), sources->started_ns);
	ret->resident_bytes = status_resident_bytes();
}

static void set_engine(const struct loop_status *snapshot, struct admin_status *ret)
{
	const struct engine_status *engine = &snapshot->engine;

	set_text(ret->state, sizeof(ret->state), volume_state_name(engine->state));
	ret->since_ms = age_ms(snapshot->now_ns, engine->since_ns);
	set_text(ret->reason, sizeof(ret->reason), engine->reason);
	set_text(ret->waits_for, sizeof(ret->waits_for), engine->waits_for);
	ret->epoch = engine->epoch;
	ret->gen = engine->gen;
	ret->evictions = engine->evictions;
	ret->rejoins = engine->rejoins;
	ret->reattaches = engine->reattaches;
	ret->reconciled_bytes = engine->reconciled_bytes;
	ret->resynced_bytes = engine->resynced_bytes;
	ret->outstanding = engine->outstanding;
	ret->read_count = engine->read_count;
	ret->write_count = engine->write_count;
	ret->flush_count = engine->flush_count;
	ret->discard_count = engine->discard_count;
	ret->zeroes_count = engine->zeroes_count;
	ret->read_bytes = engine->read_bytes;
	ret->write_bytes = engine->write_bytes;
	ret->short_reads = engine->short_reads;
	ret->zeroed_bytes = engine->zeroed_bytes;
	ret->resent_writes = engine->resent_writes;
	ret->reissued_reads = engine->reissued_reads;
	ret->checksum_mismatches = engine->checksum_mismatches;
	ret->checksum_repairs = engine->checksum_repairs;
	ret->verified_bytes = engine->verified_bytes;
	ret->differing_bytes = engine->differing_bytes;
	ret->repaired_bytes = engine->repaired_bytes;
	ret->failed_requests = engine->failed_requests;
}

void status_compose(const struct status_sources *sources, const struct loop_status *snapshot, struct admin_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	set_volume(sources, ret);
	set_engine(snapshot, ret);
	ret->ring_sqe_count = snapshot->ring_sqe_count;
	ret->ring_cqe_count = snapshot->ring_cqe_count;
	ret->ring_enter_count = snapshot->ring_enter_count;
	ret->ring_poll_count = snapshot->ring_poll_count;
	ret->ring_poll_hit_count = snapshot->ring_poll_hit_count;
	ret->direct_read_bytes = snapshot->peers.direct_read_bytes;
	ret->copied_read_bytes = snapshot->peers.copied_read_bytes;
	ret->buffer_fallbacks = snapshot->buffer_fallbacks;
	ret->leg_count = volume_leg_count(sources->spec);
	for (unsigned set = 0; set < ret->set_count; set++)
		set_set(snapshot, set, &ret->sets[set]);
	for (unsigned leg = 0; leg < ret->leg_count; leg++)
		set_leg(sources->spec, leg, snapshot, &ret->legs[leg]);
}

/* Asked for every second: by plain system calls, so that a serving gateway allocates nothing at all. */
uint64_t status_resident_bytes(void)
{
	unsigned long long total_pages, resident_pages;
	char text[128];
	ssize_t len;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	if (sscanf(text, "%llu %llu", &total_pages, &resident_pages) != 2)
		return 0;
	return resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
