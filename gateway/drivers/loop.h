/* The data thread: one ring, one engine, one frontend, all legs. Everything a block request needs happens on it.
 * The other threads reach it by its mailbox only (letters.h). */
#ifndef GATEWAY_DRIVERS_LOOP_H
#define GATEWAY_DRIVERS_LOOP_H

#include <stdint.h>

#include "common/busy_poll.h"
#include "common/compiler.h"
#include "common/err.h"
#include "gateway/core/engine.h"
#include "gateway/drivers/peer.h"

struct events;
struct frontend;
struct loop;
struct mailbox;

struct loop_options {
	const struct volume_spec *spec; /* all pointers: borrowed until loop_join() */
	struct engine_options engine;	/* queue_depth and memory_is_pinned are taken from the frontend */
	struct frontend *frontend;
	struct mailbox *to_data, *to_control;
	struct events *events;
	enum peers_recv recv;
	enum zc_force zero_copy;
	struct busy_poll busy_poll;
};

/* The data of LETTER_STATUS: filled by the data thread. */
struct loop_status {
	uint64_t now_ns; /* when it was filled: since_ns fields are relative to it */
	struct engine_status engine;
	struct peers_stats peers;
	uint64_t ring_sqe_count, ring_cqe_count, ring_enter_count, ring_poll_count, ring_poll_hit_count;
	uint64_t buffer_fallbacks;
};

/* Starts the thread and waits until it has everything it needs. 0 or -errno with `err`. */
int loop_start(const struct loop_options *options, struct loop **ret, struct err *err) must_check;
/* After LETTER_DATA_STOPPED: waits for the thread and frees all it had. */
void loop_join(struct loop *loop);
/* Grows with every turn, at least every 100 ms while the thread is well. Any thread. */
uint64_t loop_heartbeat(const struct loop *loop);

#endif
