/* Prints what the data threads counted. Must not count anything itself. Never on a request's path. */
#include "replica-server/drivers/stats.h"

#include <inttypes.h>
#include <stddef.h>

#include "common/log.h"

static void add(struct thread_stats *sum, const struct thread_stats *stats)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)stats;

	static_assert(sizeof(*sum) % sizeof(*to) == 0, "only 64-bit counters");
	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

void stats_log(struct server *server)
{
	struct thread_stats sum = {0};

	for (unsigned i = 0; i < server->thread_count; i++) {
		struct thread_stats stats;

		data_thread_stats(server->threads[i], &stats);
		add(&sum, &stats);
	}
	log_info("event=stats connections=%u frames=%" PRIu64 " writes=%" PRIu64 " reads=%" PRIu64 " flushes=%" PRIu64
		 " discards=%" PRIu64 " zeroes=%" PRIu64 " pings=%" PRIu64 " write_bytes=%" PRIu64
		 " read_bytes=%" PRIu64 " short_reads=%" PRIu64 " refused=%" PRIu64 " errors=%" PRIu64 " syncs=%" PRIu64
		 " durable_writes=%" PRIu64 " meta_writes=%" PRIu64 " recvs=%" PRIu64 " sends=%" PRIu64
		 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64 " sqes=%" PRIu64 " cqes=%" PRIu64 " enters=%" PRIu64
		 " polls=%" PRIu64 " poll_hits=%" PRIu64,
		 atomic_load(&server->conn_count), sum.sessions.frames, sum.sessions.writes, sum.sessions.reads,
		 sum.sessions.flushes, sum.sessions.discards, sum.sessions.zeroes, sum.sessions.pings,
		 sum.sessions.write_bytes, sum.sessions.read_bytes, sum.sessions.short_reads, sum.sessions.refused,
		 sum.sessions.errors, sum.store.syncs, sum.store.durable_writes, sum.store.meta_writes, sum.net.recvs,
		 sum.net.sends, sum.net.bytes_in, sum.net.bytes_out, sum.sqes, sum.cqes, sum.enters, sum.polls,
		 sum.poll_hits);
}
