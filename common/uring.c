/* A ring per data thread: set-up, all-or-nothing SQE reservation, exact counts. Knows neither blocks nor frames.
 * On every request's path: each SQE comes from ring_sqe() and leaves in ring_submit_and_wait(). */
#include "common/uring.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define LOOKS_PER_YIELD 4u
#define CQ_ENTRIES_MAX 65536u /* Linux io_uring/io_uring.c IORING_MAX_CQ_ENTRIES */

static int refuse_init(struct err *err, int error)
{
	switch (error) {
	case -ENOSYS:
		return err_set(err, error, "io_uring: this kernel has none; use Linux 6.1 or newer");
	case -EPERM:
		return err_set(err, error,
			       "io_uring: forbidden here; allow it in the sysctl kernel.io_uring_disabled "
			       "or in the container's seccomp profile");
	case -EINVAL:
		return err_set(err, error,
			       "io_uring: this kernel lacks SINGLE_ISSUER or DEFER_TASKRUN, or the ring "
			       "is too large for it; use Linux 6.1 or newer");
	case -ENOMEM:
		return err_set(err, error,
			       "io_uring: no memory for the ring; raise RLIMIT_MEMLOCK or the memory limit");
	default:
		return err_set(err, error, "io_uring: set-up failed: %s", err_name(error));
	}
}

int ring_init(struct ring *ring, unsigned sq_entries, unsigned cq_entries, struct err *err)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG,
		.cq_entries = cq_entries < CQ_ENTRIES_MAX ? cq_entries : CQ_ENTRIES_MAX,
	};
	int error;

	memset(ring, 0, sizeof(*ring));
	error = io_uring_queue_init_params(sq_entries, &ring->uring, &params);
	if (error < 0)
		return refuse_init(err, error);
	ring->has_min_wait = params.features & IORING_FEAT_MIN_TIMEOUT;
	error = io_uring_register_ring_fd(&ring->uring); /* 1: one descriptor registered */
	if (error != 1) {
		error = error < 0 ? error : -EIO;
		err_set(err, error, "io_uring: the ring's descriptor cannot be registered: %s", err_name(error));
		io_uring_queue_exit(&ring->uring);
		return error;
	}
	return 0;
}

void ring_fini(struct ring *ring)
{
	io_uring_queue_exit(&ring->uring);
}

/* The kernel took less than all for want of memory, or a signal came: what is left stays queued, in order. */
static bool is_passing(int error)
{
	return error == -EAGAIN || error == -EBUSY || error == -EINTR || error == -ETIME;
}

/* After an io_uring_enter() with `queued` entries. */
static void count_enter(struct ring *ring, unsigned queued)
{
	unsigned left = io_uring_sq_ready(&ring->uring);

	ring->enter_count++;
	if (left && left < queued)
		ring->cut_count++;
}

/* Empties the queue until `count` entries are free. An error that does not pass is our own mistake: a ring that was
 * closed, or a thread that does not own it. */
static void make_space(struct ring *ring, unsigned count)
{
	while (io_uring_sq_space_left(&ring->uring) < count) {
		unsigned queued = io_uring_sq_ready(&ring->uring);
		int submitted = io_uring_submit_and_get_events(&ring->uring);

		count_enter(ring, queued);
		assert(submitted >= 0 || is_passing(submitted));
		if (submitted <= 0)
			sched_yield();
	}
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
	struct io_uring_sqe *sqe;

	make_space(ring, 1);
	sqe = io_uring_get_sqe(&ring->uring);
	assert(sqe);
	memset(sqe, 0, sizeof(*sqe));
	ring->sqe_count++;
	return sqe;
}

void ring_reserve(struct ring *ring, unsigned count)
{
	assert(count <= ring->uring.sq.ring_entries);
	make_space(ring, count);
}

static bool has_completions(const struct ring *ring, unsigned count)
{
	return io_uring_cq_ready(&ring->uring) >= count;
}

static int wait_asleep(struct ring *ring, unsigned wait_nr, uint64_t max_wait_ns)
{
	struct __kernel_timespec limit = {.tv_sec = (int64_t)(max_wait_ns / NS_PER_S),
					  .tv_nsec = (int64_t)(max_wait_ns % NS_PER_S)};
	unsigned queued = io_uring_sq_ready(&ring->uring);
	struct io_uring_cqe *cqe;
	int error;

	/* Enough completions wait already: no sleep, but deferred task work (notifications above all) still runs. */
	if (has_completions(ring, wait_nr))
		error = io_uring_submit_and_get_events(&ring->uring);
	else if (max_wait_ns == 0)
		error = io_uring_submit_and_wait(&ring->uring, wait_nr);
	else /* The limit travels as IORING_ENTER_EXT_ARG: the kernel reads it within the call, no SQE points to it. */
		error = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, wait_nr, &limit, NULL);
	count_enter(ring, queued);
	return error >= 0 || is_passing(error) ? 0 : error;
}

/* struct io_uring_getevents_arg as Linux 6.12 has it. */
struct min_wait_arg {
	uint64_t sigmask;
	uint32_t sigmask_sz;
	uint32_t min_wait_us;
	uint64_t ts;
};
static_assert(sizeof(struct min_wait_arg) == sizeof(struct io_uring_getevents_arg), "the kernel's layout");

/* What liburing does before it enters: the kernel sees the queue's new end. Returns how many it is to take. */
static unsigned publish_queue(struct io_uring *uring)
{
	struct io_uring_sq *sq = &uring->sq;

	sq->sqe_head = sq->sqe_tail;
	__atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
	return sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
}

static int wait_asleep_for_some(struct ring *ring, unsigned wait_nr, unsigned min_wait_us, uint64_t max_wait_ns)
{
	const struct __kernel_timespec limit = {.tv_sec = (int64_t)(max_wait_ns / NS_PER_S),
						.tv_nsec = (int64_t)(max_wait_ns % NS_PER_S)};
	struct min_wait_arg arg = {.min_wait_us = min_wait_us, .ts = (uintptr_t)&limit};
	unsigned queued = io_uring_sq_ready(&ring->uring);
	int error;

	if (min_wait_us == 0)
		return wait_asleep(ring, wait_nr, max_wait_ns);
	if (wait_nr <= 1 || !ring->has_min_wait || max_wait_ns == 0 || has_completions(ring, 1))
		return wait_asleep(ring, wait_nr ? 1 : 0, max_wait_ns);
	error = io_uring_enter2((unsigned)ring->uring.enter_ring_fd, publish_queue(&ring->uring), wait_nr,
				IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_REGISTERED_RING,
				(sigset_t *)&arg, sizeof(arg));
	count_enter(ring, queued);
	return error >= 0 || is_passing(error) ? 0 : error;
}

/* ---- Busy polling. ---- */

/* Completions come by task work, which the kernel runs when the ring's thread enters it; that there is some it says in
 * shared memory (IORING_SETUP_TASKRUN_FLAG, Linux 5.19), so that looking costs no system call. */
static bool has_task_work(const struct ring *ring)
{
	return __atomic_load_n(ring->uring.sq.kflags, __ATOMIC_ACQUIRE) & IORING_SQ_TASKRUN;
}

static void relax_cpu(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

enum looked { LOOKED_NOTHING, LOOKED_PROGRESS, LOOKED_COMPLETION };

/* Looks a few times for task work and has it run. */
static enum looked look(struct ring *ring)
{
	for (unsigned i = 0; i < LOOKS_PER_YIELD; i++) {
		if (has_task_work(ring)) {
			unsigned before = io_uring_cq_ready(&ring->uring);

			(void)io_uring_get_events(&ring->uring);
			ring->enter_count++;
			return has_completions(ring, before + 1) ? LOOKED_COMPLETION : LOOKED_PROGRESS;
		}
		relax_cpu();
	}
	return LOOKED_NOTHING;
}

/* Until `wait_nr` completions are there, the time is up, the processor turns out to be wanted, or a large transfer goes
 * on by a piece: while this thread sleeps the next pieces get larger. Without the yield a thread that this one waits
 * for could sit behind it until the scheduler's next tick. */
static void poll_for(struct ring *ring, unsigned wait_nr, uint64_t begin_ns, uint64_t max_wait_ns)
{
	const uint64_t limit_ns = ring->busy_poll.limit_ns;
	const uint64_t end_ns = begin_ns + (max_wait_ns && max_wait_ns < limit_ns ? max_wait_ns : limit_ns);
	uint64_t last_ns = begin_ns, now_ns = begin_ns;

	while (!has_completions(ring, wait_nr) && now_ns < end_ns && now_ns - last_ns <= ring->busy_poll.patience_ns) {
		enum looked looked = look(ring);

		if (looked == LOOKED_PROGRESS)
			return;
		if (looked == LOOKED_NOTHING)
			(void)sched_yield();
		last_ns = now_ns;
		now_ns = clock_now_ns();
	}
}

/* The kernel did not take all: that is the caller's to see before the rest is submitted (`cut_count`). */
static bool has_left(const struct ring *ring)
{
	return io_uring_sq_ready(&ring->uring) > 0;
}

static int submit_and_poll(struct ring *ring, unsigned wait_nr, uint64_t begin_ns, uint64_t max_wait_ns)
{
	int error = wait_asleep(ring, 0, 0); /* for none: submits, and runs what task work there is */

	if (error || has_left(ring))
		return error;
	ring->poll_count++;
	poll_for(ring, wait_nr, begin_ns, max_wait_ns);
	ring->poll_hit_count += has_completions(ring, wait_nr);
	return 0;
}

int ring_submit_and_wait_some(struct ring *ring, unsigned wait_nr, unsigned min_wait_us, uint64_t max_wait_ns)
{
	uint64_t begin_ns;
	int error = 0;

	if (!ring->busy_poll.limit_ns || has_completions(ring, wait_nr))
		return wait_asleep_for_some(ring, wait_nr, min_wait_us, max_wait_ns);
	begin_ns = clock_now_ns();
	if (busy_poll_is_due(&ring->busy_poll)) {
		error = submit_and_poll(ring, wait_nr, begin_ns, max_wait_ns);
		if (has_left(ring))
			return error;
	}
	if (!error && !has_completions(ring, wait_nr))
		error = wait_asleep_for_some(ring, wait_nr, min_wait_us, max_wait_ns);
	busy_poll_learn(&ring->busy_poll, clock_now_ns() - begin_ns);
	return error;
}

int ring_submit_and_wait(struct ring *ring, unsigned wait_nr, uint64_t max_wait_ns)
{
	return ring_submit_and_wait_some(ring, wait_nr, 0, max_wait_ns);
}

unsigned ring_peek(struct ring *ring, struct io_uring_cqe **cqes, unsigned cap)
{
	/* When it finds none it would enter the kernel for task work: that is for the next wait, and counted there. */
	return has_completions(ring, 1) ? io_uring_peek_batch_cqe(&ring->uring, cqes, cap) : 0;
}

void ring_seen(struct ring *ring, unsigned count)
{
	io_uring_cq_advance(&ring->uring, count);
	ring->cqe_count += count;
}

unsigned ring_mark(const struct ring *ring)
{
	return ring->uring.sq.sqe_tail;
}

bool ring_has_passed(const struct ring *ring, unsigned mark)
{
	const struct io_uring *uring = &ring->uring;
	unsigned taken = __atomic_load_n(uring->sq.khead, __ATOMIC_ACQUIRE);
	unsigned flags = __atomic_load_n(uring->sq.kflags, __ATOMIC_RELAXED);

	return (int)(taken - mark) >= 0 && io_uring_cq_ready(uring) == 0 && !(flags & IORING_SQ_CQ_OVERFLOW);
}

void ring_prep_fixed_buf(struct io_uring_sqe *sqe, uint16_t buf_index)
{
	sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
	sqe->buf_index = buf_index;
}

/* Receives `want` into the registered buffer. The CQE's result, or -errno of the attempt itself. */
static int try_fixed_recv(struct ring *ring, int fd, char *buffer, unsigned want)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);
	struct io_uring_cqe *cqe;
	int error;

	io_uring_prep_recv(sqe, fd, buffer, want, MSG_WAITALL);
	ring_prep_fixed_buf(sqe, 0);
	error = ring_submit_and_wait(ring, 1, NS_PER_S);
	if (error)
		return error;
	if (ring_peek(ring, &cqe, 1) == 0)
		return -ETIME;
	error = cqe->res;
	ring_seen(ring, 1);
	return error;
}

static int probe_on_ring(struct ring *ring, const int fds[2])
{
	static const char sent[8] = "lockstep";
	char buffer[4096] = {0};
	const struct iovec iovec = {buffer, sizeof(buffer)};
	int result = io_uring_register_buffers(&ring->uring, &iovec, 1);

	if (result < 0)
		return result;
	if (send(fds[1], sent, sizeof(sent), MSG_NOSIGNAL) != (ssize_t)sizeof(sent))
		return -EIO;
	result = try_fixed_recv(ring, fds[0], buffer, sizeof(sent));
	if (result == -EINVAL)
		return 0;
	if (result < 0)
		return result;
	return result == (int)sizeof(sent) && memcmp(buffer, sent, sizeof(sent)) == 0;
}

int ring_probe_fixed_recv(void)
{
	struct ring ring;
	int fds[2];
	int result;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	result = ring_init(&ring, 4, 8, NULL);
	if (result == 0) {
		result = probe_on_ring(&ring, fds);
		ring_fini(&ring);
	}
	close(fds[0]);
	close(fds[1]);
	return result;
}
