/* The closed table of answers, both ways. Pure; knows errno and the wire's numbers, nothing else.
 * On a request's path: a reply's status becomes the error the engine sees. */
#include "proto/status.h"

#include <errno.h>
#include <stddef.h>

#include "common/compiler.h"

static const struct {
	const char *name;
	int error;
} statuses[WIRE_STATUS_COUNT] = {
	[WIRE_OK] = {"ok", 0},
	[WIRE_EIO] = {"EIO", -EIO},
	[WIRE_ENOSPC] = {"ENOSPC", -ENOSPC},
	[WIRE_EROFS] = {"EROFS", -EROFS},
	[WIRE_EINVAL] = {"EINVAL", -EINVAL},
	[WIRE_ESTALE] = {"ESTALE", -ESTALE},
	[WIRE_EBUSY] = {"EBUSY", -EBUSY},
	[WIRE_ENOTSUP] = {"ENOTSUP", -EOPNOTSUPP},
};

enum wire_status wire_status_from_errno(int error)
{
	if (error == -EDQUOT || error == -EFBIG)
		return WIRE_ENOSPC;
	for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
		if (statuses[i].error == error)
			return (enum wire_status)i;
	}
	return WIRE_EIO;
}

int wire_status_to_errno(enum wire_status status)
{
	return (unsigned)status < WIRE_STATUS_COUNT ? statuses[status].error : -EIO;
}

const char *wire_status_name(enum wire_status status)
{
	return (unsigned)status < WIRE_STATUS_COUNT ? statuses[status].name : "?";
}

const char *refusal_name(enum refusal refusal)
{
	static const char *const names[REFUSAL_COUNT] = {
		[REFUSAL_NONE] = "none",
		[REFUSAL_MALFORMED] = "malformed",
		[REFUSAL_VERSION] = "version",
		[REFUSAL_UNKNOWN_REPLICA] = "unknown-replica",
		[REFUSAL_WRONG_VOLUME] = "wrong-volume",
		[REFUSAL_WRONG_SET] = "wrong-set",
		[REFUSAL_STALE_EPOCH] = "stale-epoch",
		[REFUSAL_STALE_SESSION] = "stale-session",
		[REFUSAL_NOT_PROMISED] = "not-promised",
		[REFUSAL_BAD_CONFIG] = "bad-config",
		[REFUSAL_STORE] = "store",
		[REFUSAL_EXISTS] = "exists",
		[REFUSAL_NO_SPACE] = "no-space",
		[REFUSAL_LIMIT] = "limit",
		[REFUSAL_IN_USE] = "in-use",
		[REFUSAL_ORDER] = "order",
		[REFUSAL_BLANK] = "blank",
	};

	return (unsigned)refusal < REFUSAL_COUNT ? names[refusal] : "?";
}
