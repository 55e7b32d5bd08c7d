/* Reads one file of proc(5). */
#include "common/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

bool process_has_ended(pid_t pid)
{
	char path[32], text[512];
	const char *state;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return kill(pid, 0) < 0 && errno == ESRCH;
	/* Its name, in brackets, may have brackets of its own. Unreadable: the process went. */
	state = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	(void)fclose(file); /* read only */
	return !state || (state[1] == ' ' && (state[2] == 'Z' || state[2] == 'X'));
}
