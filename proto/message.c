/* Names of control messages, for logs. Pure; knows no encoding (proto/codec.c does).
 * On no request's path. */
#include "proto/message.h"

#include <stddef.h>

const char *message_kind_name(enum message_kind kind)
{
	static const char *const names[MESSAGE_KIND_COUNT] = {
		[MESSAGE_HELLO] = "HELLO",
		[MESSAGE_WELCOME] = "WELCOME",
		[MESSAGE_REFUSED] = "REFUSED",
		[MESSAGE_PROBE] = "PROBE",
		[MESSAGE_STATE] = "STATE",
		[MESSAGE_PROMISE] = "PROMISE",
		[MESSAGE_ACCEPT] = "ACCEPT",
		[MESSAGE_ACCEPTED] = "ACCEPTED",
		[MESSAGE_OPEN] = "OPEN",
		[MESSAGE_OPENED] = "OPENED",
		[MESSAGE_JOIN] = "JOIN",
		[MESSAGE_JOINED] = "JOINED",
		[MESSAGE_CREATE] = "CREATE",
		[MESSAGE_CREATED] = "CREATED",
		[MESSAGE_LIST] = "LIST",
		[MESSAGE_LISTING] = "LISTING",
		[MESSAGE_DELETE] = "DELETE",
		[MESSAGE_DELETED] = "DELETED",
		[MESSAGE_HEARTBEAT] = "HEARTBEAT",
		[MESSAGE_BEAT] = "BEAT",
		[MESSAGE_LIST_REGIONS] = "LIST_REGIONS",
		[MESSAGE_STAMPED_REGIONS] = "STAMPED_REGIONS",
		[MESSAGE_REGIONS] = "REGIONS",
		[MESSAGE_STAMP] = "STAMP",
		[MESSAGE_STAMPED] = "STAMPED",
		[MESSAGE_DIGEST] = "DIGEST",
		[MESSAGE_DIGESTED] = "DIGESTED",
		[MESSAGE_FORGET] = "FORGET",
		[MESSAGE_FORGOTTEN] = "FORGOTTEN",
		[MESSAGE_REPLACE] = "REPLACE",
		[MESSAGE_REPLACED] = "REPLACED",
		[MESSAGE_SEED] = "SEED",
		[MESSAGE_SEEDED] = "SEEDED",
		[MESSAGE_CLAIM] = "CLAIM",
	};

	return (unsigned)kind < MESSAGE_KIND_COUNT && names[kind] ? names[kind] : "?";
}
