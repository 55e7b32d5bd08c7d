/* Promise, accept, open, join: the replica's side of the config register and of fencing. Must not know connections or
 * files. Not on a request's path: it decides whose requests session.c may serve, and answers only what is durable. */
#include "replica-server/core/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

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
	ret->is_witness = superblock_is_witness(sb);
}

static int init_tables(struct replica *replica, const struct superblock *sb, const struct replica_options *options)
{
	int error = unstable_init(&replica->unstable, options->unstable_extents);

	if (!error)
		error = stamps_init(&replica->stamps, sb->config.set_bytes, options->store, stamps_advanced);
	return error;
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
		.boot_id = superblock_boot_id(sb, &options->server->boot_id),
		.health = "ok",
	};
	replica_identity_of(sb, &replica->identity);
	list_init(&replica->lanes);
	list_init(&replica->control_queue);
	session_init(&replica->session);
	replica->meta.done = meta_done;
	replica->slot_image = aligned_alloc(4096, SUPERBLOCK_SLOT_BYTES);
	if (!replica->slot_image || (!replica->identity.is_witness && init_tables(replica, sb, options)) ||
	    voter_desk_init(&replica->desk, replica->stamps.region_count)) {
		replica_fini(replica);
		return -ENOMEM;
	}
	return 0;
}

void replica_fini(struct replica *replica)
{
	stamps_fini(&replica->stamps);
	unstable_fini(&replica->unstable);
	voter_desk_fini(&replica->desk);
	free(replica->slot_image);
	replica->slot_image = NULL;
}

/* -- Identity -- */

static enum refusal refuse_hello(struct message_refused *ret, enum refusal refusal, const char *format, ...)
	printf_like(3, 4);
static enum refusal refuse_hello(struct message_refused *ret, enum refusal refusal, const char *format, ...)
{
	va_list args;

	*ret = (struct message_refused){.refusal = refusal};
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
		return refuse_hello(
			ret, REFUSAL_WRONG_VOLUME,
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

void lane_refuse(struct replica_lane *lane, enum refusal refusal, const struct ballot *seen, const char *format, ...)
{
	struct message message = {.kind = MESSAGE_REFUSED};
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
	lane->control_deferred = false;
	lane->data_blocked = false;
	lane->ops->message(lane, &message);
	lane->ops->finish(lane);
}

/* -- Lanes -- */

void replica_lane_attach(struct replica *replica, struct replica_lane *lane)
{
	lane->replica = replica;
	lane->control_pending = false;
	lane->control_deferred = false;
	lane->data_blocked = false;
	lane->ending = false;
	lane->voter_count = 0;
	lane->batch_left = 0;
	lane->request_count = 0;
	lane->held_bytes = 0;
	list_init(&lane->requests);
	list_init(&lane->voters);
	list_init(&lane->control_node);
	list_init(&lane->node);
	list_add_tail(&replica->lanes, &lane->node);
}

void replica_lane_closed(struct replica_lane *lane)
{
	struct replica *replica = lane->replica;

	list_del(&lane->control_node);
	if (replica->control_lane == lane)
		replica->control_lane = NULL;
	if (replica->told == lane)
		replica->told = NULL;
	voter_lane_closed(lane);
	session_lane_closed(lane);
	replica->changed(replica);
	list_del(&lane->node); /* only now may a stop go on: who hears of its end frees the replica */
	if (replica->stopping)
		stop_next(replica);
}

bool lane_takes_control(const struct replica_lane *lane)
{
	return !lane->control_pending && lane->voter_count < LANE_VOTER_MAX;
}

/* -- Messages -- */

static bool allowed_on(const struct replica_lane *lane, enum message_kind kind)
{
	if (lane->role == REPLICA_LANE_BULK)
		return kind == MESSAGE_JOIN;
	return kind == MESSAGE_PROMISE || kind == MESSAGE_ACCEPT || kind == MESSAGE_OPEN || kind == MESSAGE_SEED ||
	       kind == MESSAGE_CLAIM || voter_takes(kind);
}

void replica_message(struct replica_lane *lane, const struct message *message)
{
	assert(lane_takes_control(lane));
	if (lane->ending)
		return;
	if (!allowed_on(lane, message->kind) || lane->batch_left) {
		lane_refuse(lane, REFUSAL_ORDER, NULL,
			    "replica of volume %s: %s is not allowed %s; the gateway is faulty",
			    lane->replica->identity.volume_name, message_kind_name(message->kind),
			    lane->role == REPLICA_LANE_BULK ? "on a bulk lane" : "in this state of the connection");
		return;
	}
	if (voter_takes(message->kind))
		voter_message(lane, message);
	else
		control_message(lane, message);
}

/* -- Health, superblock, end -- */

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

/* A restart forgets it: then only a gateway that saw it still knows. */
static void tell_unmarked(struct replica *replica)
{
	(void)snprintf(
		replica->health, sizeof(replica->health),
		"neither data nor superblock can be written, a restart would hide what was lost; replace the disk");
	replica->changed(replica);
}

/* The kernel tells of it once and takes the pages for clean. Whoever attaches after a restart has to know. */
void replica_fail_data(struct replica *replica, int error)
{
	replica_fail(replica, "data", error);
	if (replica->mark != MARK_NONE)
		return;
	replica->mark = MARK_DUE;
	replica->sb.failed_syncs++;
	if (replica->superblock_failed)
		tell_unmarked(replica);
	else
		control_mark(replica);
}

/* The alternate slot of the one before; one write at a time, because control requests are served one at a time. */
void replica_write_superblock(struct replica *replica, void (*next)(struct replica *replica, int error))
{
	int error;

	replica->sb.sequence++;
	replica->sb.updated_s = replica->now_s;
	error = superblock_encode(&replica->sb, replica->slot_image);
	assert(!error); /* every config that gets here was decoded, or encoded once in config_misfit() */
	replica->mark = replica->mark == MARK_DUE ? MARK_WRITING : replica->mark;
	replica->meta_next = next;
	replica->meta.kind = STORE_WRITE_SUPERBLOCK;
	replica->meta.durable = true;
	replica->meta.offset = superblock_slot_offset(replica->sb.sequence);
	replica->meta.length = SUPERBLOCK_SLOT_BYTES;
	replica->meta.data = replica->slot_image;
	replica->store->ops->submit(replica->store, &replica->meta);
}

static void superblock_written(struct replica *replica, int error)
{
	replica->superblock_failed |= error != 0;
	if (error && (replica->mark == MARK_DUE || replica->mark == MARK_WRITING))
		tell_unmarked(replica);
	else if (replica->mark == MARK_WRITING)
		replica->mark = MARK_DURABLE;
}

static void meta_done(struct store_op *op)
{
	struct replica *replica = container_of(op, struct replica, meta);

	if (op->kind == STORE_WRITE_SUPERBLOCK)
		superblock_written(replica, op->error);
	replica->meta_next(replica, op->error);
}

void replica_stop(struct replica *replica)
{
	struct list *it, *next;

	replica->stopping = true;
	list_for_each (it, next, &replica->lanes) {
		struct replica_lane *lane = container_of(it, struct replica_lane, node);

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
		replica_fail_data(replica, error);
	if (replica->state == REPLICA_FAILED && (replica->mark != MARK_DUE || replica->superblock_failed)) {
		replica->stopped(replica); /* not clean, and nothing is written any more */
		return;
	}
	replica->sb.clean = replica->state != REPLICA_FAILED;
	replica_write_superblock(replica, stop_written);
}

/* Lanes gone, requests finished, control idle: sync, then the clean flag, then done. */
static void stop_next(struct replica *replica)
{
	if (replica->stop_running || replica->control_running || !list_is_empty(&replica->lanes) ||
	    !session_is_quiet(&replica->session) || replica->desk.inflight)
		return;
	replica->stop_running = true;
	if (replica->identity.is_witness) {
		stop_synced(replica, 0);
		return;
	}
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
		.is_witness = replica->identity.is_witness,
		.is_blank = superblock_is_blank(&replica->sb),
	};
	memcpy(ret->volume_name, replica->identity.volume_name, sizeof(ret->volume_name));
	memcpy(ret->health, replica->health, sizeof(ret->health));
}
