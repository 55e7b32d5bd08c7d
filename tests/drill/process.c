/* fork, exec, signal, wait. Knows nothing of what it runs. */
#include "tests/drill/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/native/lib/tool.h"

#define POLL_MS 2u

void sleep_ms(unsigned ms)
{
	struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
		continue;
}

void process_init(struct process *process, const char *dir, const char *name)
{
	*process = (struct process){0};
	snprintf(process->name, sizeof(process->name), "%s", name);
	snprintf(process->log_path, sizeof(process->log_path), "%s/%s.log", dir, name);
}

_Noreturn static void become(const struct process *process, const char *const *argv, const char *failpoint)
{
	int log = open(process->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(EXIT_CANNOT);
	if (failpoint)
		setenv("LOCKSTEP_FAILPOINT", failpoint, 1);
	execv(argv[0], (char *const *)argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(EXIT_CANNOT);
}

void process_start(struct process *process, const char *const *argv, const char *failpoint)
{
	if (process->pid)
		tool_die(EXIT_CANNOT, "%s: started twice", process->name);
	process->pid = fork();
	if (process->pid < 0)
		tool_die(EXIT_CANNOT, "fork: %s", strerror(errno));
	if (process->pid == 0)
		become(process, argv, failpoint);
}

bool process_is_alive(struct process *process)
{
	if (process->pid && waitpid(process->pid, &process->status, WNOHANG) == process->pid)
		process->pid = 0;
	return process->pid != 0;
}

bool process_wait(struct process *process, unsigned ms)
{
	uint64_t deadline = clock_now_ns() + ms * NS_PER_MS;

	while (process_is_alive(process)) {
		if (clock_now_ns() > deadline)
			return false;
		sleep_ms(POLL_MS);
	}
	return true;
}

void process_signal(struct process *process, int signal)
{
	if (!process->pid)
		return;
	kill(process->pid, signal);
	if (signal != SIGKILL)
		return;
	if (waitpid(process->pid, &process->status, 0) != process->pid)
		tool_die(EXIT_CANNOT, "%s: cannot be reaped: %s", process->name, strerror(errno));
	process->pid = 0;
}

const char *process_end_text(const struct process *process)
{
	static char text[64];

	if (WIFSIGNALED(process->status))
		snprintf(text, sizeof(text), "was ended by signal %d", WTERMSIG(process->status));
	else
		snprintf(text, sizeof(text), "ended with %d", WEXITSTATUS(process->status));
	return text;
}
