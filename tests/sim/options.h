/* What one seed's world is like. Everything is drawn from the seed (swarm testing: each seed gets its own subset of
 * faults and its own sizes), and everything can be set by name from the command line, which repeats or narrows a run.
 */
#ifndef TESTS_SIM_OPTIONS_H
#define TESTS_SIM_OPTIONS_H

#include <stdint.h>
#include <stdio.h>

#include "common/compiler.h"
#include "tests/sim/random.h"

/* Name, meaning. Suffixes: _pm per mille, _us microseconds, _ms milliseconds; w_ weight among the faults. */
#define OPTION_LIST(X)                                                                                                 \
	X(layout, "number in the table of layouts")                                                                    \
	X(clusters, "groups of 8 blocks around the edge of a region or chunk")                                         \
	X(block_bytes, "512 or 4096")                                                                                  \
	X(queue_depth, "requests at a time")                                                                           \
	X(ops, "requests in all")                                                                                      \
	X(think_us, "pause of a slot between two requests")                                                            \
	X(reads, "weight among requests")                                                                              \
	X(writes, "weight among requests")                                                                             \
	X(flushes, "weight among requests")                                                                            \
	X(discards, "weight among requests")                                                                           \
	X(zeroes, "weight among requests")                                                                             \
	X(fua_pm, "changes that are FUA")                                                                              \
	X(scribble_pm, "writes whose buffer the application changes in flight")                                        \
	X(hot_pm, "requests that go to the first cluster")                                                             \
	X(pinned, "1: the frontend pins a request's memory, so completion does not wait for the last send")            \
	X(bulk_min, "bytes; payloads above take the bulk path")                                                        \
	X(read_run, "reads in a row to one replica")                                                                   \
	X(deadline_ms, "answer deadline")                                                                              \
	X(reconnect_ms, "first pause before connecting again")                                                         \
	X(sync_ms, "interval of the background SYNC")                                                                  \
	X(tick_ms, "interval of engine_tick()")                                                                        \
	X(turn_us, "how long a gateway's loop turn gathers")                                                           \
	X(defer_pm, "gathered writes that must wait for a buffer")                                                     \
	X(late_release_pm, "payloads whose release is reported late")                                                  \
	X(net_us, "mean delay of a connection")                                                                        \
	X(chop_pm, "deliveries that are cut at a random byte")                                                         \
	X(zombie_pm, "lost connections whose tail arrives late")                                                       \
	X(disk_us, "mean latency of a disk")                                                                           \
	X(early_pm, "disk operations that take effect long before they are reported")                                  \
	X(writeback_pm, "overwritten unsynced sectors that reached the disk before")                                   \
	X(buffers, "payload buffers of a replica-server")                                                              \
	X(served, "requests a replica-server holds")                                                                   \
	X(extents, "length of a replica's list of unstable extents")                                                   \
	X(fault_ms, "mean time between faults; 0: none")                                                               \
	X(outage_ms, "mean length of an outage")                                                                       \
	X(w_cut, "a connection breaks")                                                                                \
	X(w_block, "one direction or both between a gateway and a server carry nothing")                               \
	X(w_stall, "one connection carries nothing in one direction")                                                  \
	X(w_refuse, "a server accepts no connection")                                                                  \
	X(w_replay, "a server repeats an old reply")                                                                   \
	X(w_server_kill, "a server process dies and restarts")                                                         \
	X(w_server_pause, "a server process is stopped")                                                               \
	X(w_power, "a server's host loses power")                                                                      \
	X(w_rack_power, "all servers' hosts lose power")                                                               \
	X(w_eio, "a disk fails some writes")                                                                           \
	X(w_eio_read, "a disk fails some reads")                                                                       \
	X(w_enospc, "a disk is full for a while")                                                                      \
	X(w_fsync, "a disk fails one fsync and forgets")                                                               \
	X(w_slow, "a disk is slow for a while")                                                                        \
	X(w_flip, "a bit flips in the metadata of a server that is down")                                              \
	X(w_truncate, "a data file is cut off while it is served")                                                     \
	X(w_gateway_kill, "the gateway process dies; its requests are issued again")                                   \
	X(w_gateway_death, "the gateway's host dies")                                                                  \
	X(w_gateway_pause, "the gateway process is stopped")                                                           \
	X(w_takeover, "the other host attaches, whatever this one does")                                               \
	X(w_replace, "a server's directory is lost once the others do without it, and made anew")                      \
	X(w_return, "... and the lost one comes back for a while")                                                     \
	X(w_split, "each host reaches some of the voters only, and the other one attaches")                            \
	X(w_set_back, "the disk of a server is set back to an older copy while it is off")                             \
	X(detach, "1: the seed ends with a detach")                                                                    \
	X(chaos_ms, "how long faults strike at most")                                                                  \
	X(partial, "1: before everything heals, a minority of the voters stays away for a while")                      \
	X(drift_pm, "how far the clocks of processes run apart")                                                       \
	X(min_in_sync, "fewer replicas in sync: suspended")                                                            \
	X(fails, "1: requests fail when there is no quorum for quorum_ms")                                             \
	X(quorum_ms, "... how long")                                                                                   \
	X(resync_kib, "KiB a second for a rejoin; 0: no limit")                                                        \
	X(unseen, "a rejoin copies unseen while fewer percent of the pieces are equal; 0: compares all")               \
	X(slow_factor, "a replica so many times slower than the fastest is evicted; 0: never")                         \
	X(slow_ms, "... when it is so for this long")                                                                  \
	X(slow_rest_ms, "... and not taken back before")                                                               \
	X(verify_ms, "pause between two verifies; 0: none")                                                            \
	X(verify_repair, "1: they repair what differs")                                                                \
	X(attach_wait_ms, "an attach waits so long for voters that it can do without")                                 \
	X(attach_limit_ms, "... and is refused after so long; 0: never")

struct options {
#define OPTION_FIELD(name, text) uint32_t name;
	OPTION_LIST(OPTION_FIELD)
#undef OPTION_FIELD
};

struct sim_layout {
	const char *name;
	unsigned sets, replicas, witnesses;
};
extern const struct sim_layout sim_layouts[];
extern const unsigned sim_layout_count;

void options_draw(struct options *ret, struct random *random);
/* "name=value,name=value". 0 or -EINVAL, then `*ret_bad` points to the part that is wrong. */
int options_override(struct options *options, const char *text, const char **ret_bad) must_check;
void options_print(const struct options *options, FILE *file);
void options_help(FILE *file);

#endif
