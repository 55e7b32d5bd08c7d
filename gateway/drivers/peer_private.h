/* The inside of `struct peers`, for the files peer*.c and lane*.c only. */
#ifndef GATEWAY_DRIVERS_PEER_PRIVATE_H
#define GATEWAY_DRIVERS_PEER_PRIVATE_H

#include "gateway/drivers/batch.h"
#include "gateway/drivers/frontend.h"
#include "gateway/drivers/lane.h"
#include "gateway/drivers/peer.h"

/* Writes that wait for a batch buffer, oldest first; an order whose legs are all gone is removed. */
struct deferred_writes {
	struct write_order *orders;
	uint32_t capacity, head, count;
};

/* One zero() under way, or done and not yet reported. */
struct zero_op {
	struct read_target target;
	uint32_t done_bytes;
	int error;
	uint16_t next; /* in the free list or in the list of the done */
};

struct zero_ops {
	int fd; /* /dev/zero */
	struct zero_op *ops;
	uint16_t free, done_first, done_last;
};
#define OP_NONE UINT16_MAX

struct peers {
	struct peers_options options;
	struct ring *ring;
	struct frontend *frontend;
	struct engine *engine;
	uint64_t seen_cut_count; /* of the ring */
	bool recv_fixed, send_fixed;
	unsigned lane_count, breaking_count;
	struct peer_lane *lanes; /* leg * LANE_COUNT + lane */
	uint8_t *recv_memory;
	uint8_t *resync_memory; /* of the engine's own slots: RESYNC_SLOTS of REGION_BYTES */
	uint32_t recv_buffer_bytes;
	struct batch_pool pool;
	struct deferred_writes deferred;
	struct zero_ops zeros;
	struct message message; /* the one being unpacked: too large for a stack */
	uint8_t packed[LANE_MESSAGE_MAX];
	struct peers_stats stats; /* byte counts: of connections that are over */
};

static inline struct peer_lane *peers_lane(struct peers *peers, unsigned leg, enum lane which)
{
	return &peers->lanes[leg * LANE_COUNT + (unsigned)which];
}

/* peer_memory.c */
int peers_memory_init(struct peers *peers) must_check;
void peers_memory_fini(struct peers *peers);
struct payload peers_payload(struct peers *peers, unsigned slot);
/* 0 or -errno. */
int peers_copy_out(struct peers *peers, unsigned slot, uint32_t offset, uint32_t length, void *dst) must_check;
int peers_copy_in(struct peers *peers, unsigned slot, uint32_t offset, uint32_t length, const void *src) must_check;

/* How many parts of all requests may fall on one set, and on all: sizes of tables. */
unsigned peers_parts_of_set(const struct peers_options *options);
unsigned peers_parts_of_volume(const struct peers_options *options);

/* peer_write.c */
int peers_write_init(struct peers *peers) must_check;
void peers_write_fini(struct peers *peers);
/* Deferred writes for which there is room now. True: at least one. */
bool peers_write_resume(struct peers *peers);
/* The lane is over: its part of deferred writes is reported released. */
void peers_write_drop_leg(struct peers *peers, unsigned leg);

/* peer_zero.c */
int peers_zero_init(struct peers *peers, struct err *err) must_check;
void peers_zero_fini(struct peers *peers);
void peers_zero_on_cqe(struct peers *peers, const struct io_uring_cqe *cqe);
/* True: at least one. */
bool peers_zero_report(struct peers *peers);

#endif
