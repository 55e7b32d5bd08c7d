/* The ring's promises on the kernel at hand: exact counts, chains that are not cut, bounded waits. */
#include "common/uring.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/check.h"

#define SQ 8u
#define CQ 64u

static void start(struct ring *ring)
{
	struct err err = {0};

	if (ring_init(ring, SQ, CQ, &err) < 0)
		CHECK_FAIL("%s", err.text);
}

static void queue_nop(struct ring *ring, uint64_t user_data)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	io_uring_prep_nop(sqe);
	sqe->user_data = user_data;
}

static void a_ring_counts_entries_completions_and_enters_exactly(void)
{
	struct io_uring_cqe *cqes[CQ];
	struct ring ring;

	start(&ring);
	for (unsigned i = 0; i < 5; i++)
		queue_nop(&ring, ud_pack(UD_TICK, i));
	CHECK_OK(ring_submit_and_wait(&ring, 5, 0));
	CHECK_EQ_U64(5, ring_peek(&ring, cqes, CQ));
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ_U64(ud_pack(UD_TICK, i), cqes[i]->user_data);
	ring_seen(&ring, 5);
	CHECK_EQ_U64(0, ring_peek(&ring, cqes, CQ));
	CHECK_EQ_U64(5, ring.sqe_count);
	CHECK_EQ_U64(5, ring.cqe_count);
	CHECK_EQ_U64(1, ring.enter_count);
	ring_fini(&ring);
}

static void user_data_keeps_kind_and_56_bits(void)
{
	uint64_t user_data = ud_pack(UD_STORE, 0xaa00bbccddeeff11);

	CHECK_EQ_U64(UD_STORE, ud_kind(user_data));
	CHECK_EQ_U64(0x00bbccddeeff11, ud_bits(user_data));
}

static void an_entry_is_always_to_be_had_and_comes_zeroed(void)
{
	struct io_uring_cqe *cqes[CQ];
	struct ring ring;
	unsigned count;

	start(&ring);
	for (unsigned i = 0; i < 3 * SQ; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&ring);
		static const struct io_uring_sqe zero;

		CHECK_MEM(&zero, sqe, sizeof(zero));
		memset(sqe, 0xff, sizeof(*sqe));
		memset(sqe, 0, offsetof(struct io_uring_sqe, user_data)); /* a NOP with leftovers behind it */
		sqe->user_data = i;
		sqe->buf_index = 0;
		sqe->personality = 0;
		sqe->file_index = 0;
	}
	CHECK_OK(ring_submit_and_wait(&ring, 3 * SQ, 0));
	count = ring_peek(&ring, cqes, CQ);
	CHECK_EQ_U64(3 * SQ, count);
	for (unsigned i = 0; i < count; i++)
		CHECK_EQ_U64(i, cqes[i]->user_data);
	ring_fini(&ring);
}

/* Whether SQEs from `first` on are still in the queue is seen by what the kernel has been given. */
static void a_reserved_chain_is_not_cut(void)
{
	struct ring ring;
	uint64_t enters;

	start(&ring);
	for (unsigned i = 0; i < SQ - 2; i++)
		queue_nop(&ring, i);
	CHECK_EQ_U64(0, ring.enter_count);
	ring_reserve(&ring, 2);
	CHECK_EQ_U64(0, ring.enter_count);
	ring_reserve(&ring, 4);
	enters = ring.enter_count;
	CHECK_EQ_U64(1, enters);
	for (unsigned i = 0; i < 4; i++)
		queue_nop(&ring, 100 + i);
	CHECK_EQ_U64(enters, ring.enter_count);
	CHECK_EQ_U64(4, io_uring_sq_ready(&ring.uring));
	ring_reserve(&ring, SQ);
	CHECK_EQ_U64(0, io_uring_sq_ready(&ring.uring));
	ring_fini(&ring);
}

/* A chain of links over a socket pair: what arrives is in the chain's order. */
static void a_linked_chain_arrives_in_order(void)
{
	char got[SQ + 1] = {0};
	struct ring ring;
	int fds[2];

	start(&ring);
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	queue_nop(&ring, 0);
	ring_reserve(&ring, SQ);
	for (unsigned i = 0; i < SQ; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&ring);

		io_uring_prep_send(sqe, fds[0], &"abcdefgh"[i], 1, MSG_WAITALL);
		sqe->flags |= i + 1 < SQ ? IOSQE_IO_LINK : 0;
	}
	CHECK_OK(ring_submit_and_wait(&ring, SQ + 1, 0));
	CHECK_EQ_INT(SQ, recv(fds[1], got, SQ, MSG_WAITALL));
	CHECK_STR("abcdefgh", got);
	close(fds[0]);
	close(fds[1]);
	ring_fini(&ring);
}

static void a_wait_with_a_limit_ends_without_error(void)
{
	struct io_uring_cqe *cqe;
	struct ring ring;
	uint64_t begin;

	start(&ring);
	begin = clock_now_ns();
	CHECK_OK(ring_submit_and_wait(&ring, 1, 3 * NS_PER_MS));
	CHECK_TRUE(clock_now_ns() - begin >= 3 * NS_PER_MS);
	CHECK_EQ_U64(0, ring_peek(&ring, &cqe, 1));
	CHECK_EQ_U64(1, ring.enter_count);
	CHECK_EQ_U64(0, ring.sqe_count);
	ring_fini(&ring);
}

static void a_wait_for_some_is_content_with_less_after_its_minimum(void)
{
	struct io_uring_cqe *cqes[CQ];
	struct ring ring;
	uint64_t begin;

	start(&ring);
	queue_nop(&ring, 7);
	begin = clock_now_ns();
	CHECK_OK(ring_submit_and_wait_some(&ring, 2, 1000, 600 * NS_PER_S));
	CHECK_TRUE(clock_now_ns() - begin < 300 * NS_PER_S);
	CHECK_TRUE(!ring.has_min_wait || clock_now_ns() - begin >= NS_PER_MS);
	CHECK_EQ_U64(1, ring.enter_count);
	CHECK_EQ_U64(1, ring_peek(&ring, cqes, CQ));
	CHECK_EQ_U64(7, cqes[0]->user_data);
	ring_fini(&ring);
}

static void a_wait_for_some_ends_when_all_are_there(void)
{
	struct io_uring_cqe *cqes[CQ];
	struct ring ring;

	start(&ring);
	for (unsigned i = 0; i < SQ; i++) /* around the end of the queue, too */
		queue_nop(&ring, i);
	CHECK_OK(ring_submit_and_wait_some(&ring, 2, 600000000, 600 * NS_PER_S));
	CHECK_EQ_U64(SQ, ring_peek(&ring, cqes, CQ));
	ring_seen(&ring, SQ);
	queue_nop(&ring, 100);
	queue_nop(&ring, 101);
	CHECK_OK(ring_submit_and_wait_some(&ring, 2, 600000000, 600 * NS_PER_S));
	CHECK_EQ_U64(0, io_uring_sq_ready(&ring.uring));
	CHECK_EQ_U64(2, ring_peek(&ring, cqes, CQ));
	CHECK_EQ_U64(101, cqes[1]->user_data);
	CHECK_EQ_U64(2, ring.enter_count);
	ring_seen(&ring, 2);
	CHECK_OK(ring_submit_and_wait_some(&ring, 2, 1000, 2 * NS_PER_MS)); /* none: as with any limit */
	CHECK_EQ_U64(0, ring_peek(&ring, cqes, CQ));
	ring_fini(&ring);
}

static void a_wait_for_nothing_submits_and_returns(void)
{
	struct io_uring_cqe *cqes[CQ];
	struct ring ring;

	start(&ring);
	queue_nop(&ring, 1);
	CHECK_OK(ring_submit_and_wait(&ring, 0, 0));
	CHECK_EQ_U64(1, ring_peek(&ring, cqes, CQ));
	CHECK_OK(ring_submit_and_wait(&ring, 1, 0)); /* it is there already: no sleep */
	CHECK_EQ_U64(2, ring.enter_count);
	ring_fini(&ring);
}

static void completions_beyond_the_ring_are_not_lost(void)
{
	struct io_uring_cqe *cqes[2 * CQ];
	struct ring ring;
	unsigned seen = 0;

	start(&ring);
	for (unsigned i = 0; i < 2 * CQ; i++)
		queue_nop(&ring, i);
	for (unsigned turn = 0; turn < 100 && seen < 2 * CQ; turn++) {
		unsigned count;

		CHECK_OK(ring_submit_and_wait(&ring, 1, NS_PER_S));
		count = ring_peek(&ring, cqes, 2 * CQ);
		for (unsigned i = 0; i < count; i++)
			CHECK_EQ_U64(seen + i, cqes[i]->user_data);
		ring_seen(&ring, count);
		seen += count;
	}
	CHECK_EQ_U64(2 * CQ, seen);
	CHECK_EQ_U64(2 * CQ, ring.cqe_count);
	ring_fini(&ring);
}

static void queue_silent_send(struct ring *ring, int fd)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	io_uring_prep_send(sqe, fd, "lockstep", 8, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

static void a_silent_send_has_passed_once_it_was_submitted(void)
{
	struct io_uring_cqe *cqe;
	struct ring ring;
	unsigned mark;
	int fds[2];

	start(&ring);
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	queue_silent_send(&ring, fds[0]);
	mark = ring_mark(&ring);
	CHECK_FALSE(ring_has_passed(&ring, mark));
	CHECK_OK(ring_submit_and_wait(&ring, 0, 0));
	CHECK_EQ_U64(0, ring_peek(&ring, &cqe, 1));
	CHECK_TRUE(ring_has_passed(&ring, mark));
	close(fds[0]);
	close(fds[1]);
	ring_fini(&ring);
}

static void a_silent_send_that_failed_has_not_passed_until_it_was_seen(void)
{
	struct io_uring_cqe *cqe;
	struct ring ring;
	unsigned mark;
	int fds[2];

	start(&ring);
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	close(fds[1]);
	queue_silent_send(&ring, fds[0]);
	mark = ring_mark(&ring);
	CHECK_OK(ring_submit_and_wait(&ring, 0, 0));
	CHECK_FALSE(ring_has_passed(&ring, mark));
	CHECK_EQ_U64(1, ring_peek(&ring, &cqe, 1));
	CHECK_ERRNO(-EPIPE, cqe->res);
	ring_seen(&ring, 1);
	close(fds[0]);
	ring_fini(&ring);
}

/* ---- Busy polling. ---- */

/* A ring whose next wait is polled. */
static void start_polling(struct ring *ring, uint64_t limit_ns)
{
	start(ring);
	ring->busy_poll = (struct busy_poll){.limit_ns = limit_ns, .patience_ns = limit_ns};
	while (!busy_poll_is_due(&ring->busy_poll))
		busy_poll_learn(&ring->busy_poll, 0);
}

static void queue_recv(struct ring *ring, int fd, char *byte)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	io_uring_prep_recv(sqe, fd, byte, 1, 0);
	sqe->user_data = 7;
}

static void *send_a_byte_soon(void *arg)
{
	const int *fd = arg;

	(void)usleep(20000);
	(void)!write(*fd, "x", 1); /* what it leads to is checked where the test runs */
	return NULL;
}

/* Polling for up to `limit_ns`, waits for a byte that another thread sends after a while. The ring stays open. */
static void wait_for_a_byte(struct ring *ring, uint64_t limit_ns)
{
	struct io_uring_cqe *cqe;
	pthread_t sender;
	int fds[2];
	char byte = 0;

	start_polling(ring, limit_ns);
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	queue_recv(ring, fds[0], &byte);
	CHECK_OK(pthread_create(&sender, NULL, send_a_byte_soon, &fds[1]));
	CHECK_OK(ring_submit_and_wait(ring, 1, 0));
	CHECK_EQ_U64(1, ring->poll_count);
	CHECK_EQ_U64(1, ring_peek(ring, &cqe, 1));
	CHECK_EQ_INT('x', byte);
	ring_seen(ring, 1);
	CHECK_OK(pthread_join(sender, NULL));
	close(fds[0]);
	close(fds[1]);
}

static void a_polled_wait_finds_what_another_thread_sends(void)
{
	struct ring ring;

	wait_for_a_byte(&ring, 3600 * NS_PER_S);
	CHECK_EQ_U64(1, ring.poll_hit_count);
	CHECK_EQ_U64(2, ring.enter_count); /* the submit, and the task work: looking costs none */
	ring_fini(&ring);
}

static void a_poll_that_finds_nothing_goes_on_asleep(void)
{
	struct ring ring;

	wait_for_a_byte(&ring, 1);
	CHECK_EQ_U64(0, ring.poll_hit_count);
	ring_fini(&ring);
}

static void the_caller_s_limit_ends_a_poll(void)
{
	struct io_uring_cqe *cqe;
	struct ring ring;

	start_polling(&ring, 3600 * NS_PER_S);
	CHECK_OK(ring_submit_and_wait(&ring, 1, NS_PER_MS));
	CHECK_EQ_U64(1, ring.poll_count);
	CHECK_EQ_U64(0, ring.poll_hit_count);
	CHECK_EQ_U64(0, ring_peek(&ring, &cqe, 1));
	ring_fini(&ring);
}

static void what_is_there_already_is_not_polled_for(void)
{
	struct io_uring_cqe *cqes[CQ];
	struct ring ring;

	start_polling(&ring, 3600 * NS_PER_S);
	queue_nop(&ring, 1);
	CHECK_OK(ring_submit_and_wait(&ring, 0, 0));
	CHECK_OK(ring_submit_and_wait(&ring, 1, 0));
	CHECK_EQ_U64(0, ring.poll_count);
	CHECK_EQ_U64(1, ring_peek(&ring, cqes, CQ));
	ring_fini(&ring);
}

/* A receive that waits, an entry at which the kernel stops (it has no such number), and a NOP behind it. */
static void queue_what_is_cut(struct ring *ring, int fd, char *byte)
{
	unsigned at;

	queue_recv(ring, fd, byte);
	at = ring->uring.sq.sqe_tail & ring->uring.sq.ring_mask;
	queue_nop(ring, 1);
	ring->uring.sq.array[at] = UINT32_MAX;
	queue_nop(ring, 2);
}

static void what_the_kernel_left_is_not_submitted_before_the_caller_saw_it(void)
{
	struct ring ring;
	int fds[2];
	char byte;

	start_polling(&ring, NS_PER_MS);
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	queue_what_is_cut(&ring, fds[0], &byte);
	CHECK_OK(ring_submit_and_wait(&ring, 1, NS_PER_MS));
	CHECK_EQ_U64(1, ring.cut_count);
	CHECK_EQ_U64(1, io_uring_sq_ready(&ring.uring));
	CHECK_OK(ring_submit_and_wait(&ring, 1, NS_PER_S));
	CHECK_EQ_U64(0, io_uring_sq_ready(&ring.uring));
	ring_fini(&ring);
	close(fds[0]);
	close(fds[1]);
}

static void a_ring_too_large_is_refused_with_a_sentence(void)
{
	struct err err = {0};
	struct ring ring;

	CHECK_TRUE(ring_init(&ring, 1u << 20, 1u << 21, &err) < 0);
	CHECK_STR_HAS("io_uring", err.text);
}

static void receiving_into_a_registered_buffer_is_probed_by_doing_it(void)
{
	int first = ring_probe_fixed_recv();

	CHECK_TRUE(first == 0 || first == 1);
	CHECK_EQ_INT(first, ring_probe_fixed_recv());
}

static void a_fixed_buffer_changes_only_flag_and_index(void)
{
	struct io_uring_sqe sqe = {.ioprio = IORING_RECVSEND_POLL_FIRST};

	ring_prep_fixed_buf(&sqe, 77);
	CHECK_EQ_U64(IORING_RECVSEND_POLL_FIRST | IORING_RECVSEND_FIXED_BUF, sqe.ioprio);
	CHECK_EQ_U64(77, sqe.buf_index);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_ring_counts_entries_completions_and_enters_exactly),
	CHECK_TEST(user_data_keeps_kind_and_56_bits),
	CHECK_TEST(an_entry_is_always_to_be_had_and_comes_zeroed),
	CHECK_TEST(a_reserved_chain_is_not_cut),
	CHECK_TEST(a_linked_chain_arrives_in_order),
	CHECK_TEST(a_wait_with_a_limit_ends_without_error),
	CHECK_TEST(a_wait_for_nothing_submits_and_returns),
	CHECK_TEST(completions_beyond_the_ring_are_not_lost),
	CHECK_TEST(a_wait_for_some_is_content_with_less_after_its_minimum),
	CHECK_TEST(a_wait_for_some_ends_when_all_are_there),
	CHECK_TEST(a_silent_send_has_passed_once_it_was_submitted),
	CHECK_TEST(a_silent_send_that_failed_has_not_passed_until_it_was_seen),
	CHECK_TEST(a_polled_wait_finds_what_another_thread_sends),
	CHECK_TEST(a_poll_that_finds_nothing_goes_on_asleep),
	CHECK_TEST(the_caller_s_limit_ends_a_poll),
	CHECK_TEST(what_is_there_already_is_not_polled_for),
	CHECK_TEST(what_the_kernel_left_is_not_submitted_before_the_caller_saw_it),
	CHECK_TEST(a_ring_too_large_is_refused_with_a_sentence),
	CHECK_TEST(receiving_into_a_registered_buffer_is_probed_by_doing_it),
	CHECK_TEST(a_fixed_buffer_changes_only_flag_and_index),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("uring", tests, argc, argv);
}
