/* Plays drivers and gateways for one replica, and keeps account of what it answers. Must not know what is explored. */
#include "tests/crash/host.h"

#include <stdlib.h>
#include <string.h>

static struct host *host_of(struct replica *replica)
{
	return container_of(replica, struct host, replica);
}

static void wrong(struct host *host, const char *what)
{
	if (!host->wrong)
		host->wrong = what;
}

/* -- Answers -- */

/* P3: nothing of an older session runs any more when a promise or a session is answered. */
static void check_drained(struct host *host)
{
	if (disk_changes_pending(&host->disk))
		wrong(host, "a promise or a session was answered while changes of an older session run");
}

static void got_opened(struct host *host, struct host_lane *lane)
{
	check_drained(host);
	host->main = (unsigned)(lane - host->lanes);
	host->is_open = true;
	if (host->model.epoch != lane->ballot.epoch) {
		host->wseq = 0;
		host->model.stable_upto = 0;
	}
	host->model.epoch = lane->ballot.epoch;
	host->session = lane->session;
}

static void got_regions(struct host *host, const struct message_regions *page)
{
	for (unsigned region = 0; region < MODEL_REGIONS && !page->everything; region++) {
		bool is_listed = false;

		for (uint32_t i = 0; i < page->count; i++)
			is_listed |=
				region >= page->runs[i].first && region - page->runs[i].first < page->runs[i].count;
		if (!is_listed && model_needs_listed(&host->model, region))
			wrong(host, "the list lacks a write that may differ");
	}
}

static void got_stamped(struct host *host, const struct host_lane *lane)
{
	for (unsigned i = 0; i < MODEL_REGIONS; i++)
		if (lane->regions >> i & 1)
			model_stamped(&host->model, i, lane->gen);
	if (lane->sync)
		model_flushed(&host->model, lane->writes);
}

static void got_promise(struct host *host, const struct host_lane *lane)
{
	struct ballot *floor = &host->model.promise_floor;

	if (lane->ballot.epoch > floor->epoch)
		check_drained(host);
	if (lane->ballot.epoch < floor->epoch ||
	    (lane->ballot.epoch == floor->epoch && lane->ballot.nonce != floor->nonce))
		wrong(host, "a promise was given below or beside one that was given");
	*floor = lane->ballot;
	host->is_promised |= lane->ballot.epoch == host->ballot.epoch && lane->ballot.nonce == host->ballot.nonce;
}

static void lane_message(struct replica_lane *lane, const struct message *message)
{
	struct host *host = host_of(lane->replica);
	struct host_lane *it = container_of(lane, struct host_lane, lane);

	if (message->kind == MESSAGE_REFUSED && message->refused.refusal == REFUSAL_BAD_CONFIG)
		host->model.configs[it->config] = 0; /* no gen: it must never be found */
	it->asked = 0;
	switch (message->kind) {
	case MESSAGE_STATE:
		got_promise(host, it);
		break;
	case MESSAGE_ACCEPTED:
		host->model.config_floor = it->config;
		break;
	case MESSAGE_OPENED:
		got_opened(host, it);
		break;
	case MESSAGE_STAMPED:
		got_stamped(host, it);
		break;
	case MESSAGE_REGIONS:
		got_regions(host, &message->regions);
		break;
	case MESSAGE_FORGOTTEN:
		model_forgotten(&host->model);
		break;
	default: /* REFUSED: the lane ends, nothing was promised */
		break;
	}
}

static void lane_reply(struct replica_lane *lane, const struct frame *reply, struct io_buf *payload)
{
	struct host *host = host_of(lane->replica);
	struct host_request *request = &host->requests[reply->id];
	bool ok = reply->status == WIRE_OK;

	if (payload)
		lane_put_payload(lane, payload);
	if (!request->is_open)
		wrong(host, "a request was answered twice");
	request->is_open = false;
	if (request->type == FRAME_FLUSH && ok) {
		model_flushed(&host->model, request->write);
		if (request->upto > host->model.stable_upto)
			host->model.stable_upto = request->upto;
	}
	if (request->write && request->type != FRAME_FLUSH)
		model_write_answered(&host->model, request->write, ok, request->is_fua);
}

static void lane_finish(struct replica_lane *lane)
{
	lane->ending = true;
	container_of(lane, struct host_lane, lane)->is_closing = true;
}

static void lane_close(struct replica_lane *lane, const char *reason)
{
	(void)reason;
	lane_finish(lane);
}

static const struct lane_ops lane_ops = {
	.reply = lane_reply, .message = lane_message, .finish = lane_finish, .close = lane_close};

/* -- Life -- */

static void nothing(struct replica *replica)
{
	(void)replica;
}

static void has_stopped(struct replica *replica)
{
	host_of(replica)->is_up = false;
}

static void start_written(struct store_op *op)
{
	container_of(op, struct host, start)->is_up = true;
}

bool host_start(struct host *host, const struct image *image, const struct model *model)
{
	struct superblock_slots slots;
	struct superblock sb;
	int error = image_superblock(image, &sb, &slots);

	if (error)
		return false;
	disk_load(&host->disk, image);
	host->model = *model;
	host->wrong = NULL;
	host->is_up = host->is_open = host->is_promised = false;
	host->lane_count = host->request_count = 0;
	host->wseq = 0;
	superblock_start(&sb, &host->server.boot_id);
	sb.sequence++;
	error = superblock_encode(&sb, host->slot);
	assert(!error);
	host->replica.sb = sb;
	host->start = (struct store_op){.kind = STORE_WRITE_SUPERBLOCK,
					.durable = true,
					.offset = superblock_slot_offset(sb.sequence),
					.length = SUPERBLOCK_SLOT_BYTES,
					.data = host->slot,
					.done = start_written};
	host->disk.store.ops->submit(&host->disk.store, &host->start);
	return true;
}

void host_started(struct host *host)
{
	struct replica_options options = {
		.server = &host->server,
		.store = &host->disk.store,
		.pool = &host->pool,
		.unstable_extents = HOST_EXTENTS,
		.changed = nothing,
		.stopped = has_stopped,
	};
	struct superblock sb = host->replica.sb;
	const struct image *image = &host->disk.durable;

	disk_complete(&host->disk, 0, 0);
	model_found(&host->model, &sb);
	host->server = (struct server_identity){.incarnation = 1 + host->server.incarnation, .boot_id = {{7}}};
	if (served_pool_init(&host->pool, HOST_SERVED) || replica_init(&host->replica, &sb, &options))
		abort();
	host->replica.now_ns = 100000000000ull; /* no lease is left */
	if (!host->model.is_witness)
		(void)stamps_load_block(&host->replica.stamps, 0,
					image_look(image, AT_STAMPS_SECTOR + STAMPS_BLOCK_BYTES / SECTOR_BYTES));
	host->ballot = sb.promised;
	host->session = 0;
}

void host_end(struct host *host)
{
	replica_fini(&host->replica);
	served_pool_fini(&host->pool);
	host->is_up = false;
}

unsigned host_lane(struct host *host)
{
	struct host_lane *lane = &host->lanes[host->lane_count];

	assert(host->lane_count < HOST_LANES);
	*lane = (struct host_lane){.is_attached = true};
	lane->lane.ops = &lane_ops;
	lane->lane.role = REPLICA_LANE_MAIN;
	replica_lane_attach(&host->replica, &lane->lane);
	return host->lane_count++;
}

static bool close_one(struct host *host)
{
	for (unsigned i = 0; i < host->lane_count; i++) {
		struct host_lane *lane = &host->lanes[i];

		if (!lane->is_attached || !lane->is_closing)
			continue;
		lane->is_attached = false;
		if (i == host->main)
			host->is_open = false;
		replica_lane_closed(&lane->lane);
		return true;
	}
	return false;
}

void host_settle(struct host *host)
{
	while (close_one(host))
		continue;
}

bool host_takes(const struct host *host, unsigned lane)
{
	const struct host_lane *it = &host->lanes[lane];

	return lane < host->lane_count && it->is_attached && !it->is_closing && !it->asked &&
	       lane_takes_control(&it->lane);
}

/* -- What is sent -- */

void host_message(struct host *host, unsigned lane, const struct message *message)
{
	struct host_lane *it = &host->lanes[lane];

	it->asked = message->kind;
	it->ballot = message->promise.ballot; /* the first field of all that are sent here */
	replica_message(&it->lane, message);
}

bool host_range_is_busy(const struct host *host, uint64_t offset, uint64_t length)
{
	for (unsigned i = 0; i < host->request_count; i++) {
		const struct host_request *request = &host->requests[i];
		const struct model_write *write;

		if (!request->is_open || request->type == FRAME_FLUSH || request->type == FRAME_PING)
			continue;
		write = &host->model.writes[request->write - 1];
		if (write->offset < offset + length && offset < write->offset + write->length)
			return true;
	}
	return false;
}

/* Everything up to here was answered well. */
static uint64_t answered_upto(const struct host *host)
{
	uint64_t upto = host->wseq;

	for (unsigned i = 0; i < host->request_count; i++) {
		const struct host_request *request = &host->requests[i];
		const struct model_write *write = request->write ? &host->model.writes[request->write - 1] : NULL;

		if (!write || request->type == FRAME_FLUSH || write->epoch != host->model.epoch || !write->wseq)
			continue;
		if ((request->is_open || write->has_failed) && write->wseq <= upto)
			upto = write->wseq - 1;
	}
	return upto;
}

static void fill(struct served *served, const struct frame *frame, uint8_t value)
{
	unsigned first = disk_data_sector(frame->offset);

	for (unsigned i = 0; i < frame->length / SECTOR_BYTES; i++)
		model_fill(served->buf->data + (size_t)i * SECTOR_BYTES, first + i, value);
}

static void note(struct host *host, const struct frame *frame, uint8_t value)
{
	struct host_request *request = &host->requests[host->request_count++];
	struct model_write write = {.epoch = frame->epoch,
				    .wseq = frame->wseq,
				    .stamp_gen = frame->flags & FRAME_F_STAMP ? frame->gen : 0,
				    .offset = frame->offset,
				    .length = frame->length};

	assert(host->request_count <= HOST_REQUESTS);
	*request = (struct host_request){.type = frame->type, .is_open = true, .is_fua = frame->flags & FRAME_F_FUA};
	if (frame->type == FRAME_FLUSH) {
		request->write = host->model.write_count;
		request->upto = answered_upto(host);
		return;
	}
	request->write = model_write(&host->model, &write, value);
	for (uint64_t r = frame->offset / REGION_BYTES;
	     write.stamp_gen && r <= (frame->offset + frame->length - 1) / REGION_BYTES; r++)
		model_stamp_asked(&host->model, (unsigned)r, write.stamp_gen);
}

void host_frame(struct host *host, struct frame *frame, uint8_t value, bool cut)
{
	struct host_lane *lane = &host->lanes[host->main];
	struct served *served;
	const char *reason;

	frame->epoch = host->model.epoch;
	frame->session = host->session;
	frame->id = host->request_count;
	frame->stable_upto = host->model.stable_upto;
	if (frame->type != FRAME_FLUSH && !(frame->flags & FRAME_F_COPY))
		frame->wseq = ++host->wseq;
	model_stable(&host->model, frame->stable_upto);
	if (cut) /* it owes nothing, but may be refused before its payload comes */
		host->requests[host->request_count++] = (struct host_request){.type = FRAME_PING, .is_open = true};
	else
		note(host, frame, value);
	if (session_frame(&lane->lane, frame, &served, &reason))
		abort();
	if (served) {
		fill(served, frame, value);
		if (!cut)
			session_payload(served);
	}
	lane->is_closing |= cut;
}
