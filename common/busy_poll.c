/* Whether to poll or to sleep, from how long the last waits took. Knows neither rings nor clocks. */
#include "common/busy_poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In units of a switch there and back. A poll of many times what it saves is not worth its processor; a turn of a few
 * is one in which others ran. Measured on two processors and under emulation
 * (docs/decisions/0008-short-waits-are-polled.md). */
#define LIMIT_SWITCHES 30u
#define PATIENCE_SWITCHES 4u
/* Longer waits are the network's or a disk's, beside which a switch is nothing. */
#define AUTO_LIMIT_MAX_NS 500000u

/* Short waits in a row before polling begins, and the most that are remembered: a long wait forgets half. */
#define SCORE_DUE 4u
#define SCORE_MAX 8u

int busy_poll_parse(const char *text, uint32_t *ret_us, struct err *err)
{
	char *end;
	unsigned long value;

	if (!strcmp(text, "auto") || !strcmp(text, "off")) {
		*ret_us = *text == 'a' ? BUSY_POLL_AUTO : 0;
		return 0;
	}
	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < 1 || value > BUSY_POLL_MAX_US)
		return err_set(err, -EINVAL, "'%s' is neither auto, off nor 1 to %u microseconds", text,
			       BUSY_POLL_MAX_US);
	*ret_us = (uint32_t)value;
	return 0;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

struct busy_poll busy_poll_new(uint32_t us, uint64_t switch_ns)
{
	uint64_t limit_ns = us == BUSY_POLL_AUTO ? min(LIMIT_SWITCHES * switch_ns, AUTO_LIMIT_MAX_NS) : us * 1000ull;
	uint64_t patience_ns = limit_ns * 2 / 5; /* all that a dear switch, or one of unknown cost, may take */

	if (switch_ns)
		patience_ns = min(patience_ns, PATIENCE_SWITCHES * switch_ns);
	return (struct busy_poll){.limit_ns = limit_ns, .patience_ns = patience_ns};
}

bool busy_poll_is_due(const struct busy_poll *poll)
{
	return poll->limit_ns && !poll->is_held && poll->score >= SCORE_DUE;
}

void busy_poll_learn(struct busy_poll *poll, uint64_t waited_ns)
{
	if (waited_ns > poll->limit_ns)
		poll->score /= 2;
	else if (poll->score < SCORE_MAX)
		poll->score++;
}
