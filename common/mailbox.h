/* Messages between the control thread and a data thread: bounded ring of fixed-size letters, mutex and eventfd.
 * Any thread posts; one thread takes. The eventfd is readable while letters wait (eventfd(2), EFD_NONBLOCK). */
#ifndef COMMON_MAILBOX_H
#define COMMON_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

struct letter {
	uint32_t kind; /* the receiver's enum */
	uint32_t a, b;
	int fd;	    /* -1, or a descriptor that the receiver takes */
	void *data; /* NULL, or memory whose ownership the receiver's enum defines */
};

struct mailbox;

/* NULL on ENOMEM/EMFILE (errno). */
struct mailbox *mailbox_new(unsigned capacity);
void mailbox_free(struct mailbox *mailbox);
int mailbox_fd(const struct mailbox *mailbox);
/* 0 or -ENOSPC (full: the letter still belongs to the caller). */
int mailbox_post(struct mailbox *mailbox, const struct letter *letter) must_check;
/* false when empty (and then the eventfd is drained). */
bool mailbox_take(struct mailbox *mailbox, struct letter *ret);

#endif
