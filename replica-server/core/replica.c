/* Promise, accept, open, join: the replica's side of the config register and of fencing. Must not know connections or files.
 * Not on a request's path: it decides whose requests session.c may serve, and answers only what is durable. */
#include "replica-server/core/replica.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static void control_next(struct replica *replica);
static void control_drained(struct replica *replica);
static void control_persisted(struct replica *replica, int error);
static void meta_done(struct store_op *op);
static void stop_next(struct replica *replica);

/* -- Life -- */

static void stamps_advanced(struct stamps *stamps)
{
	session_stamps_advanced(container_of(stamps, struct replica, stamps));
}

void replica_identity_of(const struct superblock *sb, struct replica_identity *ret)
{
	memcpy(ret->volume_name, sb->volume_name, sizeof(ret->volume_name));
	ret->volume_uuid = sb->config.volume_uuid;
	ret->set_uuid = sb->config.set_uuid;
	ret->replica_uuid = sb->replica_uuid;
	ret->set_index = sb->config.set_index;
	ret->block_bytes = sb->config.block_bytes;
	ret->set_bytes = sb->config.set_bytes;
}

int replica_init(struct replica *replica, const struct superblock *sb, const struct replica_options *options)
{
	*replica = (struct replica){
		.server = options->server,
		.store = options->store,
		.pool = options->pool,
		.changed = options->changed,
		.stopped = options->stopped,
		.sb = *sb,
		.health = "ok",
	};
	replica_identity_of(sb, &replica->identity);
	list_init(&replica->lanes);
	list_init(&replica->control_queue);
	session_init(&replica->session);
	replica->meta.done = meta_done;
	replica->slot_image = aligned_alloc(4096, SUPERBLOCK_SLOT_BYTES);
	if (!replica->slot_image || unstable_init(&replica->unstable, options->unstable_extents) ||
	    stamps_init(&replica->stamps, sb->config.set_bytes, options->store, stamps_advanced)) {
		replica_fini(replica);
		return -ENOMEM;
	}
	return 0;
}

void replica_fini(struct replica *replica)
{
	stamps_fini(&replica->stamps);
	unstable_fini(&replica->unstable);
	free(replica->slot_image);
	replica->slot_image = NULL;
}

/* -- Identity -- */

static enum refusal refuse_hello(struct message_refused *ret, enum refusal refusal, const char *format, ...)
	printf_like(3, 4);
static enum refusal refuse_hello(struct message_refused *ret, enum refusal refusal, const char *format, ...)
{
	va_list args;

	*ret = (struct message_refused){ .refusal = refusal };
	va_start(args, format);
	(void)vsnprintf(ret->text, sizeof(ret->text), format, args);
	va_end(args);
	return refusal;
}

enum refusal replica_check_hello(const struct replica_identity *identity, const struct message_hello *hello,
				 struct message_refused *ret)
{
	char ours[UUID_CHARS + 1], theirs[UUID_CHARS + 1];

	if (!uuid_equal(&identity->volume_uuid, &hello->volume_uuid)) {
		uuid_format(&identity->volume_uuid, ours);
		uuid_format(&hello->volume_uuid, theirs);
		return refuse_hello(ret, REFUSAL_WRONG_VOLUME,
				    "replica of volume %s: it belongs to volume %s, not to %s; correct the volume's file",
				    identity->volume_name, ours, theirs);
	}
	if (!uuid_equal(&identity->set_uuid, &hello->set_uuid)) {
		uuid_format(&identity->set_uuid, ours);
		uuid_format(&hello->set_uuid, theirs);
		return refuse_hello(ret, REFUSAL_WRONG_SET,
				    "replica of volume %s: it belongs to set %s, not to %s; correct the volume's file",
				    identity->volume_name, ours, theirs);
	}
	return REFUSAL_NONE;
}

/* -- Answers -- */

void lane_refuse(struct lane *lane, enum refusal refusal, const struct ballot *seen, const char *format, ...)
{
	struct message message = { .kind = MESSAGE_REFUSED };
	va_list args;

	if (lane->ending)
		return;
	message.refused.refusal = refusal;
	if (seen)
		message.refused.seen = *seen;
	va_start(args, format);
	(void)vsnprintf(message.refused.text, sizeof(message.refused.text), format, args);
	va_end(args);
	lane->control_pending = false;
	lane->ops->message(lane, &message);
	lane->ops->finish(lane);
}

static void send_message(struct lane *lane, const struct message *message)
{
	if (lane && !lane->ending)
		lane->ops->message(lane, message);
}

static void send_state(const struct replica *replica, struct lane *lane)
{
	struct message message = { .kind = MESSAGE_STATE };
	struct message_state *state = &message.state;

	state->promised = replica->sb.promised;
	state->incarnation = replica->server->incarnation;
	state->boot_id = replica->server->boot_id;
	state->list_is_everything = unstable_is_everything(&replica->unstable);
	state->unstable_extents = unstable_count(&replica->unstable);
	state->config = replica->sb.config;
	send_message(lane, &message);
}

static void send_opened(const struct replica *replica, struct lane *lane, enum message_kind kind)
{
	struct message message = { .kind = kind };

	message.opened.session = replica->session.number;
	message.opened.incarnation = replica->server->incarnation;
	message.opened.boot_id = replica->server->boot_id;
	send_message(lane, &message);
}

/* -- Lanes -- */

void replica_lane_attach(struct replica *replica, struct lane *lane)
{
	lane->replica = replica;
	lane->control_pending = false;
	lane->ending = false;
	lane->batch_left = 0;
	lane->request_count = 0;
	lane->held_bytes = 0;
	list_init(&lane->requests);
	list_init(&lane->control_node);
	list_init(&lane->node);
	list_add_tail(&replica->lanes, &lane->node);
}

void replica_lane_closed(struct lane *lane)
{
	struct replica *replica = lane->replica;

	list_del(&lane->node);
	list_del(&lane->control_node);
	if (replica->control_lane == lane)
		replica->control_lane = NULL;
	session_lane_closed(lane);
	replica->changed(replica);
	if (replica->stopping)
		stop_next(replica);
}

/* -- Control messages -- */

static bool ballot_equal(const struct ballot *a, const struct ballot *b)
{
	return a->epoch == b->epoch && a->nonce == b->nonce;
}

static void queue_control(struct lane *lane, const struct message *message)
{
	struct control_request *control = &lane->control;

	control->kind = message->kind;
	if (message->kind == MESSAGE_PROMISE)
		control->ballot = message->promise.ballot;
	if (message->kind == MESSAGE_ACCEPT) {
		control->ballot = message->accept.ballot;
		control->config = message->accept.config;
	}
	if (message->kind == MESSAGE_OPEN || message->kind == MESSAGE_JOIN) {
		control->ballot = message->open.ballot;
		control->session = message->open.session;
	}
	lane->control_pending = true;
	list_add_tail(&lane->replica->control_queue, &lane->control_node);
	control_next(lane->replica);
}

static bool allowed_on(const struct lane *lane, enum message_kind kind)
{
	if (lane->role == LANE_BULK)
		return kind == MESSAGE_JOIN;
	return kind == MESSAGE_PROBE || kind == MESSAGE_PROMISE || kind == MESSAGE_ACCEPT || kind == MESSAGE_OPEN;
}

void replica_message(struct lane *lane, const struct message *message)
{
	assert(!lane->control_pending);
	if (lane->ending)
		return;
	if (!allowed_on(lane, message->kind) || lane->batch_left) {
		lane_refuse(lane, REFUSAL_ORDER, NULL, "replica of volume %s: %s is not allowed %s; the gateway is faulty",
			    lane->replica->identity.volume_name, message_kind_name(message->kind),
			    lane->role == LANE_BULK ? "on a bulk lane" : "in this state of the connection");
		return;
	}
	if (message->kind == MESSAGE_PROBE)
		send_state(lane->replica, lane);
	else
		queue_control(lane, message);
}

/* The running request is answered or refused: on to the next. */
static void control_end(struct replica *replica)
{
	if (replica->control_lane)
		replica->control_lane->control_pending = false;
	replica->control_running = false;
	replica->control_lane = NULL;
	replica->changed(replica);
	if (replica->stopping)
		stop_next(replica);
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

/* The alternate slot of the one before; one write at a time, because control requests are served one at a time. */
static void write_superblock(struct replica *replica, void (*next)(struct replica *replica, int error))
{
	int error;

	replica->sb.sequence++;
	replica->sb.updated_s = replica->now_s;
	error = superblock_encode(&replica->sb, replica->slot_image);
	assert(!error); /* every config that gets here was decoded, or encoded once in config_misfit() */
	replica->meta_next = next;
	replica->meta.kind = STORE_WRITE_SUPERBLOCK;
	replica->meta.durable = true;
	replica->meta.offset = superblock_slot_offset(replica->sb.sequence);
	replica->meta.length = SUPERBLOCK_SLOT_BYTES;
	replica->meta.data = replica->slot_image;
	replica->store->ops->submit(replica->store, &replica->meta);
}

static void meta_done(struct store_op *op)
{
	struct replica *replica = container_of(op, struct replica, meta);

	replica->meta_next(replica, op->error);
}

static void run_promise(struct replica *replica)
{
	const struct ballot *asked = &replica->control.ballot;
	struct ballot *promised = &replica->sb.promised;

	if (ballot_equal(asked, promised) && asked->epoch) {
		send_state(replica, replica->control_lane);
		control_end(replica);
		return;
	}
	if (asked->epoch <= promised->epoch) {
		control_refuse(replica, REFUSAL_STALE_EPOCH,
			       "a promise of this epoch or a higher one was given to another attachment; "
			       "attach again with a higher epoch");
		return;
	}
	/* From here on nothing older is executed, even if the promise never becomes durable. */
	*promised = *asked;
	replica->last_session = 0;
	session_drain(replica, replica->control_lane, "a higher epoch was promised");
}

/* NULL, or what is wrong with the config beyond what config_decode() checked. */
static const char *config_misfit(const struct replica *replica)
{
	const struct config *ours = &replica->sb.config, *asked = &replica->control.config;
	uint8_t a[CONFIG_BYTES_MAX], b[CONFIG_BYTES_MAX];
	int order = config_compare(asked, ours), a_bytes, b_bytes;

	if (!uuid_equal(&asked->volume_uuid, &ours->volume_uuid) || !uuid_equal(&asked->set_uuid, &ours->set_uuid) ||
	    asked->set_index != ours->set_index || asked->set_count != ours->set_count)
		return "the config is of another set; correct the volume's file";
	if (asked->block_bytes != ours->block_bytes || asked->chunk_bytes != ours->chunk_bytes ||
	    asked->set_bytes != ours->set_bytes || asked->volume_bytes != ours->volume_bytes)
		return "the config has another geometry; correct the volume's file";
	if (!config_voter(asked, &replica->identity.replica_uuid))
		return "this replica is not a voter of the config; correct the volume's file";
	if (!ballot_equal(&asked->ballot, &replica->control.ballot))
		return "the config names another attachment than the one that proposes it; the gateway is faulty";
	if (order < 0)
		return "a newer config was accepted already; attach again";
	a_bytes = config_encode(asked, a, sizeof(a));
	b_bytes = config_encode(ours, b, sizeof(b));
	if (a_bytes < 0)
		return "the config does not fit its limits; the gateway is faulty";
	if (order == 0 && (a_bytes != b_bytes || memcmp(a, b, (size_t)a_bytes)))
		return "another config with the same gen was accepted already; the gateway is faulty";
	return NULL;
}

/* Under which ballot may something be accepted or opened: exactly the promised one. True: refused and ended. */
static bool refuse_ballot(struct replica *replica)
{
	const struct ballot *asked = &replica->control.ballot, *promised = &replica->sb.promised;

	if (ballot_equal(asked, promised) && asked->epoch)
		return false;
	if (asked->epoch > promised->epoch || asked->epoch == 0)
		control_refuse(replica, REFUSAL_NOT_PROMISED, "this epoch was never promised here; ask for a promise first");
	else
		control_refuse(replica, REFUSAL_STALE_EPOCH, "a higher epoch, or the same of another attachment, was promised; "
							     "this attachment is over");
	return true;
}

static void run_accept(struct replica *replica)
{
	const char *misfit;

	if (refuse_ballot(replica))
		return;
	misfit = config_misfit(replica);
	if (misfit) {
		control_refuse(replica, REFUSAL_BAD_CONFIG, misfit);
		return;
	}
	replica->sb.config = replica->control.config;
	write_superblock(replica, control_persisted);
}

static void run_open(struct replica *replica)
{
	if (refuse_ballot(replica))
		return;
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

	if (refuse_ballot(replica))
		return;
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

static void control_next(struct replica *replica)
{
	struct lane *lane;

	if (replica->control_running || replica->stopping || list_is_empty(&replica->control_queue))
		return;
	lane = list_first(&replica->control_queue, struct lane, control_node);
	list_del(&lane->control_node);
	replica->control_running = true;
	replica->control_lane = lane;
	replica->control = lane->control;
	if (replica->state == REPLICA_FAILED) {
		control_refuse(replica, REFUSAL_STORE, replica->health);
		return;
	}
	switch (replica->control.kind) {
	case MESSAGE_PROMISE:
		run_promise(replica);
		break;
	case MESSAGE_ACCEPT:
		run_accept(replica);
		break;
	case MESSAGE_OPEN:
		run_open(replica);
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
	if (replica->state == REPLICA_FAILED) {
		control_refuse(replica, REFUSAL_STORE, replica->health);
		return;
	}
	if (replica->control.kind == MESSAGE_PROMISE) {
		write_superblock(replica, control_persisted);
		return;
	}
	if (replica->control_lane && !replica->control_lane->ending) {
		session_open(&replica->session, replica->control.ballot, replica->control.session, replica->control_lane);
		unstable_epoch(&replica->unstable, replica->control.ballot.epoch);
		send_opened(replica, replica->control_lane, MESSAGE_OPENED);
	}
	control_end(replica);
}

static void control_persisted(struct replica *replica, int error)
{
	struct message message = { .kind = MESSAGE_ACCEPTED };

	if (error) {
		replica_fail(replica, "superblock", error);
		control_refuse(replica, REFUSAL_STORE, replica->health);
		return;
	}
	if (replica->control.kind == MESSAGE_PROMISE) {
		send_state(replica, replica->control_lane);
	} else {
		message.accepted.gen = replica->sb.config.gen;
		send_message(replica->control_lane, &message);
	}
	control_end(replica);
}

/* -- Health, end -- */

void replica_fail(struct replica *replica, const char *what, int error)
{
	if (replica->state == REPLICA_FAILED)
		return;
	replica->state = REPLICA_FAILED;
	(void)snprintf(replica->health, sizeof(replica->health),
		       "writing %s failed (%s), what is on disk is unknown; check the disk, restart the server", what,
		       err_name(error));
	replica->changed(replica);
}

void replica_stop(struct replica *replica)
{
	struct list *it, *next;

	replica->stopping = true;
	list_for_each (it, next, &replica->lanes) {
		struct lane *lane = container_of(it, struct lane, node);

		if (!lane->ending)
			lane->ops->close(lane, "the server stops");
	}
	stop_next(replica);
}

void replica_stop_progress(struct replica *replica)
{
	stop_next(replica);
}

static void stop_written(struct replica *replica, int error)
{
	if (error)
		replica_fail(replica, "superblock", error);
	replica->stopped(replica);
}

static void stop_synced(struct replica *replica, int error)
{
	if (error)
		replica_fail(replica, "data", error);
	if (replica->state == REPLICA_FAILED) {
		replica->stopped(replica); /* not clean, and nothing is written any more */
		return;
	}
	replica->sb.clean = true;
	write_superblock(replica, stop_written);
}

/* Lanes gone, requests finished, control idle: sync, then the clean flag, then done. */
static void stop_next(struct replica *replica)
{
	if (replica->stop_running || replica->control_running || !list_is_empty(&replica->lanes) ||
	    !session_is_quiet(&replica->session))
		return;
	replica->stop_running = true;
	replica->meta_next = stop_synced;
	replica->meta.kind = STORE_SYNC;
	replica->store->ops->submit(replica->store, &replica->meta);
}

void replica_info(const struct replica *replica, struct replica_info *ret)
{
	*ret = (struct replica_info){
		.volume_uuid = replica->identity.volume_uuid,
		.set_uuid = replica->identity.set_uuid,
		.replica_uuid = replica->identity.replica_uuid,
		.set_index = replica->identity.set_index,
		.gen = replica->sb.config.gen,
		.epoch = replica->sb.promised.epoch,
		.set_bytes = replica->identity.set_bytes,
		.session_open = replica->session.main != NULL,
	};
	memcpy(ret->volume_name, replica->identity.volume_name, sizeof(ret->volume_name));
	memcpy(ret->health, replica->health, sizeof(ret->health));
}
