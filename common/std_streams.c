/* Knows three numbers. A lock, a volume's memory or a replica's connection must never be one of them. */
#include "common/std_streams.h"

#include <fcntl.h>
#include <unistd.h>

void std_streams_open(void)
{
	int fd;

	/* The lowest number that is free. Not O_CLOEXEC: children have them, too. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}
