/* PROMISE, ACCEPT, OPEN, JOIN and SEED of one replica, one at a time (replication.md R1, R2). Must not know connections
 * or files. Not on a request's path: what is answered here decides whose requests session.c serves. */
#include "replica-server/core/control.h"

#include <errno.h>
#include <string.h>

#include "common/mutant.h"

static void control_next(struct replica *replica);
static void control_drained(struct replica *replica);
static void control_persisted(struct replica *replica, int error);

/* -- Answers -- */

static void send_message(struct replica_lane *lane, const struct message *message)
{
	if (lane && !lane->ending)
		lane->ops->message(lane, message);
}

void control_send_state(struct replica *replica, struct replica_lane *lane)
{
	struct message message = {.kind = MESSAGE_STATE};
	struct message_state *state = &message.state;

	replica->told = lane;
	state->promised = replica->sb.promised;
	state->incarnation = replica->server->incarnation;
	state->boot_id = replica->boot_id;
	state->lease_left_ms = voter_lease_left_ms(replica);
	state->list_is_everything = unstable_is_everything(&replica->unstable);
	state->unstable_extents = unstable_count(&replica->unstable);
	state->life = replica->sb.life;
	state->is_blank = superblock_is_blank(&replica->sb);
	state->config = replica->sb.config;
	send_message(lane, &message);
}

static void send_opened(const struct replica *replica, struct replica_lane *lane, enum message_kind kind)
{
	struct message message = {.kind = kind};

	message.opened.session = replica->session.number;
	message.opened.incarnation = replica->server->incarnation;
	message.opened.boot_id = replica->boot_id;
	send_message(lane, &message);
}

/* -- The queue -- */

static bool ballot_equal(const struct ballot *a, const struct ballot *b)
{
	return a->epoch == b->epoch && (a->nonce == b->nonce || MUTANT(nonce_ignored));
}

/* A blank one's is no vote, and otherwise the same. */
static bool is_promise(enum message_kind kind)
{
	return kind == MESSAGE_PROMISE || kind == MESSAGE_CLAIM;
}

/* NULL: the promise stands and was given. Else why nothing may be done under this ballot. */
static const char *ballot_misfit(const struct replica *replica, const struct ballot *asked, enum refusal *ret)
{
	const struct ballot *promised = &replica->sb.promised;
	bool is_being_given = replica->control_running && is_promise(replica->control.kind);

	*ret = REFUSAL_NOT_PROMISED;
	if (ballot_equal(asked, promised) && asked->epoch)
		return is_being_given ? "this epoch is being promised; wait for the answer" : NULL;
	if (asked->epoch > promised->epoch || asked->epoch == 0)
		return "this epoch was never promised here; ask for a promise first";
	*ret = REFUSAL_STALE_EPOCH;
	return "a higher epoch, or the same of another attachment, was promised; this attachment is over";
}

/* PROMISE, ACCEPT, HEARTBEAT and SEED are a voter's; the rest needs data. */
static bool is_about_data(enum message_kind kind)
{
	return !is_promise(kind) && kind != MESSAGE_ACCEPT && kind != MESSAGE_HEARTBEAT && kind != MESSAGE_SEED;
}

/* What a replica whose disk failed can no longer do; its memory is as good as ever. */
static bool needs_disk(enum message_kind kind)
{
	return kind == MESSAGE_OPEN || kind == MESSAGE_JOIN || kind == MESSAGE_STAMP || kind == MESSAGE_DIGEST;
}

enum refusal control_judge(const struct replica *replica, enum message_kind kind, const struct ballot *ballot,
			   const char **ret_why)
{
	enum refusal refusal = REFUSAL_NONE;

	if (replica->identity.is_witness && is_about_data(kind)) {
		*ret_why = "it is a witness and holds no data; the gateway is faulty";
		return REFUSAL_ORDER;
	}
	if (replica->superblock_failed || (replica->state == REPLICA_FAILED && needs_disk(kind))) {
		*ret_why = replica->health;
		return REFUSAL_STORE;
	}
	/* What the directory before it promised and accepted is forgotten: until a config that a majority chose without
	 * it says otherwise, it says nothing. A claim is no vote; it keeps older attachments from seeding it. */
	if (superblock_is_blank(&replica->sb) && kind != MESSAGE_SEED && kind != MESSAGE_CLAIM) {
		*ret_why = "its directory is new, made to replace one that was lost, and has no vote yet; an attached "
			   "gateway gives it one";
		return REFUSAL_BLANK;
	}
	if (is_promise(kind)) /* run_promise() compares */
		return REFUSAL_NONE;
	if (MUTANT(fenced_gateway_keeps_lease) && kind == MESSAGE_HEARTBEAT)
		return REFUSAL_NONE;
	if (MUTANT(accept_without_promise) && kind == MESSAGE_ACCEPT)
		return REFUSAL_NONE;
	*ret_why = ballot_misfit(replica, ballot, &refusal);
	return *ret_why ? refusal : REFUSAL_NONE;
}

void control_message(struct replica_lane *lane, const struct message *message)
{
	struct control_request *control = &lane->control;

	control->kind = message->kind;
	if (is_promise(message->kind))
		control->ballot = message->promise.ballot;
	if (message->kind == MESSAGE_ACCEPT || message->kind == MESSAGE_SEED) {
		control->ballot = message->accept.ballot;
		control->config = message->accept.config;
	}
	if (message->kind == MESSAGE_OPEN || message->kind == MESSAGE_JOIN) {
		control->ballot = message->open.ballot;
		control->session = message->open.session;
	}
	lane->control_pending = true;
	lane->data_blocked = message->kind != MESSAGE_ACCEPT && message->kind != MESSAGE_SEED;
	lane->control_deferred = lane->voter_count > 0;
	if (!lane->control_deferred)
		control_queue(lane);
}

void control_queue(struct replica_lane *lane)
{
	list_add_tail(&lane->replica->control_queue, &lane->control_node);
	control_next(lane->replica);
}

/* The running request is answered or refused: on to the next. */
static void control_end(struct replica *replica)
{
	if (replica->control_lane) {
		replica->control_lane->control_pending = false;
		replica->control_lane->data_blocked = false;
	}
	replica->control_running = false;
	replica->control_lane = NULL;
	replica->changed(replica);
	if (replica->stopping)
		replica_stop_progress(replica);
	else
		control_next(replica);
}

static void control_refuse(struct replica *replica, enum refusal refusal, const char *why)
{
	if (replica->control_lane)
		lane_refuse(replica->control_lane, refusal, &replica->sb.promised, "replica of volume %s: %s",
			    replica->identity.volume_name, why);
	control_end(replica);
}

static void run_promise(struct replica *replica)
{
	const struct ballot *asked = &replica->control.ballot;
	struct ballot *promised = &replica->sb.promised;

	if (ballot_equal(asked, promised) && asked->epoch) {
		control_send_state(replica, replica->control_lane);
		control_end(replica);
		return;
	}
	if (asked->epoch <= promised->epoch && !MUTANT(promise_goes_back)) {
		control_refuse(replica, REFUSAL_STALE_EPOCH,
			       "a promise of this epoch or a higher one was given to another attachment; "
			       "attach again with a higher epoch");
		return;
	}
	/* From here on nothing older is executed, even if the promise never becomes durable. */
	*promised = *asked;
	replica->last_session = 0;
	if (MUTANT(promise_clears_lease))
		replica->desk.lease_until_ns = 0;
	if (MUTANT(promise_before_drain)) {
		replica_write_superblock(replica, control_persisted);
		return;
	}
	session_drain(replica, replica->control_lane, "a higher epoch was promised");
}

/* NULL, or what is wrong with the config beyond what config_decode() checked. */
static const char *config_misfit(const struct replica *replica)
{
	const struct config *ours = &replica->sb.config, *asked = &replica->control.config;
	const struct voter *self = config_voter(asked, &replica->identity.replica_uuid);
	uint8_t a[CONFIG_BYTES_MAX], b[CONFIG_BYTES_MAX];
	int order = config_compare(asked, ours), a_bytes, b_bytes;

	if (!uuid_equal(&asked->volume_uuid, &ours->volume_uuid) || !uuid_equal(&asked->set_uuid, &ours->set_uuid) ||
	    asked->set_index != ours->set_index || asked->set_count != ours->set_count)
		return "the config is of another set; correct the volume's file";
	if (asked->block_bytes != ours->block_bytes || asked->chunk_bytes != ours->chunk_bytes ||
	    asked->set_bytes != ours->set_bytes || asked->volume_bytes != ours->volume_bytes)
		return "the config has another geometry; correct the volume's file";
	if (!self)
		return "this replica is not a voter of the config; correct the volume's file";
	if ((self->kind == VOTER_WITNESS) != replica->identity.is_witness)
		return "the config takes a replica for a witness, or a witness for a replica; correct the volume's "
		       "file";
	if (replica->control.kind == MESSAGE_ACCEPT && self->life != replica->sb.life && !MUTANT(old_directory_votes))
		return "the config gives this replica's vote to another directory, made to replace this one; remove "
		       "or move away the old directory";
	if (!ballot_equal(&asked->ballot, &replica->control.ballot))
		return "the config names another attachment than the one that proposes it; the gateway is faulty";
	if (order < 0)
		return "a newer config was accepted already; attach again";
	a_bytes = config_encode(asked, a, sizeof(a));
	b_bytes = config_encode(ours, b, sizeof(b));
	if (a_bytes < 0)
		return "the config does not fit its limits; the gateway is faulty";
	if (order == 0 && (a_bytes != b_bytes || memcmp(a, b, (size_t)a_bytes) != 0))
		return "another config with the same gen was accepted already; the gateway is faulty";
	return NULL;
}

static void run_accept(struct replica *replica)
{
	const char *misfit = config_misfit(replica);

	if (misfit) {
		control_refuse(replica, REFUSAL_BAD_CONFIG, misfit);
		return;
	}
	replica->sb.config = replica->control.config;
	if (MUTANT(accept_not_durable))
		control_persisted(replica, 0);
	else
		replica_write_superblock(replica, control_persisted);
}

/* NULL, or why this config gives a blank directory no vote. */
static const char *seed_misfit(const struct replica *replica)
{
	const struct config *asked = &replica->control.config;
	const struct voter *self = config_voter(asked, &replica->identity.replica_uuid);
	const char *misfit = config_misfit(replica);

	if (misfit)
		return misfit;
	if (self->life == 0)
		return "the config says nothing of a new directory; the gateway is faulty";
	if (self->kind == VOTER_REPLICA && (self->state != VOTER_OUT || self->compare != COMPARE_EVERYTHING))
		return "the config does not say that everything is to be copied to this replica; the gateway is faulty";
	return NULL;
}

/* From here on it is a voter again: as one that promised this ballot and stored this config, and that may have granted
 * a lease until now. One write, so that a crash leaves it blank or a voter. */
static void run_seed(struct replica *replica)
{
	const char *misfit;

	if (!superblock_is_blank(&replica->sb)) {
		control_refuse(replica, REFUSAL_ORDER,
			       "its directory is not blank, it has its vote; the gateway is faulty");
		return;
	}
	/* On a connection that was lost at the gateway's end: who was told since that it is blank names another life.
	 */
	if ((replica->told != replica->control_lane || !replica->told) && !MUTANT(late_seed_taken)) {
		control_refuse(replica, REFUSAL_ORDER, "another connection was told since that its directory is blank");
		return;
	}
	misfit = seed_misfit(replica);
	if (misfit) {
		control_refuse(replica, REFUSAL_BAD_CONFIG, misfit);
		return;
	}
	replica->sb.incompat &= ~SUPERBLOCK_INCOMPAT_BLANK;
	replica->sb.config = replica->control.config;
	replica->sb.life = config_voter(&replica->sb.config, &replica->identity.replica_uuid)->life;
	voter_assume_lease(replica);
	replica_write_superblock(replica, control_persisted);
}

static void run_open(struct replica *replica)
{
	if (replica->control.session <= replica->last_session) {
		control_refuse(replica, REFUSAL_STALE_SESSION,
			       "a session with this number or a higher one was opened; open with a higher number");
		return;
	}
	replica->last_session = replica->control.session;
	session_drain(replica, replica->control_lane, "a newer session was opened");
}

static void run_join(struct replica *replica)
{
	struct session *session = &replica->session;

	if (session->state != SESSION_OPEN || !session->main || session->number != replica->control.session) {
		control_refuse(replica, REFUSAL_STALE_SESSION, "this session is not open here; open it first");
		return;
	}
	if (session->bulk) {
		control_refuse(replica, REFUSAL_ORDER, "the session has a bulk lane already; open a new session");
		return;
	}
	if (replica->control_lane && !replica->control_lane->ending) {
		session->bulk = replica->control_lane;
		send_opened(replica, replica->control_lane, MESSAGE_JOINED);
	}
	control_end(replica);
}

static void mark_written(struct replica *replica, int error)
{
	(void)error; /* it has been told */
	control_end(replica);
}

/* Between two requests, as one of nobody's. */
static void run_mark(struct replica *replica)
{
	replica->control_running = true;
	replica->control_lane = NULL;
	replica->control.kind = MESSAGE_ACCEPTED; /* no request has this kind */
	replica_write_superblock(replica, mark_written);
}

void control_mark(struct replica *replica)
{
	control_next(replica);
}

static void control_next(struct replica *replica)
{
	struct replica_lane *lane;
	enum refusal refusal;
	const char *why = NULL;

	if (replica->control_running || replica->stopping)
		return;
	if (replica->mark == MARK_DUE && !replica->superblock_failed) {
		run_mark(replica);
		return;
	}
	if (list_is_empty(&replica->control_queue))
		return;
	lane = list_first(&replica->control_queue, struct replica_lane, control_node);
	list_del(&lane->control_node);
	replica->control_running = true;
	replica->control_lane = lane;
	replica->control = lane->control;
	refusal = control_judge(replica, replica->control.kind, &replica->control.ballot, &why);
	if (refusal) {
		control_refuse(replica, refusal, why);
		return;
	}
	switch (replica->control.kind) {
	case MESSAGE_PROMISE:
	case MESSAGE_CLAIM:
		run_promise(replica);
		break;
	case MESSAGE_ACCEPT:
		run_accept(replica);
		break;
	case MESSAGE_OPEN:
		run_open(replica);
		break;
	case MESSAGE_SEED:
		run_seed(replica);
		break;
	default:
		run_join(replica);
	}
}

void replica_session_drained(struct replica *replica)
{
	control_drained(replica); /* only a running PROMISE or OPEN drains */
}

/* The older session has no request and no connection left. */
static void control_drained(struct replica *replica)
{
	/* It may have failed while draining. */
	if (replica->superblock_failed || (replica->state == REPLICA_FAILED && replica->control.kind == MESSAGE_OPEN)) {
		control_refuse(replica, REFUSAL_STORE, replica->health);
		return;
	}
	if (is_promise(replica->control.kind) && MUTANT(promise_not_durable)) {
		control_persisted(replica, 0);
		return;
	}
	if (is_promise(replica->control.kind)) {
		replica_write_superblock(replica, control_persisted);
		return;
	}
	if (replica->control_lane && !replica->control_lane->ending) {
		session_open(&replica->session, replica->control.ballot, replica->control.session,
			     replica->control_lane);
		unstable_epoch(&replica->unstable, replica->control.ballot.epoch);
		send_opened(replica, replica->control_lane, MESSAGE_OPENED);
	}
	control_end(replica);
}

static void control_persisted(struct replica *replica, int error)
{
	struct message message = {.kind = MESSAGE_ACCEPTED};

	if (error) {
		replica_fail(replica, "superblock", error);
		control_refuse(replica, REFUSAL_STORE, replica->health);
		return;
	}
	if (is_promise(replica->control.kind)) {
		control_send_state(replica, replica->control_lane);
	} else if (replica->control.kind == MESSAGE_SEED) {
		message.kind = MESSAGE_SEEDED;
		send_message(replica->control_lane, &message);
	} else {
		message.accepted.gen = replica->sb.config.gen;
		send_message(replica->control_lane, &message);
	}
	control_end(replica);
}
