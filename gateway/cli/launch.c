/* Gateway processes: how they are started, seen to end, and stopped. Knows no socket and no volume file.
 * Only `volume attach` uses it; a gateway that serves is spoken to by its admin socket alone. */
#include "gateway/cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define STEP_MS 50

bool launch_has_systemd(void)
{
	struct stat st;

	return !lstat("/run/systemd/system", &st) && S_ISDIR(st.st_mode);
}

static bool is_program(const char *path)
{
	return !access(path, X_OK);
}

int launch_find_gateway(char ret[PATH_MAX], struct err *err)
{
	static const char *const places[] = {"%s/lockstep-gateway", "%s/../sbin/lockstep-gateway",
					     "/usr/local/sbin/lockstep-gateway", "/usr/sbin/lockstep-gateway"};
	const char *named = getenv("LOCKSTEP_GATEWAY");
	char self[PATH_MAX - 64];
	ssize_t len;

	if (named && named[0]) {
		snprintf(ret, PATH_MAX, "%s", named);
		return is_program(ret) ? 0 : err_set(err, -ENOENT, "LOCKSTEP_GATEWAY: %s is not a program", named);
	}
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[len > 0 ? len : 0] = '\0';
	if (strrchr(self, '/'))
		*strrchr(self, '/') = '\0';
	for (unsigned i = 0; i < ARRAY_COUNT(places); i++) {
		snprintf(ret, PATH_MAX, i < 2 ? "%s%s" : "%.0s%s", self, places[i] + (i < 2 ? 2 : 0));
		if (is_program(ret))
			return 0;
	}
	return err_set(
		err, -ENOENT,
		"lockstep-gateway: not found beside this program nor in sbin; install it, or set LOCKSTEP_GATEWAY");
}

/* In the child: stdin from nowhere, output to the log, a session of its own. Only async-signal-safe calls. */
static void become_gateway(int log_fd, char *const *args)
{
	sigset_t none;
	int null_fd = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0)
		_exit(127);
	execv(args[0], args);
	_exit(127);
}

int launch_detached(struct launch *launch, const char *name, const char *log_path, char *const *args, struct err *err)
{
	struct stat st;
	int log_fd;

	memset(launch, 0, sizeof(*launch));
	launch->name = name;
	snprintf(launch->log, sizeof(launch->log), "%s", log_path);
	log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (log_fd < 0)
		return err_set(err, -errno, "%s: cannot open the log: %s", log_path, strerror(errno));
	if (!fstat(log_fd, &st))
		launch->log_start = st.st_size;
	launch->pid = fork();
	if (launch->pid == 0)
		become_gateway(log_fd, args);
	close(log_fd);
	return launch->pid < 0 ? err_set(err, -errno, "%s: cannot be started: %s", args[0], strerror(errno)) : 0;
}

/* Runs systemctl or journalctl; its exit code, or a negative errno. `ret_out` (may be NULL) gets its first line. */
static int run_tool(const char *const *args, char *ret_out, size_t cap)
{
	posix_spawn_file_actions_t actions;
	int status = 0, error, pipe_fds[2];
	size_t got = 0;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	error = -posix_spawnp(&pid, args[0], &actions, NULL, (char *const *)args, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);
	while (!error && ret_out && got + 1 < cap) {
		ssize_t n = read(pipe_fds[0], ret_out + got, cap - 1 - got);

		if (n <= 0 && !(n < 0 && errno == EINTR))
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	if (ret_out) {
		ret_out[got] = '\0';
		ret_out[strcspn(ret_out, "\n")] = '\0';
	}
	close(pipe_fds[0]);
	if (error)
		return error;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

/* `systemctl start` runs beside us until the unit has said that it is ready (Type=notify), or has failed.
 * UNTESTED: no test machine of ours runs systemd. */
int launch_by_systemd(struct launch *launch, const char *name, struct err *err)
{
	const char *args[] = {"systemctl", "start", launch->log, NULL};
	posix_spawn_file_actions_t actions;
	int error;

	memset(launch, 0, sizeof(*launch));
	launch->name = name;
	launch->by_systemd = true;
	snprintf(launch->log, sizeof(launch->log), "lockstep-gateway@%s.service", name);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	error = -posix_spawnp(&launch->pid, args[0], &actions, NULL, (char *const *)args, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (!error)
		return 0;
	launch->pid = 0;
	return err_set(err, error, "%s: systemctl cannot be run: %s; try --no-systemd", launch->log, strerror(-error));
}

/* The last line the process wrote: its refusal, without the "lockstep-gateway: " before it. */
static void last_words(const struct launch *launch, struct err *err, const char *fallback)
{
	static const char prefix[] = "lockstep-gateway: ";
	char text[4096] = "";
	char *line = text, *end;
	ssize_t len = -1;
	int fd = open(launch->log, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st)) {
		off_t from = st.st_size - (off_t)sizeof(text) + 1;

		len = pread(fd, text, sizeof(text) - 1, from > launch->log_start ? from : launch->log_start);
	}
	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = '\0';
	end = text + strlen(text);
	while (end > text && end[-1] == '\n')
		*--end = '\0';
	if (strrchr(text, '\n'))
		line = strrchr(text, '\n') + 1;
	if (!strncmp(line, prefix, sizeof(prefix) - 1))
		line += sizeof(prefix) - 1;
	err_set(err, -EREMOTEIO, "%s", line[0] ? line : fallback);
}

/* lockstep-gateway(8) lists its exit codes. */
static enum exit_code code_of_gateway(int status)
{
	static const enum exit_code codes[] = {EXIT_INTERNAL, EXIT_INTERNAL, EXIT_USAGE,      EXIT_BAD_FILE,
					       EXIT_REFUSED,  EXIT_REFUSED,  EXIT_REFUSED,    EXIT_BUSY,
					       EXIT_REFUSED,  EXIT_INTERNAL, EXIT_UNREACHABLE};

	if (!WIFEXITED(status) || (unsigned)WEXITSTATUS(status) >= ARRAY_COUNT(codes))
		return EXIT_INTERNAL;
	return codes[WEXITSTATUS(status)];
}

static bool detached_has_ended(struct launch *launch, enum exit_code *ret_code, struct err *err)
{
	char fallback[ERR_TEXT_MAX + 1];
	int status;

	if (waitpid(launch->pid, &status, WNOHANG) != launch->pid)
		return false;
	launch->pid = 0;
	*ret_code = code_of_gateway(status);
	if (WIFSIGNALED(status)) { /* the last line is about something else */
		err_set(err, -EREMOTEIO,
			"the gateway was killed by signal %d (%s); the kernel's log may say by whom, its own is %s",
			WTERMSIG(status), strsignal(WTERMSIG(status)), launch->log);
		return true;
	}
	snprintf(fallback, sizeof(fallback),
		 "the gateway ended with code %d and said nothing in %.300s; is there space left for it?",
		 WEXITSTATUS(status), launch->log);
	last_words(launch, err, fallback);
	return true;
}

/* Is the unit going up or running? Once systemctl said that it is up, the unit's state is asked. */
static bool unit_lives(struct launch *launch)
{
	const char *ask[] = {"systemctl", "is-active", launch->log, NULL};
	char state[64];
	int status;

	if (launch->pid) {
		if (waitpid(launch->pid, &status, WNOHANG) != launch->pid)
			return true;
		launch->pid = 0;
		return WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	return run_tool(ask, state, sizeof(state)) < 0 ||
	       (strcmp(state, "failed") != 0 && strcmp(state, "inactive") != 0);
}

static bool unit_has_ended(struct launch *launch, enum exit_code *ret_code, struct err *err)
{
	const char *words[] = {"journalctl", "--unit", launch->log, "-n", "1", "-o", "cat", "--no-pager", NULL};
	char text[400] = "";

	if (unit_lives(launch))
		return false;
	if (run_tool(words, text, sizeof(text)) != 0 || !text[0])
		snprintf(text, sizeof(text), "the unit has failed");
	err_set(err, -EREMOTEIO, "%s (see 'journalctl --unit %s')", text, launch->log);
	*ret_code = EXIT_REFUSED;
	return true;
}

bool launch_has_ended(struct launch *launch, enum exit_code *ret_code, struct err *err)
{
	return launch->by_systemd ? unit_has_ended(launch, ret_code, err) : detached_has_ended(launch, ret_code, err);
}

bool launch_stop(struct launch *launch, int timeout_ms)
{
	const char *args[] = {"systemctl", "stop", launch->log, NULL};
	const struct timespec step = {.tv_nsec = STEP_MS * (long)NS_PER_MS};

	if (launch->by_systemd)
		return run_tool(args, NULL, 0) == 0;
	if (!launch->pid)
		return true;
	kill(launch->pid, SIGTERM);
	for (int waited = 0; waited < timeout_ms; waited += STEP_MS) {
		if (waitpid(launch->pid, NULL, WNOHANG) == launch->pid) {
			launch->pid = 0;
			return true;
		}
		nanosleep(&step, NULL);
	}
	return false;
}
