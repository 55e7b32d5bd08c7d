/* Child processes of a drill: started with a log, ended, stopped and looked after by their own pid. They die with it.
 */
#ifndef TESTS_DRILL_PROCESS_H
#define TESTS_DRILL_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#define PROCESS_WORDS_MAX 40u

struct process {
	char name[24];
	char log_path[256]; /* appended to */
	pid_t pid;	    /* 0: none */
	int status;	    /* of the last one that ended, as waitpid() gives it */
};

void process_init(struct process *process, const char *dir, const char *name);
/* `argv` ends with NULL. `failpoint` (NULL: none) is armed in its environment. */
void process_start(struct process *process, const char *const *argv, const char *failpoint);
/* Still there? Reaps it when not. */
bool process_is_alive(struct process *process);
/* Waits until it is gone, at most so long: true. */
bool process_wait(struct process *process, unsigned ms);
/* SIGKILL ends it before this returns. */
void process_signal(struct process *process, int signal);

/* How it ended, in words, into static memory. */
const char *process_end_text(const struct process *process);

void sleep_ms(unsigned ms);

#endif
