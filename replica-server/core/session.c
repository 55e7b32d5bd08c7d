/* Serves the data frames of one session: checks, store operations, replies. Must not know how frames arrive or where
 * bytes rest. On a request's path: session_frame() when its header is there, session_payload() when its bytes are,
 * store_done() when the store has finished, reply() on the way back. */
#include "replica-server/core/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/payload_checksum.h"
#include "common/mutant.h"
#include "replica-server/core/admission.h"
#include "replica-server/core/replica.h"

static void store_done(struct store_op *op);
static void sync_done(struct store_op *op);
static void advance(struct replica *replica);

int served_pool_init(struct served_pool *pool, uint32_t count)
{
	pool->all = calloc(count, sizeof(*pool->all));
	list_init(&pool->free);
	pool->free_count = count;
	if (!pool->all)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		list_add_tail(&pool->free, &pool->all[i].node);
	return 0;
}

void served_pool_fini(struct served_pool *pool)
{
	free(pool->all);
	pool->all = NULL;
}

void session_init(struct session *session)
{
	*session = (struct session){.state = SESSION_CLOSED};
	list_init(&session->changes);
	list_init(&session->flushes);
	list_init(&session->syncing);
	list_init(&session->stamping);
	session->sync.done = sync_done;
}

void session_open(struct session *session, struct ballot ballot, uint32_t number, struct replica_lane *main)
{
	assert(session->state == SESSION_CLOSED && session_is_quiet(session));
	session->state = SESSION_OPEN;
	session->ballot = ballot;
	session->number = number;
	session->main = main;
}

bool session_is_quiet(const struct session *session)
{
	return !session->main && !session->bulk && session->inflight == 0 && !session->sync_running;
}

static bool is_change(const struct frame *frame)
{
	return frame->type == FRAME_WRITE || frame->type == FRAME_DISCARD || frame->type == FRAME_ZEROES;
}

static struct served *served_get(struct replica_lane *lane, const struct frame *frame)
{
	struct replica *replica = lane->replica;
	struct served_pool *pool = replica->pool;
	struct served *served = list_first(&pool->free, struct served, node);

	if (!served)
		return NULL;
	list_del(&served->node);
	pool->free_count--;
	*served = (struct served){.lane = lane, .replica = replica, .pool = pool, .frame = *frame};
	list_init(&served->node);
	list_init(&served->stamp_node);
	list_init(&served->lane_node);
	list_add_tail(&lane->requests, &served->lane_node);
	lane->request_count++;
	served->frame.session = replica->session.number;
	served->arrival = ++replica->session.arrivals;
	served->op.done = store_done;
	replica->session.inflight++;
	return served;
}

void lane_put_payload(struct replica_lane *lane, struct io_buf *payload)
{
	lane->held_bytes -= payload->cap;
	lane->replica->store->ops->buf_put(lane->replica->store, payload);
}

static void leave_lane(struct served *served)
{
	if (!served->lane)
		return;
	list_del(&served->lane_node);
	served->lane->request_count--;
	served->lane = NULL;
}

/* Back to the pool; whoever waits for it to be gone learns of it. */
static void served_put(struct served *served)
{
	struct replica *replica = served->replica;
	struct served_pool *pool = served->pool;

	if (served->buf && served->lane)
		lane_put_payload(served->lane, served->buf);
	else if (served->buf)
		replica->store->ops->buf_put(replica->store, served->buf);
	list_del(&served->node);
	leave_lane(served);
	list_del(&served->stamp_node);
	list_add_tail(&pool->free, &served->node);
	pool->free_count++;
	replica->session.inflight--;
	advance(replica);
}

static void send_reply(struct served *served)
{
	struct io_buf *payload = NULL;

	if (served->lane && served->reply.length) {
		payload = served->buf;
		served->buf = NULL;
	}
	if (served->lane)
		served->lane->ops->reply(served->lane, &served->reply, payload);
	served_put(served);
}

/* The bulk lane's replies leave in the order of its requests. */
static void send_in_order(struct replica_lane *lane)
{
	struct served *served;

	while ((served = list_first(&lane->requests, struct served, lane_node)) && served->state == SERVED_ANSWERED)
		send_reply(served);
}

static struct frame reply_to(const struct frame *request, uint32_t session, enum wire_status status)
{
	struct frame reply = frame_reply(request, status);

	reply.session = session;
	return reply;
}

static void answer(struct served *served, enum wire_status status)
{
	struct session *session = &served->replica->session;
	bool is_read = served->frame.type == FRAME_READ;

	served->reply = reply_to(&served->frame, served->frame.session, status);
	if (is_read && status == WIRE_OK)
		served->reply.length = (uint32_t)served->op.bytes;
	if (is_read && status == WIRE_OK && served->op.bytes < served->frame.length)
		session->counters.short_reads++;
	if (served->frame.type == FRAME_WRITE && status == WIRE_OK)
		served->reply.checksum = served->frame.checksum;
	if (status != WIRE_OK)
		session->counters.errors++;
	if (!served->lane || served->lane->role == REPLICA_LANE_MAIN || MUTANT(bulk_out_of_order)) {
		send_reply(served);
		return;
	}
	served->state = SERVED_ANSWERED;
	send_in_order(served->lane);
}

/* An answer that needs no request of its own. Refused ones may overtake: only the bulk lane promises an order, and
 * there everything is a request. */
static void answer_now(struct replica_lane *lane, const struct frame *frame, enum wire_status status)
{
	struct session *session = &lane->replica->session;
	struct frame reply = reply_to(frame, session->number, status);

	if (status != WIRE_OK)
		session->counters.refused++;
	lane->ops->reply(lane, &reply, NULL);
}

static void count(struct session *session, const struct frame *frame)
{
	struct session_counters *counters = &session->counters;

	counters->frames++;
	counters->writes += frame->type == FRAME_WRITE;
	counters->reads += frame->type == FRAME_READ;
	counters->flushes += frame->type == FRAME_FLUSH;
	counters->discards += frame->type == FRAME_DISCARD;
	counters->zeroes += frame->type == FRAME_ZEROES;
	counters->pings += frame->type == FRAME_PING;
	counters->write_bytes += frame->type == FRAME_WRITE ? frame->length : 0;
	counters->read_bytes += frame->type == FRAME_READ ? frame->length : 0;
}

static enum store_kind store_kind_of(const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_WRITE:
		return STORE_WRITE;
	case FRAME_READ:
		return STORE_READ;
	case FRAME_DISCARD:
		return STORE_PUNCH;
	default:
		return frame->flags & FRAME_F_NO_UNMAP ? STORE_ZERO : STORE_PUNCH;
	}
}

static void submit(struct served *served)
{
	struct store *store = served->replica->store;

	served->state = SERVED_STORING;
	served->op.kind = store_kind_of(&served->frame);
	served->op.durable = served->frame.flags & FRAME_F_FUA && !MUTANT(fua_ignored);
	served->op.offset = served->frame.offset;
	served->op.length = served->frame.length;
	served->op.data = served->buf ? served->buf->data : NULL;
	store->ops->submit(store, &served->op);
}

/* The change is wholly here: remembered as unstable, stamped if asked, then stored. */
static void start_change(struct served *served)
{
	struct replica *replica = served->replica;
	const struct frame *frame = &served->frame;

	if (replica->state == REPLICA_FAILED && !MUTANT(failed_replica_serves)) { /* while the payload was arriving */
		answer(served, WIRE_EIO);
		return;
	}
	/* A copy is no client's write: if it is lost, the replica is still syncing and is copied again. */
	if (!(frame->flags & FRAME_F_COPY))
		unstable_add(&replica->unstable, frame->wseq, frame->offset, frame->length);
	if (!(frame->flags & FRAME_F_STAMP)) {
		submit(served);
		return;
	}
	served->stamp_cycle = stamps_raise(&replica->stamps, frame->offset, frame->length, frame->gen);
	if (served->stamp_cycle <= replica->stamps.durable_cycle || MUTANT(data_before_stamp)) {
		submit(served);
		return;
	}
	served->state = SERVED_STAMPING;
	list_add_tail(&replica->session.stamping, &served->stamp_node);
	stamps_commit(&replica->stamps);
}

void session_stamps_advanced(struct replica *replica)
{
	struct list *it, *next;

	if (replica->stamps.failed)
		replica_fail(replica, "stamps", -EIO);
	list_for_each (it, next, &replica->session.stamping) {
		struct served *served = container_of(it, struct served, stamp_node);

		if (!replica->stamps.failed && served->stamp_cycle > replica->stamps.durable_cycle)
			continue;
		list_del(&served->stamp_node);
		if (replica->stamps.failed) {
			list_del(&served->node);
			answer(served, WIRE_EIO);
		} else {
			submit(served);
		}
	}
	voter_progress(replica);
}

/* Its writes come as frames of their own; a stale batch's are refused one by one, so that each has its answer. */
static void begin_batch(struct replica_lane *lane, const struct frame *frame)
{
	lane->batch = *frame;
	lane->batch_left = frame->length;
	if (admission_is_current(lane, frame->epoch, frame->session))
		unstable_prune(&lane->replica->unstable, frame->stable_upto);
}

/* A buffer for the payload of a WRITE or READ, or none needed. */
static bool take_buffer(struct served *served)
{
	struct store *store = served->replica->store;

	if (served->frame.type != FRAME_WRITE && served->frame.type != FRAME_READ)
		return true;
	if (served->lane->held_bytes >= LANE_BUFFER_BYTES_MAX)
		return false;
	served->buf = store->ops->buf_get(store, served->frame.length);
	if (!served->buf)
		return false;
	served->lane->held_bytes += served->buf->cap;
	return true;
}

static void start(struct served *served, struct served **ret)
{
	struct session *session = &served->replica->session;

	if (is_change(&served->frame))
		list_add_tail(&session->changes, &served->node);
	switch (served->frame.type) {
	case FRAME_WRITE:
		served->state = SERVED_RECEIVING;
		*ret = served;
		break;
	case FRAME_READ:
		submit(served);
		break;
	case FRAME_FLUSH:
		served->state = SERVED_WAITING;
		list_add_tail(&session->flushes, &served->node);
		advance(served->replica);
		break;
	case FRAME_PING:
		answer(served, WIRE_OK);
		break;
	default:
		start_change(served);
	}
}

static void leave_batch(struct replica_lane *lane, const struct frame *frame)
{
	if (lane->batch_left)
		lane->batch_left -= FRAME_BYTES + frame->length;
}

int session_frame(struct replica_lane *lane, const struct frame *frame, struct served **ret, const char **ret_reason)
{
	struct session *session = &lane->replica->session;
	struct served *served;
	enum wire_status status;

	*ret = NULL;
	*ret_reason = admission_forbidden(lane, frame);
	if (*ret_reason)
		return -EPROTO;
	if (frame->type == FRAME_BATCH) {
		begin_batch(lane, frame);
		return 0;
	}
	status = admission_status(lane, frame);
	if (status == WIRE_OK)
		unstable_prune(&lane->replica->unstable, frame->stable_upto);
	if (status != WIRE_OK && lane->role == REPLICA_LANE_MAIN) {
		answer_now(lane, frame, status);
		leave_batch(lane, frame);
		return 0;
	}
	served = served_get(lane, frame);
	if (!served)
		return -EAGAIN;
	if (status != WIRE_OK) {
		session->counters.refused++;
		answer(served, status);
		return 0;
	}
	if (!take_buffer(served)) {
		served_put(served);
		return -EAGAIN;
	}
	leave_batch(lane, frame);
	count(session, frame);
	start(served, ret);
	return 0;
}

void session_payload(struct served *served)
{
	assert(served->state == SERVED_RECEIVING);
	served->frame.checksum = payload_checksum(served->buf->data, served->frame.length);
	start_change(served);
}

/* A write that was to be durable and failed for another reason than space leaves unknown what is on the disk. */
static bool is_fatal(const struct store_op *op)
{
	return op->durable && !store_is_want_of_space(op->error);
}

/* The kernel tells of a failed sync once, to one of those who wait: the others' success says nothing then. */
static bool is_doubtful(const struct served *served)
{
	return served->op.durable && served->replica->state == REPLICA_FAILED && !MUTANT(failed_replica_serves);
}

static void store_done(struct store_op *op)
{
	struct served *served = container_of(op, struct served, op);
	enum wire_status status = wire_status_from_errno(op->error);

	if (op->error && is_fatal(op))
		replica_fail_data(served->replica, op->error);
	list_del(&served->node); /* no longer a change that a flush waits for */
	if (status == WIRE_OK && is_doubtful(served))
		status = WIRE_EIO;
	answer(served, MUTANT(store_error_ignored) ? WIRE_OK : status);
}

/* Flushes before which no change is running any more. */
static void gather_flushes(struct session *session)
{
	const struct served *oldest = list_first(&session->changes, struct served, node);
	struct list *it, *next;

	list_for_each (it, next, &session->flushes) {
		struct served *flush = container_of(it, struct served, node);

		if (oldest && oldest->arrival < flush->arrival && !MUTANT(flush_before_writes))
			break;
		list_del(&flush->node);
		list_add_tail(&session->syncing, &flush->node);
	}
}

static void answer_syncing(struct session *session, enum wire_status status)
{
	struct served *flush;

	while ((flush = list_first(&session->syncing, struct served, node))) {
		list_del(&flush->node);
		answer(flush, status);
	}
}

/* After anything finished: flushes that may go on, a drain that may be over. */
static void advance(struct replica *replica)
{
	struct session *session = &replica->session;

	voter_progress(replica);
	if (!session->sync_running)
		gather_flushes(session);
	if (MUTANT(flush_joins_running_sync))
		gather_flushes(session);
	if (!session->sync_running && !list_is_empty(&session->syncing)) {
		session->sync_running = true;
		session->sync.kind = STORE_SYNC;
		replica->store->ops->submit(replica->store, &session->sync);
	}
	if (session->state == SESSION_DRAINING && session_is_quiet(session)) {
		session->state = SESSION_CLOSED;
		replica_session_drained(replica);
	} else if (replica->stopping) {
		replica_stop_progress(replica);
	}
}

static void sync_done(struct store_op *op)
{
	struct session *session = container_of(op, struct session, sync);
	struct replica *replica = container_of(session, struct replica, session);
	int error = op->error;

	if (error)
		replica_fail_data(replica, error);
	/* Whatever failed before: a replica that is failed has no durable answer to give. */
	answer_syncing(session, replica->state == REPLICA_FAILED && !MUTANT(fsync_error_ignored) &&
						!MUTANT(failed_replica_serves)
					? WIRE_EIO
					: WIRE_OK);
	session->sync_running = false; /* only now: advance() must not mistake those being answered for new ones */
	advance(replica);
}

static void detach(struct session *session, struct replica_lane *lane)
{
	if (session->main == lane)
		session->main = NULL;
	if (session->bulk == lane)
		session->bulk = NULL;
}

void session_drain(struct replica *replica, struct replica_lane *except, const char *reason)
{
	struct session *session = &replica->session;
	struct replica_lane *lanes[2] = {session->main, session->bulk};

	session->state = SESSION_DRAINING;
	if (MUTANT(session_not_drained)) {
		session->state = SESSION_CLOSED;
		session->main = session->bulk = NULL;
		replica_session_drained(replica);
		return;
	}
	for (unsigned i = 0; i < ARRAY_COUNT(lanes); i++) {
		if (lanes[i] && (lanes[i] == except || MUTANT(no_session_fence)))
			detach(session, lanes[i]);
		else if (lanes[i] && !lanes[i]->ending)
			lanes[i]->ops->close(lanes[i], reason);
	}
	advance(replica);
}

/* Half a write is no write; what the store holds goes on without an addressee. */
static void orphan(struct served *served)
{
	leave_lane(served);
	if (served->state == SERVED_RECEIVING && MUTANT(half_write_applied))
		start_change(served);
	else if (served->state == SERVED_RECEIVING || served->state == SERVED_ANSWERED)
		served_put(served);
}

void session_lane_closed(struct replica_lane *lane)
{
	struct replica *replica = lane->replica;
	struct served *served;

	detach(&replica->session, lane);
	while ((served = list_first(&lane->requests, struct served, lane_node)))
		orphan(served);
	advance(replica);
}
