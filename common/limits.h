/* Every maximum in the system, in one place, with what relates them. Units last in each name. */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

#include <assert.h>

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)
#define TIB (1024ull * GIB)

/* Volumes. */
#define VOLUME_NAME_MAX 63u /* characters: a letter or digit, then letters, digits, '-', '_', '.' */
#define VOLUME_BYTES_MAX (1024ull * TIB)
#define BLOCK_BYTES_MIN 512u
#define BLOCK_BYTES_MAX 4096u
#define SET_COUNT_MAX 16u   /* mirror sets of one volume */
#define SET_REPLICAS_MAX 5u /* data replicas of one set */
#define SET_VOTERS_MAX 7u   /* replicas and witnesses of one set */
#define LEG_COUNT_MAX 64u   /* data replicas of one volume, all sets */
#define CHUNK_BYTES_MIN (64 * KIB)
#define CHUNK_BYTES_DEFAULT (1 * MIB)
#define CHUNK_BYTES_MAX (64 * MIB)
#define REGION_BYTES (1 * MIB) /* unit of change tracking */

/* Requests. */
#define IO_BYTES_MAX (1 * MIB) /* one block request's payload: ublk max_io_buf_bytes */
#define QUEUE_DEPTH_MAX 1024u
#define QUEUE_DEPTH_DEFAULT 128u
/* A payload of IO_BYTES_MAX that starts anywhere in a chunk of the smallest size. */
#define REQUEST_PARTS_MAX 17u
#define BULK_MIN_BYTES_DEFAULT (64 * KIB) /* payloads larger than this take the bulk path */
#define BULK_MIN_BYTES_MAX (128 * KIB)

/* Replication. */
#define LEASE_MS 3000u	       /* read lease: at the gateway from the sending of the heartbeat (R9) */
#define LEASE_DRIFT_PERCENT 5u /* a voter counts so much longer, for clocks that run apart */
#define LEASE_LEFT_MS_MAX (LEASE_MS * (100 + LEASE_DRIFT_PERCENT) / 100) /* of what a voter granted */
#define DEVICE_NONCES_MAX 16u /* attachments, in vain and not, since a device was last served */
/* Regions compared or copied at a time, each with REGION_BYTES of the driver's memory. A replica takes 8 control
 * messages of a connection: with as many digests a heartbeat would hold up what comes behind it. */
#define RESYNC_SLOTS 6u

#define LEG_REASON_CHARS 256u /* why a leg is down: an object, a reason and the next step */

/* Wire. */
#define MESSAGE_BYTES_MAX (64 * KIB) /* one packed control message */
#define CONFIG_BYTES_MAX 4096u	     /* one encoded config record */
#define ADDRESS_CHARS_MAX 271u	     /* "[host]:port" without the terminating NUL */
#define BATCH_BYTES_MAX (256 * KIB)

static_assert(IO_BYTES_MAX / CHUNK_BYTES_MIN + 1 == REQUEST_PARTS_MAX, "parts of the largest request");
static_assert(BULK_MIN_BYTES_MAX + 128 <= BATCH_BYTES_MAX, "the largest small write fits one batch");
static_assert(SET_REPLICAS_MAX <= 8, "legs of a set fit one byte of mask");

#endif
