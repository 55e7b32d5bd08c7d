/* Heartbeats, lists, stamps and digests of one replica. Must not know connections or files. Not on a request's path,
 * but beside it: what is asked here decides which regions a returning replica must be given. */
#include "replica-server/core/voter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/mutant.h"
#include "replica-server/core/control.h"
#include "replica-server/core/regions.h"

static void lane_advance(struct replica_lane *lane);
static void store_done(struct store_op *op);

int voter_desk_init(struct voter_desk *desk, uint64_t region_count)
{
	*desk = (struct voter_desk){0};
	list_init(&desk->free);
	list_init(&desk->waiting);
	desk->all = calloc(REPLICA_VOTER_MAX, sizeof(*desk->all));
	if (region_count)
		desk->marks = calloc(regions_mark_words(region_count), sizeof(*desk->marks));
	if (!desk->all || (region_count && !desk->marks)) {
		voter_desk_fini(desk);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < REPLICA_VOTER_MAX; i++) {
		list_init(&desk->all[i].node);
		list_init(&desk->all[i].wait_node);
		list_add_tail(&desk->free, &desk->all[i].node);
	}
	return 0;
}

void voter_desk_fini(struct voter_desk *desk)
{
	free(desk->all);
	free(desk->marks);
	*desk = (struct voter_desk){0};
}

static void put(struct voter_request *request)
{
	struct replica *replica = request->replica;

	if (request->lane)
		request->lane->voter_count--;
	request->lane = NULL;
	list_del(&request->node);
	list_del(&request->wait_node);
	list_add_tail(&replica->desk.free, &request->node);
	replica->desk.inflight--;
	if (replica->stopping)
		replica_stop_progress(replica);
}

/* -- Answers -- */

uint32_t voter_lease_left_ms(const struct replica *replica)
{
	uint64_t from_start_ns = replica->server->started_ns + VOTER_LEASE_NS, until_ns = replica->desk.lease_until_ns;
	uint64_t left_ns;

	until_ns = from_start_ns > until_ns && !MUTANT(restarted_voter_knows_no_lease) ? from_start_ns : until_ns;
	if (until_ns <= replica->now_ns)
		return 0;
	/* Never more than is granted, whichever moment `now` is of: a gateway takes more for nonsense. */
	left_ns = until_ns - replica->now_ns;
	left_ns = left_ns < VOTER_LEASE_NS ? left_ns : VOTER_LEASE_NS;
	return (uint32_t)((left_ns + 999999) / 1000000);
}

void voter_assume_lease(struct replica *replica)
{
	if (!MUTANT(seeded_knows_no_lease))
		replica->desk.lease_until_ns = replica->now_ns + VOTER_LEASE_NS;
}

static void send_empty(struct replica_lane *lane, enum message_kind kind)
{
	struct message message = {.kind = kind};

	lane->ops->message(lane, &message);
}

static void send_regions(struct voter_request *request)
{
	struct replica *replica = request->replica;
	struct message message = {.kind = MESSAGE_REGIONS};

	if (request->kind == MESSAGE_LIST_REGIONS)
		regions_of_list(&replica->unstable, replica->stamps.region_count, request->from, replica->desk.marks,
				&message.regions);
	else
		regions_of_stamps(&replica->stamps, request->from, request->above_gen, &message.regions);
	request->lane->ops->message(request->lane, &message);
}

static void send_digested(struct voter_request *request)
{
	struct message message = {.kind = MESSAGE_DIGESTED};

	message.digested.offset = request->offset;
	message.digested.count = (request->length + DIGEST_PIECE_BYTES - 1) / DIGEST_PIECE_BYTES;
	memcpy(message.digested.digests, request->digests, sizeof(message.digested.digests));
	request->lane->ops->message(request->lane, &message);
}

static void refuse(struct replica_lane *lane, enum refusal refusal, const char *why)
{
	lane_refuse(lane, refusal, &lane->replica->sb.promised, "replica of volume %s: %s",
		    lane->replica->identity.volume_name, why);
}

/* Once more when the answer is due: what was asked under a promise that is over must not look granted. */
static bool refuse_stale(struct voter_request *request)
{
	struct replica *replica = request->replica;
	const char *why;
	enum refusal refusal = control_judge(replica, request->kind, &request->ballot, &why);

	if (refusal)
		refuse(request->lane, refusal, why);
	else if (request->error)
		refuse(request->lane, REFUSAL_STORE,
		       "its data cannot be read for comparing; check the disk, see the server's log");
	return refusal || request->error;
}

static void answer(struct voter_request *request)
{
	struct replica *replica = request->replica;
	struct replica_lane *lane = request->lane;

	switch (request->kind) {
	case MESSAGE_HEARTBEAT:
		replica->desk.lease_until_ns = replica->now_ns + VOTER_LEASE_NS;
		send_empty(lane, MESSAGE_BEAT);
		break;
	case MESSAGE_LIST_REGIONS:
	case MESSAGE_STAMPED_REGIONS:
		send_regions(request);
		break;
	case MESSAGE_STAMP:
		send_empty(lane, MESSAGE_STAMPED);
		break;
	case MESSAGE_DIGEST:
		send_digested(request);
		break;
	case MESSAGE_FORGET:
		unstable_forget_older(&replica->unstable);
		send_empty(lane, MESSAGE_FORGOTTEN);
		break;
	default:
		control_send_state(replica, lane);
	}
}

/* Answers in order what is ready; then it is the turn of a PROMISE, ACCEPT or OPEN that came last. */
static void lane_advance(struct replica_lane *lane)
{
	struct voter_request *request;

	while ((request = list_first(&lane->voters, struct voter_request, node)) && request->stage == VOTER_TURN) {
		if (!lane->ending && (request->kind == MESSAGE_PROBE || !refuse_stale(request)))
			answer(request);
		put(request);
	}
	if (!request && lane->control_deferred) {
		lane->control_deferred = false;
		control_queue(lane);
	}
}

/* -- What waits for the store -- */

/* Is a change still running that came before it? */
static bool awaits_changes(const struct voter_request *request)
{
	const struct served *oldest = list_first(&request->replica->session.changes, struct served, node);

	return oldest && oldest->arrival <= request->arrival && !MUTANT(stamp_syncs_before_writes);
}

static void submit(struct voter_request *request, enum store_kind kind)
{
	struct store *store = request->replica->store;

	request->stage = VOTER_STORING;
	request->op = (struct store_op){.kind = kind, .done = store_done};
	if (kind == STORE_DIGEST) {
		request->op.offset = request->offset;
		request->op.length = request->length;
		request->op.data = request->digests[0];
	}
	store->ops->submit(store, &request->op);
}

/* One step of a STAMP, as far as it goes now. */
static void stamp_step(struct voter_request *request)
{
	struct stamps *stamps = &request->replica->stamps;

	if (request->stage == VOTER_STAMPING && !stamps->failed && request->stamp_cycle > stamps->durable_cycle &&
	    !MUTANT(stamped_before_durable))
		return;
	request->stage = request->sync && !stamps->failed && !MUTANT(stamp_does_not_sync) ? VOTER_CHANGES : VOTER_TURN;
	if (request->stage == VOTER_CHANGES && awaits_changes(request))
		return;
	list_del(&request->wait_node);
	if (request->stage == VOTER_CHANGES)
		submit(request, STORE_SYNC);
}

/* True: something was answered, and what that led to may have changed the list. */
static bool progress_one(struct replica *replica)
{
	struct list *it, *next;

	list_for_each (it, next, &replica->desk.waiting) {
		struct voter_request *request = container_of(it, struct voter_request, wait_node);

		stamp_step(request);
		if (request->stage == VOTER_TURN) {
			lane_advance(request->lane);
			return true;
		}
	}
	return false;
}

void voter_progress(struct replica *replica)
{
	while (progress_one(replica))
		continue;
}

static void store_done(struct store_op *op)
{
	struct voter_request *request = container_of(op, struct voter_request, op);
	struct replica_lane *lane = request->lane;

	request->stage = VOTER_TURN;
	request->error = op->error;
	if (op->error && op->kind == STORE_SYNC)
		replica_fail_data(request->replica, op->error);
	if (lane)
		lane_advance(lane);
	else
		put(request);
}

static void begin_stamp(struct voter_request *request, const struct message_stamp *stamp)
{
	struct replica *replica = request->replica;

	for (uint32_t i = 0; i < stamp->count; i++) {
		uint64_t cycle = stamps_raise_regions(&replica->stamps, stamp->runs[i].first, stamp->runs[i].count,
						      stamp->runs[i].gen);

		request->stamp_cycle = cycle > request->stamp_cycle ? cycle : request->stamp_cycle;
	}
	request->sync = stamp->sync;
	request->arrival = replica->session.arrivals;
	request->stage = VOTER_STAMPING;
	list_add_tail(&replica->desk.waiting, &request->wait_node);
	stamps_commit(&replica->stamps);
	stamp_step(request);
}

/* -- Messages -- */

bool voter_takes(enum message_kind kind)
{
	switch (kind) {
	case MESSAGE_PROBE:
	case MESSAGE_HEARTBEAT:
	case MESSAGE_LIST_REGIONS:
	case MESSAGE_STAMPED_REGIONS:
	case MESSAGE_STAMP:
	case MESSAGE_DIGEST:
	case MESSAGE_FORGET:
		return true;
	default:
		return false;
	}
}

static struct ballot ballot_of(const struct message *message)
{
	switch (message->kind) {
	case MESSAGE_HEARTBEAT:
	case MESSAGE_FORGET:
		return message->promise.ballot;
	case MESSAGE_STAMP:
		return message->stamp.ballot;
	case MESSAGE_DIGEST:
		return message->digest.ballot;
	case MESSAGE_PROBE:
		return (struct ballot){0};
	default:
		return message->regions_ask.ballot;
	}
}

/* NULL, or what the codec could not know to be wrong. */
static const char *misfit(const struct replica *replica, const struct message *message)
{
	uint64_t set_bytes = replica->identity.set_bytes;

	if (message->kind == MESSAGE_STAMP) {
		for (uint32_t i = 0; i < message->stamp.count; i++)
			if (message->stamp.runs[i].first + message->stamp.runs[i].count > replica->stamps.region_count)
				return "a stamp beyond the end of the set; the gateway is faulty";
	}
	if (message->kind == MESSAGE_DIGEST) {
		const struct message_digest *digest = &message->digest;

		if (digest->offset > set_bytes || digest->length > set_bytes - digest->offset)
			return "a digest beyond the end of the set; the gateway is faulty";
		if (digest->length % DIGEST_PIECE_BYTES && digest->offset + digest->length != set_bytes)
			return "a digest that ends inside a piece; the gateway is faulty";
	}
	return NULL;
}

static struct voter_request *get(struct replica_lane *lane, const struct message *message)
{
	struct replica *replica = lane->replica;
	struct voter_request *request = list_first(&replica->desk.free, struct voter_request, node);

	if (!request)
		return NULL;
	list_del(&request->node);
	*request = (struct voter_request){
		.replica = replica, .lane = lane, .kind = message->kind, .ballot = ballot_of(message)};
	list_init(&request->node);
	list_init(&request->wait_node);
	list_add_tail(&lane->voters, &request->node);
	lane->voter_count++;
	replica->desk.inflight++;
	return request;
}

static void begin(struct voter_request *request, const struct message *message)
{
	switch (message->kind) {
	case MESSAGE_LIST_REGIONS:
	case MESSAGE_STAMPED_REGIONS:
		request->from = message->regions_ask.from;
		request->above_gen = message->regions_ask.above_gen;
		break;
	case MESSAGE_STAMP:
		begin_stamp(request, &message->stamp);
		break;
	case MESSAGE_DIGEST:
		request->offset = message->digest.offset;
		request->length = message->digest.length;
		submit(request, STORE_DIGEST);
		break;
	default:
		break; /* nothing to prepare */
	}
}

void voter_message(struct replica_lane *lane, const struct message *message)
{
	struct replica *replica = lane->replica;
	struct ballot ballot = ballot_of(message);
	const char *why = NULL;
	enum refusal refusal = REFUSAL_NONE;
	struct voter_request *request;

	assert(lane->voter_count < LANE_VOTER_MAX);
	if (message->kind != MESSAGE_PROBE)
		refusal = control_judge(replica, message->kind, &ballot, &why);
	if (!refusal && (why = misfit(replica, message)))
		refusal = REFUSAL_MALFORMED;
	if (refusal) {
		refuse(lane, refusal, why);
		return;
	}
	request = get(lane, message);
	if (!request) {
		refuse(lane, REFUSAL_LIMIT, "too many connections ask it at the same time; try again");
		return;
	}
	begin(request, message);
	lane_advance(lane);
}

void voter_lane_closed(struct replica_lane *lane)
{
	struct voter_request *request;

	while ((request = list_first(&lane->voters, struct voter_request, node))) {
		list_del(&request->node);
		list_del(&request->wait_node);
		lane->voter_count--;
		request->lane = NULL;
		if (request->stage != VOTER_STORING)
			put(request);
	}
}
