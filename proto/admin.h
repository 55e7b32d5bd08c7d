/* What the gateway's admin socket speaks (/run/lockstep/NAME.sock): one request, one reply, as plain structs.
 *
 * On the wire each is a FRAME_CONTROL frame (proto/frame.h) around one protobuf message (proto/admin.proto), little
 * and bounded. A client may send one request after another on a connection; replies come in order.
 * The client's side of the socket is proto/admin_client.h. Everything here is pure; any thread.
 */
#ifndef PROTO_ADMIN_H
#define PROTO_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/limits.h"
#include "common/uuid.h"

#define ADMIN_REQUEST_BYTES_MAX 256u /* packed, without the frame's header */
#define ADMIN_REPLY_BYTES_MAX (128 * KIB)
#define ADMIN_TEXT_MAX 511u
#define ADMIN_WORD_MAX 31u /* states and modes */

enum admin_request_kind {
	ADMIN_PING = 1,
	ADMIN_STATUS = 2,
	ADMIN_DETACH = 3,
	ADMIN_VERIFY = 4,
	ADMIN_REQUEST_KIND_COUNT
};

enum admin_verify_action {
	ADMIN_VERIFY_FOLLOW, /* how far is it? */
	ADMIN_VERIFY_START,
	ADMIN_VERIFY_CANCEL,
	ADMIN_VERIFY_ACTION_COUNT
};

struct admin_request {
	enum admin_request_kind kind;
	bool force; /* DETACH: fail what is outstanding with EIO, stop the device though it is open */

	/* VERIFY. */
	enum admin_verify_action verify_action;
	bool repair;
	uint64_t sources; /* bit per leg: right where there is no majority */
	uint64_t bytes_per_s;
};

struct admin_leg {
	uint32_t set_index;
	char name[VOLUME_NAME_MAX + 1];
	char address[ADDRESS_CHARS_MAX + 1];
	struct uuid uuid;
	char state[ADMIN_WORD_MAX + 1]; /* leg_state_name(): "up", "connecting", ... */
	uint64_t since_ms;		/* how long it has been in that state */
	uint32_t session;
	uint64_t incarnation;
	uint64_t outstanding_bytes;
	uint32_t outstanding;
	uint64_t reconnects;
	char last_error[LEG_REASON_CHARS]; /* empty: it never failed */
	uint64_t zero_copy_bytes;      /* bulk payload that the kernel's notifications report as sent without a copy */
	uint64_t bulk_copy_bytes;      /* bulk payload that it copied: by SEND, or by SEND_ZC's own admission */
	uint64_t notifications;	       /* of zero-copy sends, whatever they reported */
	uint64_t gather_bytes;	       /* small payload, sent in batches */
	uint64_t received_bytes;       /* read payload */
	bool zero_copy_now;	       /* what the next bulk write would use */
	char kind[ADMIN_WORD_MAX + 1]; /* voter_kind_name() */
	char member[ADMIN_WORD_MAX + 1]; /* "in-sync", "syncing", "out"; a witness: "votes", "away" */
	/* While "syncing": to compare, still to compare, copied because it differed, and for how long. Else 0. */
	uint64_t resync_total_bytes, resync_left_bytes, resync_copied_bytes, resync_ms;
};

/* One mirror set. */
struct admin_set {
	char state[ADMIN_WORD_MAX + 1]; /* volume_state_name() */
	uint64_t since_ms;
	char reason[96];
	char waits_for[256];
	uint32_t epoch, gen, loss_count;
	uint32_t voters, witnesses, in_sync, voting;
	bool can_lose_node; /* any one, and go on */
	char why_not[96];
	uint64_t uncertain_bytes;
	bool has_lease;
};

/* The gateway's whole state. Counters run from the start of the process. */
struct admin_status {
	char version[ADMIN_WORD_MAX + 1];
	int32_t pid;
	char volume_name[VOLUME_NAME_MAX + 1];
	struct uuid volume_uuid;
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint32_t chunk_bytes;
	uint32_t set_count;
	char device[64];	       /* "/dev/ublkb0"; empty before it exists */
	char mode[ADMIN_WORD_MAX + 1]; /* "zero-copy", "copy" */
	char mode_reason[ADMIN_TEXT_MAX + 1];
	char state[ADMIN_WORD_MAX + 1]; /* volume_state_name(): "serving", "suspended", ... */
	uint64_t since_ms;
	char reason[256];    /* why it is attaching, suspended or failed */
	char waits_for[256]; /* the voters that are not there */
	uint64_t uptime_ms;
	uint32_t epoch, gen;
	uint32_t queue_depth, outstanding;
	uint64_t bulk_min_bytes;
	uint64_t read_count, write_count, flush_count, discard_count, zeroes_count;
	uint64_t read_bytes, write_bytes;
	uint64_t short_reads, zeroed_bytes;
	uint64_t resent_writes, reissued_reads;
	uint64_t checksum_mismatches, failed_requests;
	uint64_t checksum_repairs; /* writes that were completed after their copies had differed */
	uint64_t verified_bytes, differing_bytes, repaired_bytes; /* by all verifies */
	uint64_t ring_sqe_count, ring_cqe_count, ring_enter_count;
	uint64_t ring_poll_count, ring_poll_hit_count; /* waits that were polled, and did without a sleep */
	uint64_t direct_read_bytes;		       /* from the socket straight into the request's memory */
	uint64_t copied_read_bytes;		       /* by way of our buffers */
	uint64_t buffer_fallbacks;		       /* requests that found no place in the buffer table (ublk) */
	uint64_t resident_bytes;		       /* VmRSS of the process */
	uint64_t evictions, rejoins, reattaches;
	uint64_t reconciled_bytes, resynced_bytes; /* copied */
	struct admin_set sets[SET_COUNT_MAX];	   /* `set_count` of them */
	uint32_t leg_count;
	struct admin_leg legs[LEG_COUNT_MAX];
};

/* Bytes next to each other in which replicas of one set differ in the same way. Legs by their bits in the set. */
struct admin_finding {
	uint32_t set_index;
	uint64_t offset, length; /* bytes in the set */
	uint32_t compared;
	uint32_t wrong; /* 0: nothing tells who is right */
	bool repaired;
};

#define ADMIN_FINDINGS_MAX 64u

/* The running verify, or the last one. */
struct admin_verify {
	char state[ADMIN_WORD_MAX + 1]; /* verify_state_name(): "running", "done", ... */
	bool repair;
	uint64_t since_ms, took_ms; /* its start, ago; until its end or now */
	uint64_t total_bytes, compared_bytes;
	uint64_t differing_bytes, repaired_bytes, undecided_bytes;
	uint32_t finding_count; /* all; the first ADMIN_FINDINGS_MAX are kept */
	uint32_t leg_count;
	uint64_t leg_bytes[LEG_COUNT_MAX]; /* compared on each leg */
	struct admin_finding findings[ADMIN_FINDINGS_MAX];
	char text[ADMIN_TEXT_MAX + 1]; /* what it waits for, why it ended early */
};

static inline uint32_t admin_findings_kept(const struct admin_verify *verify)
{
	return verify->finding_count < ADMIN_FINDINGS_MAX ? verify->finding_count : ADMIN_FINDINGS_MAX;
}

enum admin_reply_kind {
	ADMIN_PONG = 1,
	ADMIN_STATUS_REPLY = 2,
	ADMIN_DONE = 3,
	ADMIN_REFUSED = 4,
	ADMIN_VERIFY_REPLY = 5,
	ADMIN_REPLY_KIND_COUNT
};

/* Large (the legs): keep it off small stacks. */
struct admin_reply {
	enum admin_reply_kind kind;
	int error;		       /* REFUSED: a negative errno, e.g. -EBUSY; else 0 */
	char text[ADMIN_TEXT_MAX + 1]; /* PONG: the version; DONE, REFUSED: a sentence */
	int32_t pid;		       /* PONG */
	struct admin_status status;    /* STATUS_REPLY */
	struct admin_verify verify;    /* VERIFY_REPLY */
};

/* Pack into `out`; bytes used, or -EMSGSIZE / -EINVAL. No allocation. */
int admin_request_pack(const struct admin_request *request, uint8_t *out, size_t cap) must_check;
int admin_reply_pack(const struct admin_reply *reply, uint8_t *out, size_t cap) must_check;

/* Unpack and validate. 0, or -EBADMSG / -EMSGSIZE / -EPROTO with `*ret_reason` static text; `*ret` is then unspecified.
 */
int admin_request_unpack(const uint8_t *in, size_t len, struct admin_request *ret, const char **ret_reason) must_check;
int admin_reply_unpack(const uint8_t *in, size_t len, struct admin_reply *ret, const char **ret_reason) must_check;

#endif
