/* Other processes of this host. */
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* There is none with this number, or only what is left of one: it was killed or has ended, though its parent has not
 * asked for it yet, or the kernel is still at work for it. /proc/PID/stat (proc(5)), kill(2) where that is not there.
 * Any thread. */
bool process_has_ended(pid_t pid);

#endif
