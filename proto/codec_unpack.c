/* protobuf -> struct message, and every check of a field that needs no knowledge of its receiver: lengths, counts,
 * enums, texts, uuids, what must not be 0. Whether a ballot is stale or a replica known is the session's to say.
 * On no request's path: control messages only, each from a peer that nobody vouches for. */
#include "proto/codec.h"

#include <errno.h>
#include <string.h>

#include "common/name.h"
#include "proto/codec_arena.h"
#include "proto/control.pb-c.h"

static_assert(LOCKSTEP__WIRE__MESSAGE__BODY_HELLO == (int)MESSAGE_HELLO, "kinds are field numbers, the first");
static_assert(LOCKSTEP__WIRE__MESSAGE__BODY_OPEN == (int)MESSAGE_OPEN, "in the middle");
static_assert(LOCKSTEP__WIRE__MESSAGE__BODY_CLAIM == (int)MESSAGE_CLAIM, "and the last");

/* Regions of the largest set. */
#define REGION_COUNT_MAX (VOLUME_BYTES_MAX / REGION_BYTES)

#define TRY(call)                                                                                                      \
	do {                                                                                                           \
		const char *try_reason = (call);                                                                       \
		if (try_reason)                                                                                        \
			return try_reason;                                                                             \
	} while (0)

static const char *get_uuid(const ProtobufCBinaryData *from, struct uuid *ret)
{
	if (from->len != sizeof(ret->bytes))
		return "a uuid that is not 16 bytes long";
	memcpy(ret->bytes, from->data, sizeof(ret->bytes));
	return NULL;
}

static const char *get_named_uuid(const ProtobufCBinaryData *from, struct uuid *ret)
{
	TRY(get_uuid(from, ret));
	return uuid_is_nil(ret) ? "a nil uuid" : NULL;
}

/* Printable ASCII only: these texts go to logs and terminals, and a NUL inside would hide what follows it. */
static const char *get_text(const ProtobufCBinaryData *from, char *to, size_t cap)
{
	if (from->len >= cap)
		return "a text that is too long";
	for (size_t i = 0; i < from->len; i++) {
		if (from->data[i] < ' ' || from->data[i] > '~')
			return "a text with a byte that is not printable ASCII";
	}
	if (from->len > 0)
		memcpy(to, from->data, from->len);
	to[from->len] = '\0';
	return NULL;
}
#define GET_TEXT(from, field) get_text((from), (field), sizeof(field))

static const char *get_config(const ProtobufCBinaryData *from, struct config *ret)
{
	const char *reason = NULL;

	if (from->len == 0 || from->len > CONFIG_BYTES_MAX)
		return "a config record that is missing or too long";
	return config_decode(from->data, from->len, ret, &reason) < 0 ? reason : NULL;
}

/* One that was never promised is (0, 0); as the ballot of a request it is refused. */
static const char *get_ballot(const Lockstep__Wire__Ballot *from, struct ballot *ret)
{
	if (!from)
		return "a ballot is missing";
	if (from->epoch == 0 && from->nonce != 0)
		return "a nonce without epoch";
	*ret = (struct ballot){.epoch = from->epoch, .nonce = from->nonce};
	return NULL;
}

static const char *get_own_ballot(const Lockstep__Wire__Ballot *from, struct ballot *ret)
{
	TRY(get_ballot(from, ret));
	return ret->epoch == 0 ? "a request under epoch 0" : NULL;
}

/* 0 and nil stand for "not known": a server that says so could later be taken for an unchanged one. */
static const char *get_identity(uint64_t incarnation, const ProtobufCBinaryData *boot_id, uint64_t *ret_incarnation,
				struct uuid *ret_boot_id)
{
	*ret_incarnation = incarnation;
	if (incarnation == 0)
		return "incarnation 0";
	return get_named_uuid(boot_id, ret_boot_id);
}

static const char *get_empty(const void *pb, struct message *ret)
{
	return NULL;
}

/* Administration speaks to the server, everyone else to one replica. */
static const char *check_role(const struct message_hello *hello)
{
	bool has_names = !uuid_is_nil(&hello->volume_uuid) && !uuid_is_nil(&hello->set_uuid) &&
			 !uuid_is_nil(&hello->replica_uuid);
	bool has_none =
		uuid_is_nil(&hello->volume_uuid) && uuid_is_nil(&hello->set_uuid) && uuid_is_nil(&hello->replica_uuid);

	switch (hello->role) {
	case HELLO_DATA:
	case HELLO_BULK:
		return has_names ? NULL : "a hello that does not name volume, set and replica";
	case HELLO_ADMIN:
		return has_none ? NULL : "an administrator's hello that names a replica";
	default:
		return "a hello with an unknown role";
	}
}

static const char *get_hello(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Hello *from = pb;
	struct message_hello *hello = &ret->hello;

	hello->version = from->version;
	hello->features = from->features;
	hello->role = (enum hello_role)from->role;
	if (hello->version == 0)
		return "protocol version 0";
	TRY(get_uuid(&from->volume_uuid, &hello->volume_uuid));
	TRY(get_uuid(&from->set_uuid, &hello->set_uuid));
	TRY(get_uuid(&from->replica_uuid, &hello->replica_uuid));
	TRY(GET_TEXT(&from->client, hello->client));
	return check_role(hello);
}

static const char *get_welcome(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Welcome *from = pb;
	struct message_welcome *welcome = &ret->welcome;

	welcome->version = from->version;
	welcome->features = from->features;
	welcome->payload_max_bytes = from->payload_max_bytes;
	if (welcome->version == 0)
		return "protocol version 0";
	if (welcome->payload_max_bytes < BLOCK_BYTES_MAX)
		return "a payload limit below one block";
	TRY(get_identity(from->incarnation, &from->boot_id, &welcome->incarnation, &welcome->boot_id));
	return GET_TEXT(&from->server, welcome->server);
}

static const char *get_refused(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Refused *from = pb;
	struct message_refused *refused = &ret->refused;

	if (from->refusal == REFUSAL_NONE || from->refusal >= REFUSAL_COUNT)
		return "a refusal of an unknown kind";
	refused->refusal = (enum refusal)from->refusal;
	TRY(get_ballot(from->seen, &refused->seen));
	return GET_TEXT(&from->text, refused->text);
}

static const char *get_state(const void *pb, struct message *ret)
{
	const Lockstep__Wire__State *from = pb;
	struct message_state *state = &ret->state;

	state->lease_left_ms = from->lease_left_ms;
	state->list_is_everything = from->list_is_everything;
	state->unstable_extents = from->unstable_extents;
	state->life = from->life;
	state->is_blank = from->is_blank;
	TRY(get_ballot(from->promised, &state->promised));
	TRY(get_identity(from->incarnation, &from->boot_id, &state->incarnation, &state->boot_id));
	if (state->is_blank && state->life)
		return "a blank replica with a life";
	if (state->lease_left_ms > LEASE_LEFT_MS_MAX) /* the first acknowledgement waits for it (R3.6) */
		return "a lease longer than any that is granted";
	return get_config(&from->config, &state->config);
}

static const char *get_promise(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Promise *from = pb;

	return get_own_ballot(from->ballot, &ret->promise.ballot);
}

static const char *get_accept(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Accept *from = pb;

	TRY(get_own_ballot(from->ballot, &ret->accept.ballot));
	return get_config(&from->config, &ret->accept.config);
}

static const char *get_accepted(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Accepted *from = pb;

	ret->accepted.gen = from->gen;
	return from->gen == 0 ? "gen 0" : NULL;
}

static const char *get_open(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Open *from = pb;

	ret->open.session = from->session;
	if (from->session == 0)
		return "session number 0";
	return get_own_ballot(from->ballot, &ret->open.ballot);
}

static const char *get_opened(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Opened *from = pb;

	ret->opened.session = from->session;
	if (from->session == 0)
		return "session number 0";
	return get_identity(from->incarnation, &from->boot_id, &ret->opened.incarnation, &ret->opened.boot_id);
}

static const char *get_create(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Create *from = pb;
	struct message_create *create = &ret->create;

	TRY(GET_TEXT(&from->volume_name, create->volume_name));
	if (!name_is_valid(create->volume_name))
		return "a volume name that is not one";
	TRY(get_named_uuid(&from->replica_uuid, &create->replica_uuid));
	return get_config(&from->config, &create->config);
}

static const char *get_list(const void *pb, struct message *ret)
{
	const Lockstep__Wire__List *from = pb;

	return get_uuid(&from->after, &ret->list.after);
}

/* What a server says of a damaged replica may be incomplete: uuids may be nil and the name missing. */
static const char *get_replica(const Lockstep__Wire__ReplicaInfo *from, struct replica_info *ret)
{
	ret->set_index = from->set_index;
	ret->gen = from->gen;
	ret->epoch = from->epoch;
	ret->set_bytes = from->set_bytes;
	ret->allocated_bytes = from->allocated_bytes;
	ret->session_open = from->session_open;
	ret->is_witness = from->is_witness;
	ret->is_blank = from->is_blank;
	TRY(GET_TEXT(&from->volume_name, ret->volume_name));
	if (ret->volume_name[0] != '\0' && !name_is_valid(ret->volume_name))
		return "a volume name that is not one";
	TRY(get_uuid(&from->volume_uuid, &ret->volume_uuid));
	TRY(get_uuid(&from->set_uuid, &ret->set_uuid));
	TRY(get_uuid(&from->replica_uuid, &ret->replica_uuid));
	return GET_TEXT(&from->health, ret->health);
}

static const char *get_listing(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Listing *from = pb;

	if (from->n_replicas > MESSAGE_LIST_MAX)
		return "a listing with too many replicas";
	ret->listing.more = from->more;
	ret->listing.count = (uint32_t)from->n_replicas;
	for (size_t i = 0; i < from->n_replicas; i++)
		TRY(get_replica(from->replicas[i], &ret->listing.replicas[i]));
	return from->more && from->n_replicas == 0 ? "an empty listing that promises more" : NULL;
}

static const char *get_delete(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Delete *from = pb;

	TRY(get_named_uuid(&from->volume_uuid, &ret->delete.volume_uuid));
	return get_named_uuid(&from->replica_uuid, &ret->delete.replica_uuid);
}

static const char *get_regions_ask(const void *pb, struct message *ret)
{
	const Lockstep__Wire__RegionsAsk *from = pb;

	ret->regions_ask.from = from->from;
	ret->regions_ask.above_gen = from->above_gen;
	return get_own_ballot(from->ballot, &ret->regions_ask.ballot);
}

/* `*ret_end`: the first region after the last run. */
static const char *get_runs(size_t count, Lockstep__Wire__RegionRun *const *from, struct region_run *to,
			    uint64_t *ret_end)
{
	uint64_t end = 0;

	if (count > REGION_RUNS_MAX)
		return "a message with too many runs of regions";
	for (size_t i = 0; i < count; i++) {
		to[i] = (struct region_run){.first = from[i]->first, .count = from[i]->count, .gen = from[i]->gen};
		if (to[i].count == 0)
			return "a run of no region";
		if (to[i].first > REGION_COUNT_MAX || to[i].count > REGION_COUNT_MAX - to[i].first)
			return "a region beyond the largest volume";
		if (to[i].first < end)
			return "runs of regions that overlap or do not ascend";
		end = to[i].first + to[i].count;
	}
	*ret_end = end;
	return NULL;
}

static const char *get_regions(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Regions *from = pb;
	struct message_regions *regions = &ret->regions;
	uint64_t end = 0;

	regions->everything = from->everything;
	regions->more = from->more;
	regions->next = from->next;
	TRY(get_runs(from->n_runs, from->runs, regions->runs, &end));
	regions->count = (uint32_t)from->n_runs;
	if (regions->everything && (regions->more || regions->count > 0))
		return "regions beside everything";
	if (regions->more && regions->count == 0)
		return "an empty page of regions that promises more";
	return regions->more && regions->next < end ? "a next page that begins before the end of this one" : NULL;
}

static const char *get_stamp(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Stamp *from = pb;
	struct message_stamp *stamp = &ret->stamp;
	uint64_t end = 0;

	stamp->sync = from->sync;
	TRY(get_own_ballot(from->ballot, &stamp->ballot));
	TRY(get_runs(from->n_runs, from->runs, stamp->runs, &end));
	stamp->count = (uint32_t)from->n_runs;
	for (uint32_t i = 0; i < stamp->count; i++)
		if (stamp->runs[i].gen == 0)
			return "a stamp with gen 0";
	return stamp->count == 0 && !stamp->sync ? "a stamp of nothing, without sync" : NULL;
}

static const char *get_digest(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Digest *from = pb;

	ret->digest.offset = from->offset;
	ret->digest.length = from->length;
	TRY(get_own_ballot(from->ballot, &ret->digest.ballot));
	if (from->offset % DIGEST_PIECE_BYTES)
		return "a digest that does not begin at a piece";
	if (from->length == 0 || from->length > REGION_BYTES)
		return "a digest of nothing, or of more than a region";
	return from->offset > VOLUME_BYTES_MAX - from->length ? "a digest beyond the largest volume" : NULL;
}

static const char *get_digested(const void *pb, struct message *ret)
{
	const Lockstep__Wire__Digested *from = pb;
	size_t bytes = from->digests.len;

	ret->digested.offset = from->offset;
	if (from->offset % DIGEST_PIECE_BYTES)
		return "a digest that does not begin at a piece";
	if (bytes == 0 || bytes % DIGEST_BYTES || bytes > sizeof(ret->digested.digests))
		return "digests that are not 1 to 16 of 16 bytes";
	ret->digested.count = (uint32_t)(bytes / DIGEST_BYTES);
	memcpy(ret->digested.digests, from->digests.data, bytes);
	return NULL;
}

static const char *(*const unpackers[MESSAGE_KIND_COUNT])(const void *pb, struct message *ret) = {
	[MESSAGE_HELLO] = get_hello,
	[MESSAGE_WELCOME] = get_welcome,
	[MESSAGE_REFUSED] = get_refused,
	[MESSAGE_PROBE] = get_empty,
	[MESSAGE_STATE] = get_state,
	[MESSAGE_PROMISE] = get_promise,
	[MESSAGE_ACCEPT] = get_accept,
	[MESSAGE_ACCEPTED] = get_accepted,
	[MESSAGE_OPEN] = get_open,
	[MESSAGE_OPENED] = get_opened,
	[MESSAGE_JOIN] = get_open,
	[MESSAGE_JOINED] = get_opened,
	[MESSAGE_CREATE] = get_create,
	[MESSAGE_CREATED] = get_empty,
	[MESSAGE_LIST] = get_list,
	[MESSAGE_LISTING] = get_listing,
	[MESSAGE_DELETE] = get_delete,
	[MESSAGE_DELETED] = get_empty,
	[MESSAGE_HEARTBEAT] = get_promise,
	[MESSAGE_BEAT] = get_empty,
	[MESSAGE_LIST_REGIONS] = get_regions_ask,
	[MESSAGE_STAMPED_REGIONS] = get_regions_ask,
	[MESSAGE_REGIONS] = get_regions,
	[MESSAGE_STAMP] = get_stamp,
	[MESSAGE_STAMPED] = get_empty,
	[MESSAGE_DIGEST] = get_digest,
	[MESSAGE_DIGESTED] = get_digested,
	[MESSAGE_FORGET] = get_promise,
	[MESSAGE_FORGOTTEN] = get_empty,
	[MESSAGE_REPLACE] = get_create,
	[MESSAGE_REPLACED] = get_empty,
	[MESSAGE_SEED] = get_accept,
	[MESSAGE_SEEDED] = get_empty,
	[MESSAGE_CLAIM] = get_promise,
};

static void *allocate(void *arena, size_t bytes)
{
	return arena_take(arena, bytes);
}

/* All at once, by codec_arena_begin(). */
static void release(void *arena, void *memory)
{
}

static const char *get_message(const Lockstep__Wire__Message *pb, struct message *ret)
{
	unsigned kind = (unsigned)pb->body_case;

	if (kind == 0 || kind >= MESSAGE_KIND_COUNT)
		return "a message of an unknown kind";
	ret->kind = (enum message_kind)kind;
	/* Every member of the body's union is a pointer to a message: `hello` stands for the one of `kind`. */
	return pb->hello ? unpackers[kind](pb->hello, ret) : "a message without body";
}

int codec_unpack(const uint8_t *in, size_t len, struct message *ret, const char **ret_reason)
{
	struct arena arena;
	ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = &arena};
	Lockstep__Wire__Message *pb;

	if (len == 0 || len > MESSAGE_BYTES_MAX) {
		*ret_reason = "a message that is empty or too long";
		return -EMSGSIZE;
	}
	codec_arena_begin(&arena);
	pb = lockstep__wire__message__unpack(&allocator, len, in);
	if (!pb) {
		*ret_reason = arena.is_exhausted ? "a message that unpacks to more than its limit"
						 : "a message that cannot be parsed";
		return arena.is_exhausted ? -EMSGSIZE : -EBADMSG;
	}
	*ret_reason = get_message(pb, ret);
	return *ret_reason ? -EPROTO : 0;
}
