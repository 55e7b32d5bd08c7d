/* A small world for the tests of peer I/O: a ring, a frontend over plain memory, an engine that only takes notes, and
 * for each lane the replica's end of a real TCP connection over loopback, which the test plays by hand.
 *
 * One thread. Every wait is bounded; a wait that ends without its event fails the test. */
#ifndef TESTS_DRIVERS_PEER_WORLD_H
#define TESTS_DRIVERS_PEER_WORLD_H

#include "common/mailbox.h"
#include "common/uring.h"
#include "gateway/drivers/frontend.h"
#include "gateway/drivers/peer.h"

#define WORLD_DEPTH 128u
#define WORLD_LEGS_MAX 3u
#define WORLD_SLOT_BYTES IO_BYTES_MAX

/* What an SQE can do with a slot's memory. */
enum world_memory { MEMORY_MAPPED, MEMORY_MAPPED_AND_FIXED, MEMORY_FIXED, MEMORY_HIDDEN };

struct world_options {
	unsigned legs;
	unsigned sq_entries; /* 0: enough */
	enum world_memory memory;
	enum peers_recv recv;
	enum zc_force zero_copy;
	bool tight_sockets; /* a few tens of KiB of socket buffers: sends are cut short */
};

/* The engine's notes of one lane. */
struct lane_notes {
	unsigned connected, closed, messages, replies, placed;
	unsigned released_before_close; /* of the leg, MAIN only */
	int close_error;
	char close_reason[128];
	struct message last_message;
	struct frame last_reply;
	uint64_t last_placed;
};

struct engine {
	struct lane_notes lanes[WORLD_LEGS_MAX][LANE_COUNT];
	unsigned released[WORLD_LEGS_MAX]; /* all of the leg */
	uint8_t released_ids[WORLD_LEGS_MAX][4096];
	unsigned zeroed;
	int zero_error;
	bool refuse_replies;
	unsigned reconnects; /* so many times a lane that closed is connected again at once */
	struct peers *peers;
};

struct world {
	struct ring ring;
	struct frontend frontend;
	enum world_memory memory;
	int copy_error; /* what copy_out and copy_in answer */
	uint8_t *payloads;
	struct mailbox *to_control;
	struct engine engine;
	struct peers *peers;
	unsigned legs;
	bool tight_sockets;
	uint64_t last_notification; /* user_data */
	int remote[WORLD_LEGS_MAX][LANE_COUNT]; /* the replica's end */
	int local[WORLD_LEGS_MAX][LANE_COUNT];	/* the lane's: only to ask for its state */
};

struct world *world_new(const struct world_options *options);
/* Breaks what is open, waits until all is reported, checks that every lane was closed as often as connected. */
void world_free(struct world *world);

uint8_t *world_payload(struct world *world, unsigned slot);
/* Makes both ends of a lane and lets the peers have theirs. */
void world_connect(struct world *world, unsigned leg, enum lane lane);
void world_connect_all(struct world *world);

/* One turn of the loop: submit, completions, flush. */
void world_turn(struct world *world);
/* Turns until the condition holds. */
#define WORLD_UNTIL(world, condition)                                                                                  \
	do {                                                                                                           \
		uint64_t end_ns_ = clock_now_ns() + 20 * NS_PER_S;                                                     \
		while (!(condition)) {                                                                                 \
			if (clock_now_ns() > end_ns_)                                                                  \
				CHECK_FAIL("never came: %s", #condition);                                              \
			world_turn(world);                                                                             \
		}                                                                                                      \
	} while (0)

/* The replica's end sends; turns go on meanwhile. */
void world_send(struct world *world, unsigned leg, enum lane lane, const void *bytes, size_t len);
/* As world_send(), and returns when the lane has taken every byte out of its socket. */
void world_send_and_settle(struct world *world, unsigned leg, enum lane lane, const void *bytes, size_t len);
/* The replica's end reads exactly `len`. */
void world_recv(struct world *world, unsigned leg, enum lane lane, void *bytes, size_t len);
/* The replica's end reads a header. */
struct frame world_recv_frame(struct world *world, unsigned leg, enum lane lane);
/* Nothing (more) has come, after some turns. */
bool world_is_silent(struct world *world, unsigned leg, enum lane lane);
void world_hang_up(struct world *world, unsigned leg, enum lane lane);

/* A write of a slot's first `bytes` to legs 0..legs-1; its id is the slot's number. True as peers_send_write(). */
bool world_write(struct world *world, unsigned slot, uint32_t bytes, enum write_path path);
/* Fills the slot with a pattern of its own. */
void world_fill(struct world *world, unsigned slot, uint32_t bytes);
/* Bytes of a READ reply for `slot` behind its header; `out` holds FRAME_BYTES + bytes. Returns their number. */
size_t world_read_reply(unsigned slot, const uint8_t *payload, uint32_t bytes, uint8_t *out);
size_t world_control(const struct message *message, uint8_t *out, size_t cap);

#endif
