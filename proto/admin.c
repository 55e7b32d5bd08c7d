/* protobuf-c behind the admin socket's plain structs, with every limit of admin.h checked on the way in.
 * Knows neither sockets nor what the numbers mean. Not on a request's path: the control thread and the CLI use it. */
#include "proto/admin.h"

#include <errno.h>
#include <string.h>

#include "proto/admin.pb-c.h"

/* Fields whose name and type are the same on both sides. */
/* Laid out by hand: clang-format moves a line of such a list with every run. */
/* clang-format off */
#define LEG_NUMBERS(X) \
	X(set_index) X(since_ms) X(session) X(incarnation) X(outstanding_bytes) X(outstanding) X(reconnects) \
	X(zero_copy_bytes) X(bulk_copy_bytes) X(notifications) X(gather_bytes) X(received_bytes) X(zero_copy_now) \
	X(resync_total_bytes) X(resync_left_bytes) X(resync_copied_bytes) X(resync_ms)
#define LEG_STRINGS(X) X(name) X(address) X(state) X(last_error) X(kind) X(member)

#define SET_NUMBERS(X) \
	X(since_ms) X(epoch) X(gen) X(loss_count) X(voters) X(witnesses) X(in_sync) X(voting) X(can_lose_node) \
	X(uncertain_bytes) X(has_lease)
#define SET_STRINGS(X) X(state) X(reason) X(waits_for) X(why_not)

#define STATUS_NUMBERS(X) \
	X(pid) X(size_bytes) X(block_bytes) X(chunk_bytes) X(set_count) X(since_ms) X(uptime_ms) X(epoch) X(gen) \
	X(queue_depth) X(outstanding) X(bulk_min_bytes) X(read_count) X(write_count) X(flush_count) X(discard_count) \
	X(zeroes_count) X(read_bytes) X(write_bytes) X(short_reads) X(zeroed_bytes) X(resent_writes) X(reissued_reads) \
	X(checksum_mismatches) X(failed_requests) X(checksum_repairs) X(verified_bytes) X(differing_bytes) X(repaired_bytes) X(ring_sqe_count) X(ring_cqe_count) X(ring_enter_count) X(ring_poll_count) X(ring_poll_hit_count) \
	X(direct_read_bytes) X(copied_read_bytes) X(buffer_fallbacks) X(resident_bytes) X(evictions) X(rejoins) \
	X(reattaches) X(reconciled_bytes) X(resynced_bytes)

#define FINDING_NUMBERS(X) X(set_index) X(offset) X(length) X(compared) X(wrong) X(repaired)
#define VERIFY_NUMBERS(X) \
	X(repair) X(since_ms) X(took_ms) X(total_bytes) X(compared_bytes) X(differing_bytes) X(repaired_bytes) \
	X(undecided_bytes) X(finding_count)
#define VERIFY_STRINGS(X) X(state) X(text)
/* clang-format on */
#define STATUS_STRINGS(X) X(version) X(volume_name) X(device) X(mode) X(mode_reason) X(state) X(reason) X(waits_for)

#define TO_PB(field) pb->field = from->field;
#define STRING_TO_PB(field) pb->field = (char *)from->field;
#define FROM_PB(field) ret->field = pb->field;
#define STRING_FROM_PB(field) ok = ok && copy_string(ret->field, sizeof(ret->field), pb->field);

static bool copy_string(char *to, size_t cap, const char *from)
{
	size_t len = strlen(from);

	if (len >= cap)
		return false;
	memcpy(to, from, len + 1);
	return true;
}

static ProtobufCBinaryData uuid_to_pb(const struct uuid *uuid)
{
	return (ProtobufCBinaryData){.len = sizeof(uuid->bytes), .data = (uint8_t *)uuid->bytes};
}

static bool copy_uuid(struct uuid *to, const ProtobufCBinaryData *from)
{
	if (from->len != sizeof(to->bytes))
		return false;
	memcpy(to->bytes, from->data, sizeof(to->bytes));
	return true;
}

int admin_request_pack(const struct admin_request *request, uint8_t *out, size_t cap)
{
	Lockstep__Admin__Request pb = LOCKSTEP__ADMIN__REQUEST__INIT;

	pb.kind = request->kind;
	pb.force = request->force;
	pb.verify_action = request->verify_action;
	pb.repair = request->repair;
	pb.sources = request->sources;
	pb.bytes_per_s = request->bytes_per_s;
	if (lockstep__admin__request__get_packed_size(&pb) > cap)
		return -EMSGSIZE;
	return (int)lockstep__admin__request__pack(&pb, out);
}

static void request_from_pb(const Lockstep__Admin__Request *pb, struct admin_request *ret)
{
	*ret = (struct admin_request){
		.kind = (enum admin_request_kind)pb->kind,
		.force = pb->force,
		.verify_action = (enum admin_verify_action)pb->verify_action,
		.repair = pb->repair,
		.sources = pb->sources,
		.bytes_per_s = pb->bytes_per_s,
	};
}

int admin_request_unpack(const uint8_t *in, size_t len, struct admin_request *ret, const char **ret_reason)
{
	Lockstep__Admin__Request *pb;
	int rc = 0;

	if (len > ADMIN_REQUEST_BYTES_MAX) {
		*ret_reason = "request is too long";
		return -EMSGSIZE;
	}
	pb = lockstep__admin__request__unpack(NULL, len, in);
	if (!pb) {
		*ret_reason = "request cannot be parsed";
		return -EBADMSG;
	}
	if (pb->kind == 0 || pb->kind >= ADMIN_REQUEST_KIND_COUNT) {
		*ret_reason = "request of an unknown kind";
		rc = -EPROTO;
	} else if (pb->verify_action >= ADMIN_VERIFY_ACTION_COUNT) {
		*ret_reason = "verify of an unknown action";
		rc = -EPROTO;
	} else {
		request_from_pb(pb, ret);
	}
	lockstep__admin__request__free_unpacked(pb, NULL);
	return rc;
}

static void leg_to_pb(const struct admin_leg *from, Lockstep__Admin__Leg *pb)
{
	lockstep__admin__leg__init(pb);
	LEG_NUMBERS(TO_PB)
	LEG_STRINGS(STRING_TO_PB)
	pb->uuid = uuid_to_pb(&from->uuid);
}

static void set_to_pb(const struct admin_set *from, Lockstep__Admin__Set *pb)
{
	lockstep__admin__set__init(pb);
	SET_NUMBERS(TO_PB)
	SET_STRINGS(STRING_TO_PB)
}

/* The packed form of a status points into it. */
struct status_room {
	Lockstep__Admin__Status status;
	Lockstep__Admin__Leg legs[LEG_COUNT_MAX];
	Lockstep__Admin__Leg *leg_list[LEG_COUNT_MAX];
	Lockstep__Admin__Set sets[SET_COUNT_MAX];
	Lockstep__Admin__Set *set_list[SET_COUNT_MAX];
};

static Lockstep__Admin__Status *status_to_pb(const struct admin_status *from, struct status_room *room)
{
	Lockstep__Admin__Status *pb = &room->status;

	lockstep__admin__status__init(pb);
	STATUS_NUMBERS(TO_PB)
	STATUS_STRINGS(STRING_TO_PB)
	pb->volume_uuid = uuid_to_pb(&from->volume_uuid);
	for (unsigned i = 0; i < from->leg_count; i++) {
		leg_to_pb(&from->legs[i], &room->legs[i]);
		room->leg_list[i] = &room->legs[i];
	}
	pb->n_legs = from->leg_count;
	pb->legs = room->leg_list;
	for (unsigned i = 0; i < from->set_count; i++) {
		set_to_pb(&from->sets[i], &room->sets[i]);
		room->set_list[i] = &room->sets[i];
	}
	pb->n_sets = from->set_count;
	pb->sets = room->set_list;
	return pb;
}

static void finding_to_pb(const struct admin_finding *from, Lockstep__Admin__Finding *pb)
{
	lockstep__admin__finding__init(pb);
	FINDING_NUMBERS(TO_PB)
}

/* The packed form points into `findings` and `from`. */
static void verify_to_pb(const struct admin_verify *from, Lockstep__Admin__Finding *findings,
			 Lockstep__Admin__Finding **finding_list, Lockstep__Admin__Verify *pb)
{
	lockstep__admin__verify__init(pb);
	VERIFY_NUMBERS(TO_PB)
	VERIFY_STRINGS(STRING_TO_PB)
	pb->n_findings = admin_findings_kept(from);
	pb->findings = finding_list;
	pb->n_leg_bytes = from->leg_count;
	pb->leg_bytes = (uint64_t *)from->leg_bytes;
	for (unsigned i = 0; i < pb->n_findings; i++) {
		finding_list[i] = &findings[i];
		finding_to_pb(&from->findings[i], &findings[i]);
	}
}

int admin_reply_pack(const struct admin_reply *reply, uint8_t *out, size_t cap)
{
	Lockstep__Admin__Reply pb = LOCKSTEP__ADMIN__REPLY__INIT;
	struct status_room room;
	Lockstep__Admin__Verify verify;
	Lockstep__Admin__Finding findings[ADMIN_FINDINGS_MAX], *finding_list[ADMIN_FINDINGS_MAX];

	if (reply->kind == ADMIN_STATUS_REPLY &&
	    (reply->status.leg_count > LEG_COUNT_MAX || reply->status.set_count > SET_COUNT_MAX))
		return -EINVAL;
	if (reply->kind == ADMIN_VERIFY_REPLY && reply->verify.leg_count > LEG_COUNT_MAX)
		return -EINVAL;
	pb.kind = reply->kind;
	pb.error = reply->error;
	pb.text = (char *)reply->text;
	pb.pid = reply->pid;
	if (reply->kind == ADMIN_STATUS_REPLY)
		pb.status = status_to_pb(&reply->status, &room);
	if (reply->kind == ADMIN_VERIFY_REPLY) {
		verify_to_pb(&reply->verify, findings, finding_list, &verify);
		pb.verify = &verify;
	}
	if (lockstep__admin__reply__get_packed_size(&pb) > cap)
		return -EMSGSIZE;
	return (int)lockstep__admin__reply__pack(&pb, out);
}

static bool leg_from_pb(const Lockstep__Admin__Leg *pb, struct admin_leg *ret)
{
	bool ok = copy_uuid(&ret->uuid, &pb->uuid);

	LEG_NUMBERS(FROM_PB)
	LEG_STRINGS(STRING_FROM_PB)
	return ok;
}

static bool set_from_pb(const Lockstep__Admin__Set *pb, struct admin_set *ret)
{
	bool ok = true;

	SET_NUMBERS(FROM_PB)
	SET_STRINGS(STRING_FROM_PB)
	return ok;
}

/* Sets may be missing: a gateway that was started before they were reported still has a status. */
static bool status_from_pb(const Lockstep__Admin__Status *pb, struct admin_status *ret)
{
	bool ok = pb->n_legs <= LEG_COUNT_MAX && pb->set_count <= SET_COUNT_MAX && pb->n_sets <= pb->set_count &&
		  copy_uuid(&ret->volume_uuid, &pb->volume_uuid);

	STATUS_NUMBERS(FROM_PB)
	STATUS_STRINGS(STRING_FROM_PB)
	for (size_t i = 0; ok && i < pb->n_legs; i++)
		ok = leg_from_pb(pb->legs[i], &ret->legs[i]);
	ret->leg_count = (uint32_t)pb->n_legs;
	memset(ret->sets, 0, sizeof(ret->sets));
	for (size_t i = 0; ok && i < pb->n_sets; i++)
		ok = set_from_pb(pb->sets[i], &ret->sets[i]);
	return ok;
}

static bool finding_from_pb(const Lockstep__Admin__Finding *pb, struct admin_finding *ret)
{
	FINDING_NUMBERS(FROM_PB)
	return ret->set_index < SET_COUNT_MAX && !(ret->compared >> SET_VOTERS_MAX) && !(ret->wrong & ~ret->compared);
}

static bool verify_from_pb(const Lockstep__Admin__Verify *pb, struct admin_verify *ret)
{
	bool ok = pb->n_leg_bytes <= LEG_COUNT_MAX;

	VERIFY_NUMBERS(FROM_PB)
	VERIFY_STRINGS(STRING_FROM_PB)
	ok = ok && pb->n_findings == admin_findings_kept(ret);
	for (size_t i = 0; ok && i < pb->n_findings; i++)
		ok = finding_from_pb(pb->findings[i], &ret->findings[i]);
	for (size_t i = 0; ok && i < pb->n_leg_bytes; i++)
		ret->leg_bytes[i] = pb->leg_bytes[i];
	ret->leg_count = (uint32_t)pb->n_leg_bytes;
	return ok;
}

static int reply_from_pb(const Lockstep__Admin__Reply *pb, struct admin_reply *ret, const char **ret_reason)
{
	if (pb->kind == 0 || pb->kind >= ADMIN_REPLY_KIND_COUNT) {
		*ret_reason = "reply of an unknown kind";
		return -EPROTO;
	}
	ret->kind = (enum admin_reply_kind)pb->kind;
	ret->error = pb->error;
	ret->pid = pb->pid;
	if (!copy_string(ret->text, sizeof(ret->text), pb->text)) {
		*ret_reason = "text in the reply is too long";
		return -EPROTO;
	}
	if (ret->kind == ADMIN_REFUSED && ret->error >= 0) {
		*ret_reason = "refusal without an error";
		return -EPROTO;
	}
	if (ret->kind == ADMIN_STATUS_REPLY && (!pb->status || !status_from_pb(pb->status, &ret->status))) {
		*ret_reason = "status is missing or exceeds a limit";
		return -EPROTO;
	}
	if (ret->kind == ADMIN_VERIFY_REPLY && (!pb->verify || !verify_from_pb(pb->verify, &ret->verify))) {
		*ret_reason = "verify is missing or exceeds a limit";
		return -EPROTO;
	}
	return 0;
}

int admin_reply_unpack(const uint8_t *in, size_t len, struct admin_reply *ret, const char **ret_reason)
{
	Lockstep__Admin__Reply *pb;
	int rc;

	if (len > ADMIN_REPLY_BYTES_MAX) {
		*ret_reason = "reply is too long";
		return -EMSGSIZE;
	}
	pb = lockstep__admin__reply__unpack(NULL, len, in);
	if (!pb) {
		*ret_reason = "reply cannot be parsed";
		return -EBADMSG;
	}
	rc = reply_from_pb(pb, ret, ret_reason);
	lockstep__admin__reply__free_unpacked(pb, NULL);
	return rc;
}
