/* struct message -> protobuf. One function a kind of message, in a table by kind; knows no socket and no order of
 * messages. It trusts its caller's numbers (the peer checks them, proto/codec_unpack.c) but not its texts' bytes.
 * On no request's path: control messages only. */
#include "proto/codec.h"

#include <errno.h>
#include <string.h>

#include "proto/codec_arena.h"
#include "proto/control.pb-c.h"

/* Lends the message's own bytes to protobuf-c, which only reads them. */
static ProtobufCBinaryData put_uuid(const struct uuid *uuid)
{
	return (ProtobufCBinaryData){.len = sizeof(uuid->bytes), .data = (uint8_t *)(uintptr_t)uuid->bytes};
}

/* A text that was cut or that quotes an odd file name must not make the message unpackable: '?' for what the peer
 * would refuse. */
static int put_text(struct arena *arena, const char *text, size_t cap, ProtobufCBinaryData *ret)
{
	size_t chars = strnlen(text, cap - 1);
	uint8_t *copy = arena_take(arena, chars + 1);

	if (!copy)
		return -EMSGSIZE;
	for (size_t i = 0; i < chars; i++)
		copy[i] = (uint8_t)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	*ret = (ProtobufCBinaryData){.len = chars, .data = copy};
	return 0;
}
#define PUT_TEXT(arena, field, ret) put_text((arena), (field), sizeof(field), (ret))

static int put_config(struct arena *arena, const struct config *config, ProtobufCBinaryData *ret)
{
	uint8_t *record = arena_take(arena, CONFIG_BYTES_MAX);
	int bytes = record ? config_encode(config, record, CONFIG_BYTES_MAX) : -EMSGSIZE;

	if (bytes < 0)
		return bytes;
	*ret = (ProtobufCBinaryData){.len = (size_t)bytes, .data = record};
	return 0;
}

/* A message of its descriptor's kind with its defaults; NULL when the arena is used up. */
static void *new_message(struct arena *arena, const ProtobufCMessageDescriptor *descriptor)
{
	ProtobufCMessage *message = arena_take(arena, descriptor->sizeof_message);

	if (message)
		protobuf_c_message_init(descriptor, message);
	return message;
}

static int put_ballot(struct arena *arena, const struct ballot *ballot, Lockstep__Wire__Ballot **ret)
{
	Lockstep__Wire__Ballot *to = new_message(arena, &lockstep__wire__ballot__descriptor);

	if (!to)
		return -EMSGSIZE;
	to->epoch = ballot->epoch;
	to->nonce = ballot->nonce;
	*ret = to;
	return 0;
}

static int put_empty(struct arena *arena, const struct message *from, void *ret)
{
	return 0;
}

static int put_hello(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_hello *hello = &from->hello;
	Lockstep__Wire__Hello *to = ret;

	to->version = hello->version;
	to->features = hello->features;
	to->role = hello->role;
	to->volume_uuid = put_uuid(&hello->volume_uuid);
	to->set_uuid = put_uuid(&hello->set_uuid);
	to->replica_uuid = put_uuid(&hello->replica_uuid);
	return PUT_TEXT(arena, hello->client, &to->client);
}

static int put_welcome(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_welcome *welcome = &from->welcome;
	Lockstep__Wire__Welcome *to = ret;

	to->version = welcome->version;
	to->features = welcome->features;
	to->incarnation = welcome->incarnation;
	to->boot_id = put_uuid(&welcome->boot_id);
	to->payload_max_bytes = welcome->payload_max_bytes;
	return PUT_TEXT(arena, welcome->server, &to->server);
}

static int put_refused(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_refused *refused = &from->refused;
	Lockstep__Wire__Refused *to = ret;
	int error = put_ballot(arena, &refused->seen, &to->seen);

	to->refusal = refused->refusal;
	return error ? error : PUT_TEXT(arena, refused->text, &to->text);
}

static int put_state(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_state *state = &from->state;
	Lockstep__Wire__State *to = ret;
	int error = put_ballot(arena, &state->promised, &to->promised);

	to->incarnation = state->incarnation;
	to->boot_id = put_uuid(&state->boot_id);
	to->lease_left_ms = state->lease_left_ms;
	to->list_is_everything = state->list_is_everything;
	to->unstable_extents = state->unstable_extents;
	to->life = state->life;
	to->is_blank = state->is_blank;
	return error ? error : put_config(arena, &state->config, &to->config);
}

static int put_promise(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__Promise *to = ret;

	return put_ballot(arena, &from->promise.ballot, &to->ballot);
}

static int put_accept(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__Accept *to = ret;
	int error = put_ballot(arena, &from->accept.ballot, &to->ballot);

	return error ? error : put_config(arena, &from->accept.config, &to->config);
}

static int put_accepted(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__Accepted *to = ret;

	to->gen = from->accepted.gen;
	return 0;
}

static int put_open(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__Open *to = ret;

	to->session = from->open.session;
	return put_ballot(arena, &from->open.ballot, &to->ballot);
}

static int put_opened(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__Opened *to = ret;

	to->session = from->opened.session;
	to->incarnation = from->opened.incarnation;
	to->boot_id = put_uuid(&from->opened.boot_id);
	return 0;
}

static int put_create(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_create *create = &from->create;
	Lockstep__Wire__Create *to = ret;
	int error = PUT_TEXT(arena, create->volume_name, &to->volume_name);

	to->replica_uuid = put_uuid(&create->replica_uuid);
	return error ? error : put_config(arena, &create->config, &to->config);
}

static int put_list(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__List *to = ret;

	to->after = put_uuid(&from->list.after);
	return 0;
}

static int put_replica(struct arena *arena, const struct replica_info *info, Lockstep__Wire__ReplicaInfo *to)
{
	int error = PUT_TEXT(arena, info->volume_name, &to->volume_name);

	to->volume_uuid = put_uuid(&info->volume_uuid);
	to->set_uuid = put_uuid(&info->set_uuid);
	to->replica_uuid = put_uuid(&info->replica_uuid);
	to->set_index = info->set_index;
	to->gen = info->gen;
	to->epoch = info->epoch;
	to->set_bytes = info->set_bytes;
	to->allocated_bytes = info->allocated_bytes;
	to->session_open = info->session_open;
	to->is_witness = info->is_witness;
	to->is_blank = info->is_blank;
	return error ? error : PUT_TEXT(arena, info->health, &to->health);
}

static int put_listing(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_listing *listing = &from->listing;
	Lockstep__Wire__Listing *to = ret;
	int error = 0;

	if (listing->count > MESSAGE_LIST_MAX)
		return -EINVAL;
	to->more = listing->more;
	to->replicas = arena_take(arena, listing->count * sizeof(Lockstep__Wire__ReplicaInfo *));
	if (!to->replicas)
		return -EMSGSIZE;
	for (; to->n_replicas < listing->count && !error; to->n_replicas++) {
		Lockstep__Wire__ReplicaInfo *info = new_message(arena, &lockstep__wire__replica_info__descriptor);

		to->replicas[to->n_replicas] = info;
		error = info ? put_replica(arena, &listing->replicas[to->n_replicas], info) : -EMSGSIZE;
	}
	return error;
}

static int put_delete(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__Delete *to = ret;

	to->volume_uuid = put_uuid(&from->delete.volume_uuid);
	to->replica_uuid = put_uuid(&from->delete.replica_uuid);
	return 0;
}

static int put_regions_ask(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__RegionsAsk *to = ret;

	to->from = from->regions_ask.from;
	to->above_gen = from->regions_ask.above_gen;
	return put_ballot(arena, &from->regions_ask.ballot, &to->ballot);
}

static int put_runs(struct arena *arena, const struct region_run *runs, uint32_t count, size_t *ret_count,
		    Lockstep__Wire__RegionRun ***ret)
{
	Lockstep__Wire__RegionRun **to;

	if (count > REGION_RUNS_MAX)
		return -EINVAL;
	to = arena_take(arena, count * sizeof(Lockstep__Wire__RegionRun *));
	if (!to)
		return -EMSGSIZE;
	for (uint32_t i = 0; i < count; i++) {
		to[i] = new_message(arena, &lockstep__wire__region_run__descriptor);
		if (!to[i])
			return -EMSGSIZE;
		to[i]->first = runs[i].first;
		to[i]->count = runs[i].count;
		to[i]->gen = runs[i].gen;
	}
	*ret_count = count;
	*ret = to;
	return 0;
}

static int put_regions(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_regions *regions = &from->regions;
	Lockstep__Wire__Regions *to = ret;

	to->everything = regions->everything;
	to->more = regions->more;
	to->next = regions->next;
	return put_runs(arena, regions->runs, regions->count, &to->n_runs, &to->runs);
}

static int put_stamp(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_stamp *stamp = &from->stamp;
	Lockstep__Wire__Stamp *to = ret;
	int error = put_ballot(arena, &stamp->ballot, &to->ballot);

	to->sync = stamp->sync;
	return error ? error : put_runs(arena, stamp->runs, stamp->count, &to->n_runs, &to->runs);
}

static int put_digest(struct arena *arena, const struct message *from, void *ret)
{
	Lockstep__Wire__Digest *to = ret;

	to->offset = from->digest.offset;
	to->length = from->digest.length;
	return put_ballot(arena, &from->digest.ballot, &to->ballot);
}

static int put_digested(struct arena *arena, const struct message *from, void *ret)
{
	const struct message_digested *digested = &from->digested;
	Lockstep__Wire__Digested *to = ret;

	if (digested->count > DIGEST_PIECES_MAX)
		return -EINVAL;
	to->offset = digested->offset;
	to->digests = (ProtobufCBinaryData){.len = digested->count * (size_t)DIGEST_BYTES,
					    .data = (uint8_t *)(uintptr_t)digested->digests};
	return 0;
}

static const struct {
	const ProtobufCMessageDescriptor *descriptor;
	int (*put)(struct arena *arena, const struct message *from, void *ret);
} packers[MESSAGE_KIND_COUNT] = {
	[MESSAGE_HELLO] = {&lockstep__wire__hello__descriptor, put_hello},
	[MESSAGE_WELCOME] = {&lockstep__wire__welcome__descriptor, put_welcome},
	[MESSAGE_REFUSED] = {&lockstep__wire__refused__descriptor, put_refused},
	[MESSAGE_PROBE] = {&lockstep__wire__empty__descriptor, put_empty},
	[MESSAGE_STATE] = {&lockstep__wire__state__descriptor, put_state},
	[MESSAGE_PROMISE] = {&lockstep__wire__promise__descriptor, put_promise},
	[MESSAGE_ACCEPT] = {&lockstep__wire__accept__descriptor, put_accept},
	[MESSAGE_ACCEPTED] = {&lockstep__wire__accepted__descriptor, put_accepted},
	[MESSAGE_OPEN] = {&lockstep__wire__open__descriptor, put_open},
	[MESSAGE_OPENED] = {&lockstep__wire__opened__descriptor, put_opened},
	[MESSAGE_JOIN] = {&lockstep__wire__open__descriptor, put_open},
	[MESSAGE_JOINED] = {&lockstep__wire__opened__descriptor, put_opened},
	[MESSAGE_CREATE] = {&lockstep__wire__create__descriptor, put_create},
	[MESSAGE_CREATED] = {&lockstep__wire__empty__descriptor, put_empty},
	[MESSAGE_LIST] = {&lockstep__wire__list__descriptor, put_list},
	[MESSAGE_LISTING] = {&lockstep__wire__listing__descriptor, put_listing},
	[MESSAGE_DELETE] = {&lockstep__wire__delete__descriptor, put_delete},
	[MESSAGE_DELETED] = {&lockstep__wire__empty__descriptor, put_empty},
	[MESSAGE_HEARTBEAT] = {&lockstep__wire__promise__descriptor, put_promise},
	[MESSAGE_BEAT] = {&lockstep__wire__empty__descriptor, put_empty},
	[MESSAGE_LIST_REGIONS] = {&lockstep__wire__regions_ask__descriptor, put_regions_ask},
	[MESSAGE_STAMPED_REGIONS] = {&lockstep__wire__regions_ask__descriptor, put_regions_ask},
	[MESSAGE_REGIONS] = {&lockstep__wire__regions__descriptor, put_regions},
	[MESSAGE_STAMP] = {&lockstep__wire__stamp__descriptor, put_stamp},
	[MESSAGE_STAMPED] = {&lockstep__wire__empty__descriptor, put_empty},
	[MESSAGE_DIGEST] = {&lockstep__wire__digest__descriptor, put_digest},
	[MESSAGE_DIGESTED] = {&lockstep__wire__digested__descriptor, put_digested},
	[MESSAGE_FORGET] = {&lockstep__wire__promise__descriptor, put_promise},
	[MESSAGE_FORGOTTEN] = {&lockstep__wire__empty__descriptor, put_empty},
	[MESSAGE_REPLACE] = {&lockstep__wire__create__descriptor, put_create},
	[MESSAGE_REPLACED] = {&lockstep__wire__empty__descriptor, put_empty},
	[MESSAGE_SEED] = {&lockstep__wire__accept__descriptor, put_accept},
	[MESSAGE_SEEDED] = {&lockstep__wire__empty__descriptor, put_empty},
	[MESSAGE_CLAIM] = {&lockstep__wire__promise__descriptor, put_promise},
};

int codec_pack(const struct message *message, uint8_t *out, size_t cap)
{
	Lockstep__Wire__Message pb = LOCKSTEP__WIRE__MESSAGE__INIT;
	struct arena arena;
	size_t bytes;
	int error;

	if ((unsigned)message->kind >= MESSAGE_KIND_COUNT || !packers[message->kind].descriptor)
		return -EINVAL;
	codec_arena_begin(&arena);
	pb.body_case = (Lockstep__Wire__Message__BodyCase)message->kind;
	/* Every member of the body's union is a pointer to a message; protobuf-c goes by body_case. */
	pb.hello = new_message(&arena, packers[message->kind].descriptor);
	error = pb.hello ? packers[message->kind].put(&arena, message, pb.hello) : -EMSGSIZE;
	if (error)
		return error;
	bytes = lockstep__wire__message__get_packed_size(&pb);
	if (bytes > cap || bytes > MESSAGE_BYTES_MAX)
		return -EMSGSIZE;
	return (int)lockstep__wire__message__pack(&pb, out);
}
