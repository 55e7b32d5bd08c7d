/* Plays the driver for one replica: records answers, delivers closings when the test says so. */
#include "tests/unit/replica_rig.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"

const struct uuid rig_volume = {{1, 1}}, rig_set = {{2, 2}}, rig_replica = {{3, 3}};

static struct rig_lane *of(struct replica_lane *lane)
{
	return container_of(lane, struct rig_lane, lane);
}

static void lane_reply(struct replica_lane *lane, const struct frame *reply, struct io_buf *payload)
{
	struct rig_lane *rig_lane = of(lane);
	struct rig_reply *slot = &rig_lane->replies[rig_lane->reply_count % RIG_REPLIES];

	slot->frame = *reply;
	slot->first = payload ? payload->data[0] : 0;
	rig_lane->reply_count++;
	if (payload)
		lane_put_payload(lane, payload);
}

static void lane_message(struct replica_lane *lane, const struct message *message)
{
	of(lane)->answer = *message;
	of(lane)->answer_count++;
}

static void lane_finish(struct replica_lane *lane)
{
	lane->ending = true;
	of(lane)->closing = true;
}

static void lane_close(struct replica_lane *lane, const char *reason)
{
	(void)reason;
	lane->ending = true;
	of(lane)->closing = true;
}

static const struct lane_ops lane_ops = {
	.reply = lane_reply,
	.message = lane_message,
	.finish = lane_finish,
	.close = lane_close,
};

static void changed(struct replica *replica)
{
	struct rig *rig = container_of(replica, struct rig, replica);

	CHECK_FALSE(rig->stopped); /* whoever heard of its end may have freed it */
	rig->changed_count++;
}

static void stopped(struct replica *replica)
{
	container_of(replica, struct rig, replica)->stopped = true;
}

void rig_superblock(struct superblock *ret)
{
	*ret = (struct superblock){
		.sequence = 1,
		.replica_uuid = rig_replica,
		.volume_name = "vol",
		.created_s = 100,
		.updated_s = 100,
		.config = {.volume_uuid = rig_volume,
			   .set_uuid = rig_set,
			   .set_count = 1,
			   .block_bytes = RIG_BLOCK,
			   .chunk_bytes = CHUNK_BYTES_DEFAULT,
			   .set_bytes = RIG_SET_BYTES,
			   .volume_bytes = RIG_SET_BYTES,
			   .gen = 1,
			   .voter_count = 1},
	};
	ret->config.voters[0] = (struct voter){.uuid = rig_replica,
					       .kind = VOTER_REPLICA,
					       .address = "10.0.0.1:7420",
					       .state = VOTER_IN,
					       .compare = COMPARE_STAMPS,
					       .in_sync_gen = 1};
}

/* A set needs a replica: it becomes the second voter. */
static void make_witness(struct superblock *sb)
{
	struct config *config = &sb->config;

	config->voters[config->voter_count] = config->voters[0];
	config->voters[config->voter_count++].uuid.bytes[15] = 4;
	config->voters[0] = (struct voter){.uuid = rig_replica, .kind = VOTER_WITNESS, .address = "10.0.0.1:7420"};
	config->voters[0].state = VOTER_OUT;
	sb->incompat = SUPERBLOCK_INCOMPAT_WITNESS;
}

static void start(struct rig *rig)
{
	struct replica_options options = {
		.server = &rig->server,
		.store = &rig->mem.store,
		.pool = &rig->pool,
		.unstable_extents = 8,
		.changed = changed,
		.stopped = stopped,
	};

	CHECK_OK(replica_init(&rig->replica, &rig->sb, &options));
	rig->replica.now_s = 200;
	rig->replica.now_ns = RIG_NOW_NS;
}

static void init(struct rig *rig, bool is_witness)
{
	memset(rig, 0, sizeof(*rig));
	rig->server.incarnation = 77;
	rig->server.boot_id.bytes[0] = 9;
	rig_superblock(&rig->sb);
	if (is_witness)
		make_witness(&rig->sb);
	mem_store_init(&rig->mem, RIG_SET_BYTES);
	CHECK_OK(served_pool_init(&rig->pool, RIG_SERVED));
	start(rig);
}

void rig_restart(struct rig *rig)
{
	replica_fini(&rig->replica);
	rig->server.incarnation++;
	start(rig);
}

void rig_init(struct rig *rig)
{
	init(rig, false);
}

void rig_init_witness(struct rig *rig)
{
	init(rig, true);
}

void rig_fini(struct rig *rig)
{
	for (unsigned i = 0; i < RIG_LANES; i++)
		if (rig->lanes[i].attached)
			rig_lane_gone(rig, i);
	mem_store_run(&rig->mem);
	/* Nothing may be left behind, whatever the test did. */
	CHECK_EQ_U64(RIG_SERVED, rig->pool.free_count);
	CHECK_EQ_U64(0, rig->mem.bufs_out);
	CHECK_EQ_U64(0, rig->replica.session.inflight);
	replica_fini(&rig->replica);
	served_pool_fini(&rig->pool);
	mem_store_fini(&rig->mem);
}

struct rig_lane *rig_lane(struct rig *rig, unsigned idx, enum lane_role role)
{
	struct rig_lane *lane = &rig->lanes[idx];

	*lane = (struct rig_lane){.attached = true};
	lane->lane.ops = &lane_ops;
	lane->lane.role = role;
	replica_lane_attach(&rig->replica, &lane->lane);
	return lane;
}

void rig_lane_gone(struct rig *rig, unsigned idx)
{
	rig->lanes[idx].attached = false;
	replica_lane_closed(&rig->lanes[idx].lane);
}

void rig_promise(struct rig *rig, unsigned idx, uint32_t epoch, uint64_t nonce)
{
	struct message message = {.kind = MESSAGE_PROMISE, .promise.ballot = {epoch, nonce}};

	replica_message(&rig->lanes[idx].lane, &message);
}

void rig_accept(struct rig *rig, unsigned idx, uint32_t epoch, uint64_t nonce, const struct config *config)
{
	struct message message = {.kind = MESSAGE_ACCEPT, .accept.ballot = {epoch, nonce}};

	message.accept.config = *config;
	replica_message(&rig->lanes[idx].lane, &message);
}

void rig_message(struct rig *rig, unsigned idx, const struct message *message)
{
	CHECK_TRUE(lane_takes_control(&rig->lanes[idx].lane));
	replica_message(&rig->lanes[idx].lane, message);
}

void rig_ask(struct rig *rig, unsigned idx, enum message_kind kind, uint32_t epoch, uint64_t nonce)
{
	static struct message message;

	message = (struct message){.kind = kind};
	message.promise.ballot = (struct ballot){epoch, nonce}; /* the first field of every such request */
	if (kind == MESSAGE_STAMP)
		message.stamp.sync = true;
	if (kind == MESSAGE_DIGEST)
		message.digest.length = DIGEST_PIECE_BYTES;
	rig_message(rig, idx, &message);
}

static void send_open(struct rig *rig, unsigned idx, enum message_kind kind, struct ballot ballot, uint32_t session)
{
	struct message message = {.kind = kind};

	message.open.ballot = ballot;
	message.open.session = session;
	replica_message(&rig->lanes[idx].lane, &message);
}

void rig_open(struct rig *rig, unsigned idx, uint32_t epoch, uint64_t nonce, uint32_t session)
{
	send_open(rig, idx, MESSAGE_OPEN, (struct ballot){epoch, nonce}, session);
}

void rig_join(struct rig *rig, unsigned idx, uint32_t epoch, uint64_t nonce, uint32_t session)
{
	send_open(rig, idx, MESSAGE_JOIN, (struct ballot){epoch, nonce}, session);
}

void rig_serve(struct rig *rig)
{
	struct rig_lane *lane = rig_lane(rig, 0, REPLICA_LANE_MAIN);

	rig_promise(rig, 0, 1, 11);
	mem_store_run(&rig->mem);
	rig_open(rig, 0, 1, 11, 1);
	CHECK_EQ_INT(MESSAGE_OPENED, lane->answer.kind);
	lane->answer_count = 0;
}

void rig_serve_bulk(struct rig *rig)
{
	struct rig_lane *bulk;

	rig_serve(rig);
	bulk = rig_lane(rig, 1, REPLICA_LANE_BULK);
	rig_join(rig, 1, 1, 11, 1);
	CHECK_EQ_INT(MESSAGE_JOINED, bulk->answer.kind);
	bulk->answer_count = 0;
}

int rig_frame(struct rig *rig, unsigned idx, const struct frame *frame, uint8_t fill)
{
	struct served *served;
	const char *reason;
	int error = session_frame(&rig->lanes[idx].lane, frame, &served, &reason);

	if (error || !served)
		return error;
	memset(served->buf->data, fill, frame->length);
	session_payload(served);
	return 0;
}

struct frame rig_write(struct rig *rig, uint64_t offset, uint32_t length)
{
	return (struct frame){.type = FRAME_WRITE,
			      .epoch = 1,
			      .session = 1,
			      .id = 1000 + rig->wseq,
			      .offset = offset,
			      .length = length,
			      .wseq = ++rig->wseq};
}

struct frame rig_read(uint64_t offset, uint32_t length)
{
	return (struct frame){
		.type = FRAME_READ, .epoch = 1, .session = 1, .id = 2000 + offset, .offset = offset, .length = length};
}

struct frame rig_flush(void)
{
	return (struct frame){.type = FRAME_FLUSH, .epoch = 1, .session = 1, .id = 3000};
}

unsigned rig_status(const struct rig_lane *lane)
{
	return lane->reply_count ? lane->replies[(lane->reply_count - 1) % RIG_REPLIES].frame.status : UINT_MAX;
}

struct rig_lane *rig_begin_promised(struct rig *rig)
{
	struct rig_lane *lane;

	rig_init(rig);
	lane = rig_lane(rig, 0, REPLICA_LANE_MAIN);
	rig_promise(rig, 0, 1, 11);
	mem_store_run(&rig->mem);
	lane->answer_count = 0;
	return lane;
}

void rig_check_refused(const struct rig_lane *lane, enum refusal refusal, const char *part)
{
	CHECK_EQ_INT(MESSAGE_REFUSED, lane->answer.kind);
	CHECK_STR(refusal_name(refusal), refusal_name(lane->answer.refused.refusal));
	CHECK_STR_HAS(part, lane->answer.refused.text);
	CHECK_STR_HAS("vol", lane->answer.refused.text);
	CHECK_TRUE(lane->closing);
}

void rig_complete(struct rig *rig, enum store_kind kind, int error)
{
	struct store_op *op = mem_store_find(&rig->mem, kind);

	CHECK_NOT_NULL(op);
	mem_store_complete(&rig->mem, op, error);
}
