/* The closed table of what a peer may answer. Both directions: errno <-> wire. Anything else on the wire is
 * refused by frame_decode(); numbers are never reused. */
#ifndef PROTO_STATUS_H
#define PROTO_STATUS_H

#include <stdint.h>

enum wire_status {
	WIRE_OK = 0,
	WIRE_EIO = 1,	 /* the store failed */
	WIRE_ENOSPC = 2, /* also EDQUOT, EFBIG */
	WIRE_EROFS = 3,
	WIRE_EINVAL = 4, /* range or alignment the replica cannot serve */
	WIRE_ESTALE = 5, /* epoch or session is not the current one */
	WIRE_EBUSY = 6,	 /* a bounded resource is used up; the request had no effect */
	WIRE_ENOTSUP = 7,
	WIRE_STATUS_COUNT
};

/* `error` is 0 or a negative errno; unknown ones become WIRE_EIO. Pure. */
enum wire_status wire_status_from_errno(int error);
/* 0 or a negative errno. Pure. */
int wire_status_to_errno(enum wire_status status);
const char *wire_status_name(enum wire_status status);

/* Why a control request was refused; travels with a sentence for people. */
enum refusal {
	REFUSAL_NONE = 0,
	REFUSAL_MALFORMED = 1,	     /* cannot be parsed, or a limit is exceeded */
	REFUSAL_VERSION = 2,	     /* no common protocol version, or unknown feature bits */
	REFUSAL_UNKNOWN_REPLICA = 3, /* this server has no such replica */
	REFUSAL_WRONG_VOLUME = 4,    /* the replica belongs to another volume */
	REFUSAL_WRONG_SET = 5,	     /* ... or to another set of it */
	REFUSAL_STALE_EPOCH = 6,     /* a higher epoch, or the same with another nonce, was promised */
	REFUSAL_STALE_SESSION = 7,   /* the session number is not above the last one */
	REFUSAL_NOT_PROMISED = 8,    /* open or accept under a ballot that was never promised here */
	REFUSAL_BAD_CONFIG = 9,	     /* config refused: geometry, voters, order */
	REFUSAL_STORE = 10,	     /* the replica's directory cannot be read or written */
	REFUSAL_EXISTS = 11,	     /* create: the name or directory is taken */
	REFUSAL_NO_SPACE = 12,
	REFUSAL_LIMIT = 13,  /* connections, replicas or memory of this server are used up */
	REFUSAL_IN_USE = 14, /* delete: a session is open */
	REFUSAL_ORDER = 15,  /* message not allowed in this state of the connection */
	REFUSAL_BLANK = 16,  /* the replica's directory is new and has no vote yet */
	REFUSAL_COUNT
};
const char *refusal_name(enum refusal refusal);

#endif
