/* The alphabet of workloads: requests as a gateway, or its successor, would send them. Must not know what follows. */
#include "tests/crash/steps.h"

#include "tests/crash/replica_files.h"

static struct message message; /* scratch: too large for a stack that is used often */

static bool has_session(const struct host *host)
{
	return host->is_up && host->is_open && host->lanes[host->main].is_attached &&
	       !host->lanes[host->main].is_closing && !host->lanes[host->main].lane.data_blocked;
}

/* At most one write in flight per block (R4): the gateway sees to that. */
static bool can_send(const struct host *host, const struct step *step)
{
	return has_session(host) && !host_range_is_busy(host, step->offset, step->length);
}

static void send(struct host *host, const struct step *step, unsigned number)
{
	struct frame frame = {.type = step->type, .flags = step->flags, .offset = step->offset, .length = step->length};

	frame.gen = step->flags & FRAME_F_STAMP ? FILES_GEN + step->gen : 0;
	host_frame(host, &frame, (uint8_t)(step->type == FRAME_WRITE ? 2 + number : 0), step->cut);
}

/* Another gateway (or this one again), on a connection of its own. */
static bool can_promise(const struct host *host, const struct step *step)
{
	return host->is_up && !host->model.is_stopping && host->lane_count < HOST_LANES &&
	       host->model.promise_count < MODEL_PROMISES_MAX;
}

static void promise(struct host *host, const struct step *step, unsigned number)
{
	struct ballot ballot = model_promise_asked(&host->model);
	unsigned lane = host_lane(host);

	ballot.epoch += (uint32_t)step->delta;
	ballot.nonce = 100 + number;
	if (step->delta > 0) {
		host->model.promises[host->model.promise_count++] = host->ballot = ballot;
		host->is_promised = false;
		host->voter = lane;
	}
	message.kind = MESSAGE_PROMISE;
	message.promise.ballot = ballot;
	host_message(host, lane, &message);
}

static bool can_ask(const struct host *host, const struct step *step)
{
	bool needs_data = step->kind != MESSAGE_ACCEPT;

	return host->is_up && !host->model.is_stopping && host->is_promised && host_takes(host, host->voter) &&
	       !(needs_data && host->model.is_witness);
}

static bool can_accept(const struct host *host, const struct step *step)
{
	return can_ask(host, step) && host->model.config_count < MODEL_CONFIGS_MAX;
}

static void accept(struct host *host, const struct step *step, unsigned number)
{
	struct model *model = &host->model;
	uint32_t gen = (uint32_t)((int)model->configs[model->config_count - 1] + step->delta);

	message.kind = MESSAGE_ACCEPT;
	message.accept.ballot = host->ballot;
	files_config(gen, host->ballot, model->is_witness, &message.accept.config);
	host->lanes[host->voter].config = model->config_count;
	model->configs[model->config_count] = gen;
	model->config_ballots[model->config_count++] = host->ballot;
	host_message(host, host->voter, &message);
}

static void stamp(struct host *host, const struct step *step, unsigned number)
{
	struct host_lane *lane = &host->lanes[host->voter];
	uint32_t gen = FILES_GEN + step->gen;

	message.kind = MESSAGE_STAMP;
	message.stamp.ballot = host->ballot;
	message.stamp.sync = step->sync;
	message.stamp.count = step->gen ? 2 : 0;
	message.stamp.runs[0] = (struct region_run){.first = 0, .count = 1, .gen = gen};
	message.stamp.runs[1] = (struct region_run){.first = 2, .count = 1, .gen = gen};
	lane->gen = gen;
	lane->regions = step->gen ? 1u << 0 | 1u << 2 : 0;
	lane->sync = step->sync;
	lane->writes = host->model.write_count;
	for (unsigned i = 0; i < MODEL_REGIONS; i++)
		if (lane->regions >> i & 1)
			model_stamp_asked(&host->model, i, gen);
	host_message(host, host->voter, &message);
}

static void ask(struct host *host, const struct step *step, unsigned number)
{
	message.kind = step->kind;
	message.regions_ask = (struct message_regions_ask){.ballot = host->ballot};
	host_message(host, host->voter, &message);
}

static bool can_open(const struct host *host, const struct step *step)
{
	return host->is_up && !host->model.is_stopping && host->is_promised && !host->model.is_witness &&
	       host->lane_count < HOST_LANES;
}

/* A reconnect, where the lane that was promised to carries a session. */
static void open_session(struct host *host, const struct step *step, unsigned number)
{
	if (!host_takes(host, host->voter) || (host->is_open && host->voter == host->main))
		host->voter = host_lane(host);
	message.kind = MESSAGE_OPEN;
	message.open.ballot = host->ballot;
	message.open.session = host->session + 1;
	host->lanes[host->voter].session = host->session + 1;
	host_message(host, host->voter, &message);
}

static bool can_stop(const struct host *host, const struct step *step)
{
	return host->is_up && !host->model.is_stopping;
}

static void stop(struct host *host, const struct step *step, unsigned number)
{
	host->model.is_stopping = true;
	replica_stop(&host->replica);
}

#define DATA .can = can_send, .run = send
#define WRITE DATA, .type = FRAME_WRITE
#define BLOCK .length = DISK_BLOCK_BYTES

const struct step steps[] = {
	{"write one block", WRITE, .offset = 0, BLOCK},
	{"write one block with FUA", WRITE, .flags = FRAME_F_FUA, .offset = DISK_BLOCK_BYTES, BLOCK},
	{"write three blocks over a region's edge", WRITE, .offset = MIB - 512, .length = 1536},
	{"write a stamped block over an older one", WRITE, .flags = FRAME_F_STAMP, .gen = 1, .offset = 0, BLOCK},
	{"write two stamped blocks over a region's edge", WRITE, .flags = FRAME_F_STAMP, .gen = 2, .offset = MIB - 512,
	 .length = 1024},
	{"write a stamped block with FUA", WRITE, .flags = FRAME_F_STAMP | FRAME_F_FUA, .gen = 1, .offset = 2 * MIB,
	 BLOCK},
	{"copy a block", WRITE, .flags = FRAME_F_STAMP | FRAME_F_COPY, .gen = 1, .offset = 1024, BLOCK},
	{"half a write, then the connection breaks", WRITE, .cut = true, .offset = 1536, BLOCK},
	{"discard five blocks over a region's edge", DATA, .type = FRAME_DISCARD, .offset = MIB - 1024, .length = 2560},
	{"write zeroes with FUA", DATA, .type = FRAME_ZEROES, .flags = FRAME_F_NO_UNMAP | FRAME_F_FUA, .offset = MIB,
	 BLOCK},
	{"flush", DATA, .type = FRAME_FLUSH},
	{"promise a higher epoch", can_promise, promise, .kind = MESSAGE_PROMISE, .delta = 1},
	{"promise the same epoch to somebody else", can_promise, promise, .kind = MESSAGE_PROMISE, .delta = 0},
	{"promise a lower epoch", can_promise, promise, .kind = MESSAGE_PROMISE, .delta = -1},
	{"accept a config", can_accept, accept, .kind = MESSAGE_ACCEPT, .delta = 1},
	{"accept the gen before", can_accept, accept, .kind = MESSAGE_ACCEPT, .delta = -1},
	{"stamp two regions", can_ask, stamp, .kind = MESSAGE_STAMP, .gen = 3},
	{"stamp two regions and sync", can_ask, stamp, .kind = MESSAGE_STAMP, .gen = 4, .sync = true},
	{"sync without stamps", can_ask, stamp, .kind = MESSAGE_STAMP, .gen = 0, .sync = true},
	{"list what is unstable", can_ask, ask, .kind = MESSAGE_LIST_REGIONS},
	{"forget the lists of older epochs", can_ask, ask, .kind = MESSAGE_FORGET},
	{"open a session", can_open, open_session, .kind = MESSAGE_OPEN},
	{"stop in order", can_stop, stop, .kind = 0},
};
const unsigned step_count = ARRAY_COUNT(steps);

void steps_attach(struct host *host)
{
	host->voter = host_lane(host);
	host->ballot = model_promise_asked(&host->model);
	message.kind = MESSAGE_PROMISE;
	message.promise.ballot = host->ballot;
	host_message(host, host->voter, &message);
	if (!host->model.is_witness)
		open_session(host, NULL, 0);
}
