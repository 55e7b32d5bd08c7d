/* The loop of one seed: events in order of time, phases, the operator who restarts what is down, the checks at the end.
 */
#include "tests/sim/world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PHASE_TICK_NS (5 * SIM_MS)
#define OPERATOR_TICK_NS (20 * SIM_MS)
#define CALM_NS (60000 * SIM_MS)   /* virtual time that everything pending has at most */
#define FAILED_NS (10000 * SIM_MS) /* until the last request of a failed volume has its answer */
#define EVENTS_MAX 2000000u
#define CALM_OPS 16u

struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));

	if (!world)
		abort();
	for (unsigned i = 0; i < SIM_SERVERS_MAX; i++)
		server_init(world, i);
	for (unsigned i = 0; i < SIM_GATEWAYS; i++)
		gateway_init(world, i);
	return world;
}

void world_free(struct world *world)
{
	if (!world)
		return;
	for (unsigned i = 0; i < SIM_SERVERS_MAX; i++)
		server_fini(&world->servers[i]);
	for (unsigned i = 0; i < SIM_GATEWAYS; i++)
		gateway_fini(&world->gateways[i]);
	history_fini(&world->history);
	net_fini(&world->net);
	event_heap_fini(&world->heap);
	free(world);
}

void world_violation(struct world *world, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(world->violation, sizeof(world->violation), format, args);
	va_end(args);
	longjmp(world->escape, 1);
}

/* ---- processes ---- */

struct process *world_process(struct world *world, uint32_t process)
{
	if (process == PROCESS_NONE)
		return NULL;
	if (process >= PROCESS_SERVER(0))
		return &world->servers[process - PROCESS_SERVER(0)].process;
	return &world->gateways[process - PROCESS_GATEWAY(0)].process;
}

void world_post(struct world *world, uint64_t delay_ns, struct event event)
{
	const struct process *process = world_process(world, event.process);

	event.at_ns = world->now_ns + delay_ns;
	event.incarnation = process ? process->incarnation : 0;
	event_heap_add(&world->heap, &event);
}

void process_pause(struct world *world, uint32_t process)
{
	world_process(world, process)->is_paused = true;
}

void process_resume(struct world *world, uint32_t index)
{
	struct process *process = world_process(world, index);

	if (!process->is_paused)
		return;
	process->is_paused = false;
	TRACE(world, "process % goes on, % events wait for it", index, process->waiting_count);
	for (size_t i = 0; i < process->waiting_count; i++)
		world_post(world, 0, process->waiting[i]);
	process->waiting_count = 0;
}

void process_die(struct world *world, uint32_t index)
{
	struct process *process = world_process(world, index);

	process->incarnation++;
	process->is_up = process->is_paused = false;
	process->waiting_count = 0;
}

static void make_wait(struct world *world, struct process *process, const struct event *event)
{
	if (process->waiting_count == process->waiting_capacity) {
		process->waiting_capacity = process->waiting_capacity ? 2 * process->waiting_capacity : 64;
		process->waiting = realloc(process->waiting, process->waiting_capacity * sizeof(*process->waiting));
		if (!process->waiting)
			abort();
	}
	process->waiting[process->waiting_count++] = *event;
	if (event->kind == EVENT_DISK) /* the kernel works on */
		disk_take_effect(world, &world->servers[event->process - PROCESS_SERVER(0)], event->op);
}

/* ---- phases ---- */

static void enter(struct world *world, enum phase phase)
{
	world->phase = phase;
	world->phase_events = world->counters.events;
	world->phase_ns = world->now_ns;
	TRACE(world, "phase % begins, % requests are left", phase, world->ops_left);
}

/* Who has been superseded has had its chance. */
static void retire_others(struct world *world)
{
	for (unsigned i = 0; i < SIM_GATEWAYS; i++) {
		if (i == world->in_use)
			continue;
		gateway_kill(world, &world->gateways[i]);
		app_abandon(world, &world->gateways[i]);
		world->gateways[i].is_wanted = false;
	}
}

static void begin_round(struct world *world, enum phase phase)
{
	world->ops_left = CALM_OPS;
	enter(world, phase);
	app_begin(world, &world->gateways[world->in_use]);
}

static void end_chaos(struct world *world)
{
	faults_heal_all(world);
	world->gateways[world->in_use].is_wanted = true;
	if (world->options.partial)
		faults_send_away(world);
	begin_round(world, world->options.partial ? PHASE_PARTIAL : PHASE_CALM);
}

static void end_partial(struct world *world)
{
	faults_call_back(world);
	begin_round(world, PHASE_CALM);
}

/* Every replica is in sync and nothing is uncertain any more. */
static bool is_whole(struct world *world)
{
	const struct engine_status *status = gateway_status(&world->gateways[world->in_use]);

	for (unsigned i = 0; i < world->geometry.sets; i++) {
		if (status->sets[i].uncertain_bytes > 0)
			return false;
	}
	return truth_all_in_sync(world);
}

static bool is_served(struct world *world)
{
	struct gateway *gateway = &world->gateways[world->in_use];

	return gateway_is_owner(world, gateway) && gateway_status(gateway)->state == VOLUME_SERVING;
}

/* Detach makes everything durable that completed. */
static void check_detached(struct world *world, const struct gateway *gateway)
{
	for (unsigned i = 0; i < world->geometry.servers && gateway->detach_error == 0; i++) {
		struct server *server = &world->servers[i];

		if (!(truth_in_sync(world, gateway, server->set) & 1u << i % world->geometry.voters))
			continue;
		for (unsigned j = 0; j < world->geometry.in_set_count[server->set]; j++) {
			unsigned block = world->geometry.in_set[server->set][j];
			uint64_t seq = world->history.completed_seq[block];

			if (history_keeps(world, block, seq) && !disk_holds(world, server, block, seq, true))
				world_violation(world, "detached, but block %u is not on the disk of server %u", block,
						i);
		}
	}
}

static void begin_audit(struct world *world)
{
	retire_others(world);
	enter(world, PHASE_AUDIT);
	world->audited = 0;
}

/* True: the seed is over. */
static bool end_audit(struct world *world)
{
	struct gateway *gateway = &world->gateways[world->in_use];

	if (!gateway->is_detaching) {
		truth_check_mirrors(world);
		if (!world->options.detach)
			return true;
		gateway->is_detaching = true;
		gateway_set_clock(world, gateway);
		engine_detach(gateway->engine);
	}
	if (!gateway->is_detached)
		return false;
	check_detached(world, gateway);
	return true;
}

static void check_patience(struct world *world)
{
	if (world->counters.events - world->phase_events < EVENTS_MAX && world->now_ns - world->phase_ns < CALM_NS)
		return;
	world_violation(world, "no progress: %u requests still wait; the volume is %s (%s)",
			world->gateways[world->in_use].device.active,
			world->gateways[world->in_use].engine
				? volume_state_name(gateway_status(&world->gateways[world->in_use])->state)
				: "not attached",
			world->gateways[world->in_use].engine ? world->gateways[world->in_use].status.waits_for : "");
}

/* Also while faults strike: stamps must cover what differs, at any moment. */
static void watch_chaos(struct world *world)
{
	world->counters.ticks++;
	world->counters.served_ticks += is_served(world);
	truth_check_stamps(world);
	if (world->ops_left == 0 || world->now_ns - SIM_EPOCH_NS > world->options.chaos_ms * SIM_MS)
		end_chaos(world);
}

/* True: the seed is over. */
static bool watch_phase(struct world *world)
{
	struct gateway *gateway = &world->gateways[world->in_use];

	world_post(world, PHASE_TICK_NS, (struct event){.kind = EVENT_PHASE});
	switch (world->phase) {
	case PHASE_CHAOS:
		watch_chaos(world);
		break;
	case PHASE_PARTIAL:
		if (!faults_can_do_without(world) || (world->ops_left == 0 && is_served(world) && app_is_idle(gateway)))
			end_partial(world);
		else
			check_patience(world);
		break;
	case PHASE_CALM:
		check_patience(world);
		if (world->ops_left == 0 && is_served(world) && app_is_idle(gateway) && is_whole(world))
			begin_audit(world);
		break;
	case PHASE_AUDIT:
		check_patience(world);
		if (!app_is_idle(gateway) || !(is_served(world) || gateway->is_detaching))
			break;
		if (world->audited == world->geometry.blocks / SIM_CLUSTER_BLOCKS)
			return end_audit(world);
		app_audit(world, gateway);
		break;
	case PHASE_END:
		break;
	}
	return false;
}

/* ---- the operator ---- */

static bool has_failed(struct gateway *gateway)
{
	return gateway->is_refused || gateway_status(gateway)->state == VOLUME_FAILED;
}

/* What is refused or failed is started again, once its applications know; what was taken over is not, while its
 * successor lives. */
static void look_after(struct world *world, struct gateway *gateway)
{
	if (!gateway->engine || gateway->process.is_paused || !has_failed(gateway))
		return;
	if (!gateway->failed_ns)
		gateway->failed_ns = world->now_ns;
	if (gateway->device.active > 0) {
		if (world->now_ns - gateway->failed_ns > FAILED_NS)
			world_violation(world, "gateway %u has failed, and %u requests still wait", gateway->index,
					gateway->device.active);
		return;
	}
	gateway_kill(world, gateway);
	app_abandon(world, gateway);
	gateway->is_wanted &= gateway->index == world->in_use && !world->gateways[1 - gateway->index].is_wanted;
	if (gateway->is_wanted)
		gateway_start(world, gateway);
}

/* What the status says of a replica that is not taken back before its server was started anew. */
static bool needs_restart(const char *error)
{
	static const char *const errors[] = {"a write failed", "its FLUSH failed", "could not write", "other bytes"};

	for (size_t i = 0; i < ARRAY_COUNT(errors); i++) {
		if (strstr(error, errors[i]))
			return true;
	}
	return false;
}

static void replace_disks(struct world *world, struct gateway *gateway)
{
	const struct engine_status *status;

	if (!gateway->engine || !gateway_is_owner(world, gateway))
		return;
	status = gateway_status(gateway);
	for (unsigned i = 0; i < world->geometry.servers; i++) {
		const struct leg_status *leg = &status->legs[i];

		if (leg->is_witness || leg->state != LEG_VOTING || world->servers[i].is_away ||
		    !needs_restart(leg->last_error))
			continue;
		TRACE(world, "the operator starts server % again", i);
		server_kill(world, &world->servers[i]);
		server_start(world, &world->servers[i]);
	}
}

static void operate(struct world *world)
{
	world_post(world, OPERATOR_TICK_NS, (struct event){.kind = EVENT_OPERATOR});
	if (world->gateways[world->in_use].is_detaching)
		return;
	set_back_operate(world);
	for (unsigned i = 0; i < SIM_GATEWAYS; i++)
		look_after(world, &world->gateways[i]);
	if (world->phase == PHASE_CHAOS)
		return;
	/* Outages that were still to end when the calm began. */
	for (unsigned i = 0; i < world->geometry.servers; i++) {
		if (!world->servers[i].is_away)
			server_start(world, &world->servers[i]);
	}
	if (world->now_ns - world->phase_ns > 500 * SIM_MS)
		retire_others(world);
	world->gateways[world->in_use].is_wanted = true;
	gateway_start(world, &world->gateways[world->in_use]);
	replace_disks(world, &world->gateways[world->in_use]);
}

/* ---- the loop ---- */

static struct conn *live_conn(struct world *world, const struct event *event)
{
	struct conn *conn = &world->net.conns[event->a];

	return conn->is_used && conn->serial == event->serial ? conn : NULL;
}

static void dispatch_gateway(struct world *world, const struct event *event)
{
	struct gateway *gateway = &world->gateways[event->process - PROCESS_GATEWAY(0)];

	switch ((enum event_kind)event->kind) {
	case EVENT_CONNECT:
		gateway_connected(world, gateway, (unsigned)event->a, (enum lane)event->b, event->serial);
		break;
	case EVENT_LANE_CLOSED:
		gateway_lane_closed(world, gateway, (unsigned)event->a, (enum lane)event->b, event->serial);
		break;
	case EVENT_FLUSH:
		gateway_end_turn(world, gateway);
		break;
	case EVENT_RESUME_WRITES:
		gateway_resume_writes(world, gateway);
		break;
	case EVENT_RELEASED:
		gateway_released(world, gateway, (unsigned)event->a, event->serial);
		break;
	case EVENT_ZEROED:
		gateway_zeroed(world, gateway, event->a);
		break;
	case EVENT_TICK:
		gateway_tick(world, gateway);
		break;
	case EVENT_RECOVERED:
		gateway_recovered(world, gateway);
		break;
	case EVENT_SCRIBBLE:
		app_scribble(world, gateway, (unsigned)event->a, event->serial);
		break;
	default:
		break;
	}
}

static void dispatch_server(struct world *world, const struct event *event)
{
	struct server *server = &world->servers[event->process - PROCESS_SERVER(0)];

	if (event->kind == EVENT_DISK)
		server_on_disk(world, server, event->op);
	if (event->kind == EVENT_SERVER_LANE_GONE)
		server_lane_gone(world, server, (unsigned)event->a, event->serial);
	if (event->kind == EVENT_SERVER_START)
		server_start(world, server);
}

static void dispatch(struct world *world, const struct event *event)
{
	struct conn *conn;

	if (event->kind == EVENT_DELIVER) {
		conn = live_conn(world, event);
		if (conn)
			net_deliver(world, conn, (enum direction)event->b);
	} else if (event->kind == EVENT_APP) {
		app_next(world, &world->gateways[event->a], (unsigned)event->b);
	} else if (event->kind == EVENT_FAULT) {
		faults_strike(world);
	} else if (event->kind == EVENT_HEAL) {
		faults_heal(world, event->a, event->b);
	} else if (event->kind == EVENT_OPERATOR) {
		operate(world);
	} else if (event->process >= PROCESS_SERVER(0)) {
		dispatch_server(world, event);
	} else {
		dispatch_gateway(world, event);
	}
}

static void run_events(struct world *world)
{
	struct process *process;
	struct event event;

	while (event_heap_take(&world->heap, &event)) {
		world->now_ns = event.at_ns;
		world->counters.events++;
		process = world_process(world, event.process);
		if (process && process->incarnation != event.incarnation)
			continue;
		if (process && process->is_paused) {
			make_wait(world, process, &event);
			continue;
		}
		if (event.kind != EVENT_PHASE)
			dispatch(world, &event);
		else if (watch_phase(world))
			return;
	}
}

static void reset(struct world *world, uint64_t seed, const char *overrides)
{
	struct random drawn = {seed * 2 + 1};
	const char *bad;

	world->seed = seed;
	world->random.state = ~seed;
	world->now_ns = SIM_EPOCH_NS;
	world->tick = 0;
	world->in_use = 0;
	world->violation[0] = '\0';
	event_heap_reset(&world->heap);
	trace_reset(&world->trace);
	options_draw(&world->options, &drawn);
	if (overrides && options_override(&world->options, overrides, &bad))
		abort(); /* looked at before */
	geometry_init(&world->geometry, &world->options);
	net_reset(&world->net);
	truth_reset(world);
	for (unsigned i = 0; i < world->geometry.servers; i++)
		server_reset(world, i);
	for (unsigned i = 0; i < SIM_GATEWAYS; i++)
		gateway_reset(world, i);
	history_reset(world);
	faults_reset(world);
	world->ops_left = world->options.ops;
}

int world_run(struct world *world, uint64_t seed, const char *overrides)
{
	reset(world, seed, overrides);
	if (setjmp(world->escape))
		return -EILSEQ;
	enter(world, PHASE_CHAOS);
	for (unsigned i = 0; i < world->geometry.servers; i++)
		server_start(world, &world->servers[i]);
	world->gateways[0].is_wanted = true;
	gateway_start(world, &world->gateways[0]);
	faults_begin(world);
	world_post(world, PHASE_TICK_NS, (struct event){.kind = EVENT_PHASE});
	world_post(world, OPERATOR_TICK_NS, (struct event){.kind = EVENT_OPERATOR});
	run_events(world);
	truth_settle_all(world);
	history_check(world);
	return 0;
}
