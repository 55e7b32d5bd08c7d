/* When a thread that waits for completions looks for them itself for a while before it sleeps. busy_poll.c decides
 * only, without system calls or a clock; common/uring.c polls. Belongs to the ring's thread.
 *
 * A sleep costs a switch to the next thread and one back, and often an interrupt to a halted processor; in a row of
 * small requests that is most of what they take. So a wait is polled where the last ones were short (as halt polling of
 * KVM does, Documentation/virt/kvm/halt-polling.rst in Linux), and a poll ends early where another thread wants the
 * processor: sleeping lets work gather, which is then worth more. */
#ifndef COMMON_BUSY_POLL_H
#define COMMON_BUSY_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"

#define BUSY_POLL_AUTO UINT32_MAX
#define BUSY_POLL_MAX_US 10000u

struct busy_poll {
	uint64_t limit_ns;    /* the longest poll; 0: never */
	uint64_t patience_ns; /* a turn of a poll that takes longer, has waited for another thread */
	bool is_held;	      /* not now, says the owner */
	unsigned score;	      /* of the last waits: how sure it is that the next one is short */
};

/* "auto", "off" or microseconds. `*ret_us`: BUSY_POLL_AUTO, 0, or 1 to BUSY_POLL_MAX_US. 0, or -EINVAL and a sentence
 * without the setting's name. */
int busy_poll_parse(const char *text, uint32_t *ret_us, struct err *err) must_check;

/* `switch_ns`: what waking another process and being woken by it costs here; 0: unknown. */
struct busy_poll busy_poll_new(uint32_t us, uint64_t switch_ns);
/* The same with that measured, and logged. Makes two processes and ends them; some milliseconds. Drivers, at startup.
 */
struct busy_poll busy_poll_measure(uint32_t us);

/* Is the next wait to be polled? */
bool busy_poll_is_due(const struct busy_poll *poll);
/* A wait is over that took `waited_ns`, polled or slept. */
void busy_poll_learn(struct busy_poll *poll, uint64_t waited_ns);

#endif
