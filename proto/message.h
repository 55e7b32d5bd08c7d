/* Control messages as plain structs: what core code sees. proto/codec.h turns them into protobuf and back,
 * so that no core file includes protobuf-c. Every string is bounded and NUL-terminated, every array counted.
 *
 * Order on a connection: HELLO -> WELCOME, then either a voter's conversation (PROBE, PROMISE, ACCEPT, and OPEN, after
 * which data frames may flow), or JOIN (the bulk-read lane of an open session), or administration (CREATE, LIST,
 * DELETE, REPLACE). Each request gets exactly one answer, its own kind or REFUSED, in order.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/uuid.h"
#include "proto/config.h"
#include "proto/status.h"

#define MESSAGE_TEXT_MAX 511u
#define MESSAGE_LIST_MAX 128u /* replicas in one LISTING; more: ask again with `after` */
#define PROTOCOL_VERSION 2u
#define PROTOCOL_VERSION_MIN                                                                                           \
	2u /* version 1 had another checksum in acknowledgements: mixed, replicas would seem to differ */

enum message_kind {
	MESSAGE_HELLO = 1,
	MESSAGE_WELCOME,
	MESSAGE_REFUSED,
	MESSAGE_PROBE,
	MESSAGE_STATE, /* answer to PROBE and to PROMISE (then `promised` is the ballot asked for) */
	MESSAGE_PROMISE,
	MESSAGE_ACCEPT,
	MESSAGE_ACCEPTED,
	MESSAGE_OPEN,
	MESSAGE_OPENED,
	MESSAGE_JOIN,
	MESSAGE_JOINED,
	MESSAGE_CREATE,
	MESSAGE_CREATED,
	MESSAGE_LIST,
	MESSAGE_LISTING,
	MESSAGE_DELETE,
	MESSAGE_DELETED,
	/* A voter's conversation about membership. All name the ballot: refused unless it is the promised one. */
	MESSAGE_HEARTBEAT, /* grants a read lease of LEASE_MS from its receipt (R9) */
	MESSAGE_BEAT,
	MESSAGE_LIST_REGIONS,	 /* regions of the list of unstable extents, in pages (R3) */
	MESSAGE_STAMPED_REGIONS, /* regions stamped above a gen, with their stamps, in pages (R7) */
	MESSAGE_REGIONS,	 /* answer to both */
	MESSAGE_STAMP,		 /* raise stamps, durably; on request make the data durable too (R3, R6, R7) */
	MESSAGE_STAMPED,
	MESSAGE_DIGEST, /* of pieces of one region (R3.7, R7) */
	MESSAGE_DIGESTED,
	MESSAGE_FORGET, /* the lists of older epochs have been made equal and durable everywhere */
	MESSAGE_FORGOTTEN,
	/* A replica whose directory was lost. */
	MESSAGE_REPLACE, /* an administrator's: as CREATE, but blank: without a vote until it is seeded */
	MESSAGE_REPLACED,
	MESSAGE_SEED, /* a gateway's: the ballot and the chosen config by which the blank directory has its vote */
	MESSAGE_SEEDED,
	MESSAGE_CLAIM, /* PROMISE of a blank directory, which is no vote: answered by STATE */
	MESSAGE_KIND_COUNT
};

enum hello_role { HELLO_DATA = 1, HELLO_BULK = 2, HELLO_ADMIN = 3 };

struct message_hello {
	uint32_t version;  /* highest protocol version of the speaker */
	uint64_t features; /* feature bits it insists on; unknown to the other side: refused */
	enum hello_role role;
	struct uuid volume_uuid; /* nil for HELLO_ADMIN */
	struct uuid set_uuid;
	struct uuid replica_uuid;
	char client[64]; /* for logs: host and process of the gateway */
};

struct message_welcome {
	uint32_t version; /* chosen */
	uint64_t features;
	uint64_t incarnation; /* random number of this start of the server process */
	struct uuid boot_id;  /* while it is the same, nothing that was acknowledged is lost */
	uint32_t payload_max_bytes;
	char server[64];
};

struct message_refused {
	enum refusal refusal;
	struct ballot seen;		 /* the promise that stands, with REFUSAL_STALE_EPOCH */
	char text[MESSAGE_TEXT_MAX + 1]; /* object, reason, next step */
};

struct message_state {
	struct ballot promised;
	uint64_t incarnation;
	struct uuid boot_id;
	uint32_t lease_left_ms;
	bool list_is_everything; /* the list of unstable extents overflowed or was lost */
	uint32_t unstable_extents;
	uint64_t life;	      /* of its directory, as in the config */
	bool is_blank;	      /* made to replace a lost directory: no vote; what it promises is to a CLAIM */
	struct config config; /* the accepted one; as created when blank */
};

struct message_ballot { /* PROMISE, CLAIM, HEARTBEAT, FORGET */
	struct ballot ballot;
};

struct message_accept { /* ACCEPT, SEED */
	struct ballot ballot;
	struct config config;
};

struct message_accepted {
	uint32_t gen;
};

struct message_open { /* OPEN and JOIN */
	struct ballot ballot;
	uint32_t session;
};

struct message_opened { /* OPENED and JOINED */
	uint32_t session;
	uint64_t incarnation;
	struct uuid boot_id;
};

struct message_create { /* CREATE, REPLACE */
	char volume_name[VOLUME_NAME_MAX + 1];
	struct uuid replica_uuid; /* must be a voter of `config` */
	struct config config;	  /* epoch 0, gen 1 */
};

struct message_list {
	struct uuid after; /* nil: from the start */
};

struct replica_info {
	char volume_name[VOLUME_NAME_MAX + 1];
	struct uuid volume_uuid, set_uuid, replica_uuid;
	uint32_t set_index;
	uint32_t gen;
	uint32_t epoch; /* promised */
	uint64_t set_bytes;
	uint64_t allocated_bytes;
	bool session_open;
	bool is_witness;  /* a voter without data */
	bool is_blank;	  /* waits for a gateway to give it its vote */
	char health[128]; /* "ok", or why it is not served */
};

struct message_listing {
	bool more;
	uint32_t count;
	struct replica_info replicas[MESSAGE_LIST_MAX];
};

struct message_delete {
	struct uuid volume_uuid, replica_uuid;
};

#define REGION_RUNS_MAX 512u	      /* in one message; more: the next page */
#define DIGEST_PIECE_BYTES (64 * KIB) /* unit of comparing and copying */
#define DIGEST_PIECES_MAX 16u	      /* REGION_BYTES / DIGEST_PIECE_BYTES */
#define DIGEST_BYTES 16u	      /* SHA-256, the first half: chance must not make two pieces equal */
static_assert(DIGEST_PIECES_MAX * DIGEST_PIECE_BYTES == REGION_BYTES, "one message digests one region");

struct region_run {
	uint64_t first; /* region index in the set */
	uint32_t count;
	uint32_t gen; /* their stamp; 0 in an answer about the list */
};

struct message_regions_ask { /* LIST_REGIONS, STAMPED_REGIONS */
	struct ballot ballot;
	uint64_t from;	    /* first region of interest */
	uint32_t above_gen; /* STAMPED_REGIONS: those stamped above it */
};

struct message_regions {
	bool everything; /* LIST_REGIONS: the list overflowed or is unknown; no runs then */
	bool more;	 /* ask again from `next` */
	uint64_t next;
	uint32_t count;
	struct region_run runs[REGION_RUNS_MAX]; /* ascending, not overlapping */
};

struct message_stamp {
	struct ballot ballot;
	bool sync;	/* answer only when the data written so far is durable as well */
	uint32_t count; /* may be 0 with `sync` */
	struct region_run runs[REGION_RUNS_MAX];
};

struct message_digest {
	struct ballot ballot;
	uint64_t offset; /* bytes in the set, multiple of DIGEST_PIECE_BYTES */
	uint32_t length; /* up to REGION_BYTES; the set's last piece may be shorter */
};

struct message_digested {
	uint64_t offset;
	uint32_t count;
	uint8_t digests[DIGEST_PIECES_MAX][DIGEST_BYTES];
};

struct message {
	enum message_kind kind;
	union {
		struct message_hello hello;
		struct message_welcome welcome;
		struct message_refused refused;
		struct message_state state;
		struct message_ballot promise; /* PROMISE, CLAIM, HEARTBEAT, FORGET */
		struct message_regions_ask regions_ask;
		struct message_regions regions;
		struct message_stamp stamp;
		struct message_digest digest;
		struct message_digested digested;
		struct message_accept accept; /* ACCEPT, SEED */
		struct message_accepted accepted;
		struct message_open open;     /* OPEN, JOIN */
		struct message_opened opened; /* OPENED, JOINED */
		struct message_create create; /* CREATE, REPLACE */
		struct message_list list;
		struct message_listing listing; /* large: see codec.h for where to keep a message */
		struct message_delete delete;
	};
};

static_assert(sizeof(struct message) <= 40 * KIB, "codec.h says 36 KiB");

/* Static text; "?" for an unknown kind. */
const char *message_kind_name(enum message_kind kind);

#endif
