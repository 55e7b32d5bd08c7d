/* Letters between threads. Knows nothing of what they mean.
 * Beside a request's path: it carries control (attach, detach, status), never payload. */
#include "common/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
	pthread_mutex_t lock;
	int event_fd;
	unsigned capacity, first, count; /* under lock */
	struct letter letters[];	 /* under lock; `count` of them from `first`, round the end */
};

struct mailbox *mailbox_new(unsigned capacity)
{
	struct mailbox *mailbox = calloc(1, sizeof(*mailbox) + (size_t)capacity * sizeof(mailbox->letters[0]));

	if (!mailbox)
		return NULL;
	mailbox->capacity = capacity;
	mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->event_fd < 0) {
		free(mailbox);
		return NULL;
	}
	pthread_mutex_init(&mailbox->lock, NULL); /* cannot fail with default attributes */
	return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
	struct letter letter;

	if (!mailbox)
		return;
	while (mailbox_take(mailbox, &letter)) {
		if (letter.fd >= 0)
			close(letter.fd);
	}
	close(mailbox->event_fd);
	pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}

int mailbox_fd(const struct mailbox *mailbox)
{
	return mailbox->event_fd;
}

int mailbox_post(struct mailbox *mailbox, const struct letter *letter)
{
	const uint64_t one = 1;
	int error = -ENOSPC;

	pthread_mutex_lock(&mailbox->lock);
	if (mailbox->count < mailbox->capacity) {
		mailbox->letters[(mailbox->first + mailbox->count) % mailbox->capacity] = *letter;
		mailbox->count++;
		error = 0;
		/* At every letter, also when others wait: the receiver may have consumed the event with a read of
		 * its own. Fails only when the counter is full, and then the descriptor is readable already. */
		if (write(mailbox->event_fd, &one, sizeof(one)) < 0)
			assert(errno == EAGAIN);
	}
	pthread_mutex_unlock(&mailbox->lock);
	return error;
}

/* Under the lock, so that the event of a letter posted meanwhile is not swallowed. */
static void drain_event(int event_fd)
{
	uint64_t value;

	if (read(event_fd, &value, sizeof(value)) < 0)
		assert(errno == EAGAIN);
}

bool mailbox_take(struct mailbox *mailbox, struct letter *ret)
{
	bool taken = false;

	pthread_mutex_lock(&mailbox->lock);
	if (mailbox->count > 0) {
		*ret = mailbox->letters[mailbox->first];
		mailbox->first = (mailbox->first + 1) % mailbox->capacity;
		mailbox->count--;
		taken = true;
	} else {
		drain_event(mailbox->event_fd);
	}
	pthread_mutex_unlock(&mailbox->lock);
	return taken;
}
