/* What a sleep costs on this machine: two processes on one processor wake each other, a few times. Processes, because a
 * switch between threads of one leaves the translation of addresses as it is, and what a gateway waits for is another
 * process; one processor, because how deep another one sleeps differs from one start to the next (5 us or 40). */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/busy_poll.h"
#include "common/clock.h"
#include "common/log.h"

#define ROUNDS 32u
#define ANSWER_MS 1000 /* then a start goes on without */

static bool wake(int fd)
{
	return write(fd, "", 1) == 1;
}

/* False when the other one is gone. */
static bool sleep_on(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1;
}

static void answer_until_it_ends(int fd)
{
	while (sleep_on(fd) && wake(fd))
		;
}

/* The least, so that a busy machine tells little more than an idle one. */
static uint64_t least_of_rounds(int fd)
{
	uint64_t least_ns = UINT64_MAX;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t begin_ns = clock_now_ns(), taken_ns;

		if (!wake(fd) || !sleep_on(fd))
			return 0;
		taken_ns = clock_now_ns() - begin_ns;
		least_ns = taken_ns < least_ns ? taken_ns : least_ns;
	}
	return least_ns;
}

static void stay_on_this_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return;
	CPU_SET(cpu, &cpus);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* In a process of its own, which a second one stems from. 0: it does not work here. */
static uint64_t measure(void)
{
	uint64_t cost_ns;
	int ends[2];
	pid_t pid;

	stay_on_this_cpu();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return 0;
	pid = fork();
	if (pid < 0)
		return 0;
	(void)close(ends[pid > 0]);
	if (pid == 0) {
		answer_until_it_ends(ends[1]);
		_exit(0);
	}
	cost_ns = least_of_rounds(ends[0]);
	(void)close(ends[0]);
	(void)waitpid(pid, NULL, 0);
	return cost_ns;
}

/* Nanoseconds to wake a sleeping process and be woken by it; 0: unknown. */
static uint64_t switch_cost_ns(void)
{
	uint64_t cost_ns = 0;
	struct pollfd answer;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return 0;
	pid = fork();
	if (pid == 0) {
		cost_ns = measure();
		_exit(write(ends[1], &cost_ns, sizeof(cost_ns)) != sizeof(cost_ns));
	}
	(void)close(ends[1]);
	answer = (struct pollfd){.fd = ends[0], .events = POLLIN};
	if (pid > 0 &&
	    (poll(&answer, 1, ANSWER_MS) != 1 || read(ends[0], &cost_ns, sizeof(cost_ns)) != sizeof(cost_ns)))
		cost_ns = 0;
	(void)close(ends[0]);
	if (pid > 0) {
		(void)kill(pid, SIGKILL); /* over already, or stopped by somebody; its partner ends with it */
		(void)waitpid(pid, NULL, 0);
	}
	return cost_ns;
}

struct busy_poll busy_poll_measure(uint32_t us)
{
	uint64_t switch_ns = us ? switch_cost_ns() : 0;
	struct busy_poll ret = busy_poll_new(us, switch_ns);

	log_info("event=busy_poll limit_us=%" PRIu64 " patience_us=%" PRIu64 " switch_us=%" PRIu64, ret.limit_ns / 1000,
		 ret.patience_ns / 1000, switch_ns / 1000);
	return ret;
}
