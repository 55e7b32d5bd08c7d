/* io_uring for both daemons: set-up, all-or-nothing SQE reservation, user_data packing, constants newer than Debian
 * 12's liburing 2.3. Nothing here knows blocks or frames. A ring belongs to one thread (SINGLE_ISSUER, DEFER_TASKRUN).
 */
#ifndef COMMON_URING_H
#define COMMON_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/busy_poll.h"
#include "common/compiler.h"
#include "common/err.h"

#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3) /* Linux 6.2 */
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif
#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15) /* Linux 6.12 */
#endif

/* user_data: kind (8) | owner's bits (56). Never a pointer: a completion may outlive what it was about. */
enum ud_kind { UD_NONE = 0, UD_FRONTEND, UD_PEER, UD_MAILBOX, UD_TICK, UD_ZERO, UD_CONN, UD_STORE };
#define UD_KIND_SHIFT 56
#define UD_BITS_MASK ((1ull << UD_KIND_SHIFT) - 1)

static inline uint64_t ud_pack(enum ud_kind kind, uint64_t bits)
{
	return ((uint64_t)kind << UD_KIND_SHIFT) | (bits & UD_BITS_MASK);
}

static inline enum ud_kind ud_kind(uint64_t user_data)
{
	return (enum ud_kind)(user_data >> UD_KIND_SHIFT);
}

static inline uint64_t ud_bits(uint64_t user_data)
{
	return user_data & UD_BITS_MASK;
}

struct ring {
	struct io_uring uring;
	/* Exact counts, for the benchmark's "per operation" columns. */
	uint64_t sqe_count, cqe_count, enter_count;
	/* Submits of which the kernel, short of memory for a request, took only a part: a linked chain may have been
	 * cut. */
	uint64_t cut_count;
	bool has_min_wait;	    /* IORING_FEAT_MIN_TIMEOUT, Linux 6.12 */
	struct busy_poll busy_poll; /* never, until the owner sets it */
	/* Waits that were polled, and those of them that ended without a sleep. */
	uint64_t poll_count, poll_hit_count;
};

/* Flags: SINGLE_ISSUER | DEFER_TASKRUN | TASKRUN_FLAG | CQSIZE | SUBMIT_ALL, ring fd registered; the ring is created
 * enabled, on the calling thread, which must be the one that uses it. Of completions it has room for at most 65536; the
 * kernel keeps what is more. 0 or -errno in `err` with what the kernel lacks.
 */
int ring_init(struct ring *ring, unsigned sq_entries, unsigned cq_entries, struct err *err) must_check;
void ring_fini(struct ring *ring);

/* One zeroed SQE; submits first when the queue is full (never between the SQEs of a reserved chain). Never NULL. */
struct io_uring_sqe *ring_sqe(struct ring *ring);
/* Makes sure the next `count` ring_sqe() calls do not submit in between, so a linked chain is not cut
 * (a chain cannot span two io_uring_enter calls, io_uring_enter(2)). Asserts count <= sq entries. */
void ring_reserve(struct ring *ring, unsigned count);
/* Submit all and wait for `wait_nr` completions, or until `max_wait_ns` (0: for ever). Exactly one io_uring_enter(2),
 * which also runs deferred task work; where busy_poll says so, it looks for them for a while first, which takes one
 * more, one whenever there is task work, and sched_yield(2), so that others run meanwhile. 0 or -errno; EINTR, ETIME,
 * and a kernel short of memory (EAGAIN, EBUSY: what was not taken stays queued) are 0, so the caller looks at its
 * completions either way. */
int ring_submit_and_wait(struct ring *ring, unsigned wait_nr, uint64_t max_wait_ns) must_check;

/* The same, but after `min_wait_us` one completion is enough, too: to be woken once for what usually comes together.
 * No more system calls than that; a kernel that cannot (before Linux 6.12) waits for one. */
int ring_submit_and_wait_some(struct ring *ring, unsigned wait_nr, unsigned min_wait_us, uint64_t max_wait_ns)
	must_check;

/* Up to `cap` completions, oldest first; lent until ring_seen(), which gives `count` of them back and counts them. */
unsigned ring_peek(struct ring *ring, struct io_uring_cqe **cqes, unsigned cap);
void ring_seen(struct ring *ring, unsigned count);

/* A mark behind the last ring_sqe(), and whether all before it was submitted and no completion waits unseen. Together
 * they tell that an operation which never waits (MSG_DONTWAIT) and completes silently (IOSQE_CQE_SKIP_SUCCESS) has
 * succeeded: its failure would have been posted before io_uring_enter() returned. */
unsigned ring_mark(const struct ring *ring);
bool ring_has_passed(const struct ring *ring, unsigned mark);

/* SEND/RECV on a registered buffer (Linux 7.2: IORING_RECVSEND_FIXED_BUF on plain send/recv): address is base + offset.
 */
void ring_prep_fixed_buf(struct io_uring_sqe *sqe, uint16_t buf_index);
/* Does the kernel have it? Asks by doing: a socketpair and a registered buffer. 1, 0 or -errno. */
int ring_probe_fixed_recv(void);

#endif
