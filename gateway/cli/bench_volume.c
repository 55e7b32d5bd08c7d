/* Runs `lockstep volume ...` as a child and reads its JSON. Knows commands, not what they do. */
#include "gateway/cli/bench_volume.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX (16u + 2u * OPTION_LIST_MAX)
#define ANSWER_BYTES_MAX (64 * KIB)
#define DIR_TEMPLATE "/lockstep-bench.XXXXXX"
#define NAME_PREFIX "bench-scratch-"

struct words {
	const char *items[WORDS_MAX + 1];
	unsigned count;
};

static void add(struct words *words, const char *word)
{
	if (words->count < WORDS_MAX)
		words->items[words->count++] = word;
}

/* Reads to the end; what does not fit is thrown away, and will not parse. */
static void read_answer(int fd, char *ret)
{
	size_t got = 0;
	ssize_t n;

	while ((n = read(fd, ret + got, ANSWER_BYTES_MAX - 1 - got)) > 0 || (n < 0 && errno == EINTR))
		got += n > 0 ? (size_t)n : 0;
	ret[got] = '\0';
}

/* Its JSON (NULL: none) and its exit code; signals stay held in the child, too: it asks for them itself. */
static enum exit_code run_command(const struct words *words, json_t **ret)
{
	posix_spawn_file_actions_t actions;
	int pipe_fds[2], status = 0, error;
	char *text = malloc(ANSWER_BYTES_MAX);
	pid_t pid;

	*ret = NULL;
	if (!text || pipe2(pipe_fds, O_CLOEXEC) < 0) {
		free(text);
		return EXIT_INTERNAL;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	error = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, (char *const *)words->items, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);
	if (!error) {
		read_answer(pipe_fds[0], text);
		*ret = json_loads(text, 0, NULL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(pipe_fds[0]);
	free(text);
	if (error || !WIFEXITED(status) || WEXITSTATUS(status) >= EXIT_CODE_COUNT)
		return EXIT_INTERNAL;
	return (enum exit_code)WEXITSTATUS(status);
}

static struct words begin(const struct scratch *scratch, const char *verb)
{
	struct words words = {.count = 0};
	const char *const first[] = {"lockstep",     "volume",	   verb,	scratch->name, "--json",
				     "--config-dir", scratch->dir, "--run-dir", scratch->dir};

	for (unsigned i = 0; i < ARRAY_COUNT(first); i++)
		add(&words, first[i]);
	return words;
}

/* Its answer, or its refusal as `reason`. */
static enum exit_code call(struct scratch *scratch, const struct words *words, json_t **ret)
{
	const char *message = "'lockstep volume' gave no answer";
	enum exit_code code = run_command(words, ret);

	if (!code && *ret)
		return EXIT_DONE;
	if (*ret)
		(void)json_unpack(*ret, "{s:{s:s}}", "error", "message", &message);
	snprintf(scratch->reason, sizeof(scratch->reason), "%s", message);
	json_decref(*ret);
	*ret = NULL;
	return code ? code : EXIT_INTERNAL;
}

/* Where the gateway's socket lies, too, whose path unix(7) bounds: too long a TMPDIR is left for /tmp. */
static const char *parent_dir(void)
{
	static const char longest_below[] = DIR_TEMPLATE "/" NAME_PREFIX "2147483647.sock";
	const char *tmp = getenv("TMPDIR");

	if (!tmp || !tmp[0] || strlen(tmp) + sizeof(longest_below) > sizeof(((struct sockaddr_un *)0)->sun_path))
		return "/tmp";
	return tmp;
}

enum exit_code scratch_make(struct scratch *scratch, struct cli *cli, const struct text_list *replicas, uint64_t bytes)
{
	enum exit_code code;
	struct words words;
	char size[32];
	json_t *answer;

	*scratch = (struct scratch){.cli = cli};
	snprintf(scratch->dir, sizeof(scratch->dir), "%s" DIR_TEMPLATE, parent_dir());
	if (!mkdtemp(scratch->dir)) {
		snprintf(scratch->reason, sizeof(scratch->reason), "no directory can be made as %.200s: %s",
			 scratch->dir, strerror(errno));
		scratch->dir[0] = '\0';
		return EXIT_INTERNAL;
	}
	snprintf(scratch->name, sizeof(scratch->name), NAME_PREFIX "%d", (int)getpid());
	snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
	words = begin(scratch, "create");
	add(&words, "--size");
	add(&words, size);
	for (unsigned i = 0; i < replicas->count; i++) {
		add(&words, "--replica");
		add(&words, replicas->items[i]);
	}
	if (replicas->count == 2)
		add(&words, "--no-witness"); /* there is nothing to lose */
	code = call(scratch, &words, &answer);
	if (code)
		return code;
	scratch->is_created = true;
	json_decref(answer);
	return EXIT_DONE;
}

enum exit_code scratch_attach(struct scratch *scratch, const char *mode)
{
	struct words words = begin(scratch, "attach");
	const char *device;
	enum exit_code code;
	json_t *answer;
	int pid;

	add(&words, "--no-systemd");
	add(&words, "--mode");
	add(&words, mode);
	code = call(scratch, &words, &answer);
	if (code)
		return code;
	scratch->is_attached = true;
	if (json_unpack(answer, "{s:s, s:i}", "device", &device, "pid", &pid)) {
		snprintf(scratch->reason, sizeof(scratch->reason), "'volume attach' does not say what it made");
		code = EXIT_INTERNAL;
	} else {
		snprintf(scratch->device, sizeof(scratch->device), "%s", device);
		scratch->gateway = (pid_t)pid;
	}
	json_decref(answer);
	return code;
}

enum exit_code scratch_detach(struct scratch *scratch)
{
	struct words words = begin(scratch, "detach");
	enum exit_code code;
	json_t *answer;

	code = call(scratch, &words, &answer);
	if (code)
		return code;
	scratch->is_attached = false;
	json_decref(answer);
	return EXIT_DONE;
}

static void remove_dir(const struct scratch *scratch)
{
	const char *const words[] = {"rm", "-rf", "--", scratch->dir, NULL};
	pid_t pid;

	if (!posix_spawnp(&pid, "rm", NULL, NULL, (char *const *)words, environ))
		(void)waitpid(pid, NULL, 0);
}

static bool run_quietly(const struct words *words)
{
	json_t *answer;
	enum exit_code code = run_command(words, &answer);

	json_decref(answer);
	return code == EXIT_DONE;
}

void scratch_remove(struct scratch *scratch)
{
	struct words words = begin(scratch, "detach");

	if (!scratch->dir[0])
		return;
	add(&words, "--force");
	if (scratch->is_attached && !run_quietly(&words))
		cli_warn(scratch->cli, "%s is still attached as %s; its files are in %s", scratch->name,
			 scratch->device, scratch->dir);
	words = begin(scratch, "delete");
	add(&words, "--yes");
	if (scratch->is_created && !run_quietly(&words))
		cli_warn(scratch->cli,
			 "%s could not be removed everywhere; 'lockstep volume delete %s --config-dir %s' tries again",
			 scratch->name, scratch->name, scratch->dir);
	else
		remove_dir(scratch);
	scratch->dir[0] = '\0';
}
