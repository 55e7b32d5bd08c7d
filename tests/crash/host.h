/* A replica-server's process with one replica, on a disk that may be cut off at any moment, and its gateways.
 *
 * Starts as the drivers start it (the superblock chosen, the clean flag taken), passes on what workloads send, and
 * tells the model what was answered. The first broken promise is kept in `wrong`.
 */
#ifndef TESTS_CRASH_HOST_H
#define TESTS_CRASH_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "replica-server/core/replica.h"
#include "tests/crash/disk.h"
#include "tests/crash/model.h"

#define HOST_LANES 8u
#define HOST_SERVED 8u
#define HOST_EXTENTS 1u /* two writes overflow the list */
#define HOST_REQUESTS 8u

struct host_lane {
	struct replica_lane lane;
	bool is_attached, is_closing;
	/* The control message that waits for its answer; what it asked for. */
	enum message_kind asked;
	struct ballot ballot;
	uint32_t session;
	unsigned config;  /* ACCEPT: index in the model */
	uint32_t gen;	  /* STAMP */
	unsigned regions; /* a bit for each */
	bool sync;
	unsigned writes; /* STAMP with sync: changes sent before */
};

/* A data frame sent. */
struct host_request {
	uint8_t type;
	bool is_fua, is_open; /* no answer yet */
	unsigned write;	      /* the model's number; FLUSH: of the last before it */
	uint64_t upto;	      /* FLUSH: every wseq up to it was answered when it was sent */
};

struct host {
	struct disk disk;
	struct model model;
	struct server_identity server;
	struct served_pool pool;
	struct replica replica;
	bool is_up;
	struct store_op start; /* writes the clean flag */
	uint8_t slot[SUPERBLOCK_SLOT_BYTES];
	struct host_lane lanes[HOST_LANES];
	unsigned lane_count;
	unsigned main;	      /* lane of the session that carries data */
	bool is_open;	      /* it does */
	unsigned voter;	      /* lane that speaks for the register */
	struct ballot ballot; /* of the gateway that speaks last; promised when `is_promised` */
	bool is_promised;
	uint32_t session;
	uint64_t wseq;
	struct host_request requests[HOST_REQUESTS];
	unsigned request_count;
	const char *wrong; /* NULL: nothing yet */
};

/* Begins a start on this image: the clean flag is being written. The model and image are copied. False: refused. */
bool host_start(struct host *host, const struct image *image, const struct model *model) must_check;
/* That write is done: the replica runs. */
void host_started(struct host *host);
/* The process is gone. */
void host_end(struct host *host);

/* A connection more; its number. */
unsigned host_lane(struct host *host);
/* What cannot wait for a choice: connections that close, close. */
void host_settle(struct host *host);
bool host_takes(const struct host *host, unsigned lane);
void host_message(struct host *host, unsigned lane, const struct message *message);
/* A data frame of the session, payload of `value`. `cut`: half of the payload comes, then the connection breaks. */
void host_frame(struct host *host, struct frame *frame, uint8_t value, bool cut);
bool host_range_is_busy(const struct host *host, uint64_t offset, uint64_t length);

#endif
