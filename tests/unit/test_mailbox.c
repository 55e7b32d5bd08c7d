/* Letters between two threads: order, bounds, the event. */
#include "common/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "tests/unit/check.h"

#define MANY 20000u
#define WAIT_MS 20000

static bool is_readable(const struct mailbox *mailbox, int wait_ms)
{
	struct pollfd poll_fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};

	return poll(&poll_fd, 1, wait_ms) == 1;
}

static void letters_come_out_whole_and_in_order(void)
{
	struct mailbox *mailbox = mailbox_new(4);
	struct letter first = {.kind = 1, .a = 2, .b = 3, .fd = -1, .data = &first};
	struct letter second = {.kind = 9, .fd = -1};
	struct letter got;

	CHECK_NOT_NULL(mailbox);
	CHECK_OK(mailbox_post(mailbox, &first));
	CHECK_OK(mailbox_post(mailbox, &second));
	CHECK_TRUE(mailbox_take(mailbox, &got));
	CHECK_MEM(&first, &got, sizeof(got));
	CHECK_TRUE(mailbox_take(mailbox, &got));
	CHECK_EQ_U64(9, got.kind);
	CHECK_FALSE(mailbox_take(mailbox, &got));
	mailbox_free(mailbox);
}

static void a_full_mailbox_refuses_and_takes_again_after_one_left(void)
{
	struct mailbox *mailbox = mailbox_new(2);
	struct letter letter = {.fd = -1};

	CHECK_OK(mailbox_post(mailbox, &letter));
	CHECK_OK(mailbox_post(mailbox, &letter));
	CHECK_ERRNO(-ENOSPC, mailbox_post(mailbox, &letter));
	CHECK_TRUE(mailbox_take(mailbox, &letter));
	CHECK_OK(mailbox_post(mailbox, &letter));
	mailbox_free(mailbox);
}

static void the_event_stands_until_the_mailbox_was_found_empty(void)
{
	struct mailbox *mailbox = mailbox_new(2);
	struct letter letter = {.fd = -1};

	CHECK_FALSE(is_readable(mailbox, 0));
	CHECK_OK(mailbox_post(mailbox, &letter));
	CHECK_TRUE(is_readable(mailbox, 0));
	CHECK_TRUE(mailbox_take(mailbox, &letter));
	CHECK_FALSE(mailbox_take(mailbox, &letter));
	CHECK_FALSE(is_readable(mailbox, 0));
	mailbox_free(mailbox);
}

static void a_receiver_that_reads_the_event_itself_still_hears_of_the_next_letter(void)
{
	struct mailbox *mailbox = mailbox_new(2);
	struct letter letter = {.fd = -1};
	uint64_t value;

	CHECK_OK(mailbox_post(mailbox, &letter));
	CHECK_EQ_INT(sizeof(value), read(mailbox_fd(mailbox), &value, sizeof(value)));
	CHECK_OK(mailbox_post(mailbox, &letter));
	CHECK_TRUE(is_readable(mailbox, 0));
	mailbox_free(mailbox);
}

static void freeing_closes_descriptors_nobody_took(void)
{
	struct mailbox *mailbox = mailbox_new(1);
	int fds[2];
	struct letter letter = {0};

	CHECK_OK(pipe(fds));
	letter.fd = fds[1];
	CHECK_OK(mailbox_post(mailbox, &letter));
	mailbox_free(mailbox);
	CHECK_EQ_INT(-1, fcntl(fds[1], F_GETFD));
	close(fds[0]);
	mailbox_free(NULL);
}

/* Posts 0..MANY-1, trying again when the mailbox is full. */
static void *post_many(void *arg)
{
	struct mailbox *mailbox = arg;

	for (uint32_t i = 0; i < MANY; i++) {
		const struct letter letter = {.a = i, .fd = -1};

		while (mailbox_post(mailbox, &letter) < 0)
			sched_yield();
	}
	return NULL;
}

static void two_threads_lose_no_letter_and_no_wake_up(void)
{
	struct mailbox *mailbox = mailbox_new(16);
	struct letter letter;
	uint32_t next = 0;
	pthread_t poster;

	CHECK_OK(pthread_create(&poster, NULL, post_many, mailbox));
	while (next < MANY) {
		CHECK_TRUE(is_readable(mailbox, WAIT_MS));
		while (mailbox_take(mailbox, &letter))
			CHECK_EQ_U64(next++, letter.a);
	}
	CHECK_OK(pthread_join(poster, NULL));
	CHECK_FALSE(is_readable(mailbox, 0));
	mailbox_free(mailbox);
}

static const struct check_test tests[] = {
	CHECK_TEST(letters_come_out_whole_and_in_order),
	CHECK_TEST(a_full_mailbox_refuses_and_takes_again_after_one_left),
	CHECK_TEST(the_event_stands_until_the_mailbox_was_found_empty),
	CHECK_TEST(a_receiver_that_reads_the_event_itself_still_hears_of_the_next_letter),
	CHECK_TEST(freeing_closes_descriptors_nobody_took),
	CHECK_TEST(two_threads_lose_no_letter_and_no_wake_up),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("mailbox", tests, argc, argv);
}
