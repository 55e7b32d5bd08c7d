/* One simulated world: hosts, processes, network, disks, applications; everything from one seed, in virtual time.
 *
 * The real core objects are inside: struct engine in each gateway, struct replica in each server. What surrounds them
 * plays the drivers: gateway.c and gateway_lane.c for gateway/drivers, server.c and server_lane.c for
 * replica-server/drivers, disk.c for the store, net.c for TCP, app.c for the block layer and its users.
 * The world's memory is taken once and used by one seed after the other. One thread.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/app.h"
#include "tests/sim/event.h"
#include "tests/sim/fault.h"
#include "tests/sim/gateway.h"
#include "tests/sim/geometry.h"
#include "tests/sim/history.h"
#include "tests/sim/net.h"
#include "tests/sim/options.h"
#include "tests/sim/random.h"
#include "tests/sim/server.h"
#include "tests/sim/trace.h"
#include "tests/sim/truth.h"

#define SIM_GATEWAYS 2u
#define SIM_US 1000ull
#define SIM_MS 1000000ull
#define SIM_EPOCH_NS (10000 * SIM_MS) /* when a world begins: every lease of its past is over */

enum phase {
	PHASE_CHAOS,   /* requests and faults */
	PHASE_PARTIAL, /* no new faults, all but a minority heals: all that is pending must finish */
	PHASE_CALM,    /* everything heals: all that is pending must finish, all replicas must be in sync again */
	PHASE_AUDIT,   /* every block is read once more through the gateway */
	PHASE_END,
};

struct world_counters {
	uint64_t events, ops, reads_checked, faults, attaches, restarts, power_losses, taints, skipped_zero_reads,
		verifies, replaced, seeded;
	uint64_t frames_zombie, scribbles, io_errors;
	uint64_t evictions, rejoins, reattaches, reconciles, suspensions, losses;
	uint64_t set_backs;
	uint64_t ticks, served_ticks; /* of the chaos: how much of it the volume is served */
};

struct world {
	uint64_t seed;
	struct options options;
	struct random random;
	struct event_heap heap;
	struct trace trace;
	uint64_t now_ns;
	uint64_t tick; /* grows with everything that histories must order */
	enum phase phase;
	uint64_t phase_events, phase_ns; /* when the phase began */

	struct geometry geometry;
	struct net net;
	struct server servers[SIM_SERVERS_MAX];
	struct gateway gateways[SIM_GATEWAYS];
	unsigned in_use; /* the gateway on which the applications run */
	struct truth truth;
	struct history history;
	struct faults faults;
	struct world_counters counters;
	uint32_t ops_left;
	unsigned audited; /* clusters */

	jmp_buf escape; /* a violation ends the seed from wherever it is found */
	char violation[512];
};

struct world *world_new(void);
void world_free(struct world *world);

/* Runs one seed. 0, or -EILSEQ with world->violation. `overrides` may be NULL. */
int world_run(struct world *world, uint64_t seed, const char *overrides) must_check;

/* Does not return. */
void world_violation(struct world *world, const char *format, ...) printf_like(2, 3) __attribute__((noreturn));

/* Adds an event `delay_ns` from now. The incarnation of its process is filled in. */
void world_post(struct world *world, uint64_t delay_ns, struct event event);
struct process *world_process(struct world *world, uint32_t process);
/* A stopped process: its events wait until it goes on. */
void process_pause(struct world *world, uint32_t process);
void process_resume(struct world *world, uint32_t process);
/* Its events are void. */
void process_die(struct world *world, uint32_t process);

static inline uint64_t world_delay(struct world *world, uint64_t mean_us)
{
	return random_delay(&world->random, mean_us * SIM_US);
}

#endif
