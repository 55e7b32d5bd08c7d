/* The kernel's boot id. Knows one file.
 * On no request's path: read once at start. */
#include "common/bootid.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BOOTID_PATH "/proc/sys/kernel/random/boot_id"

/* Bytes read, or -errno. */
static int read_text(char *out, size_t cap)
{
	int fd = open(BOOTID_PATH, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, out, cap);
	if (got < 0)
		got = -errno;
	close(fd);
	return (int)got;
}

int bootid_read(struct uuid *ret, struct err *err)
{
	char text[UUID_CHARS + 1] = {0};
	int got = read_text(text, sizeof(text));

	if (got < 0)
		return err_set(err, got, "%s: cannot be read: %s; mount /proc", BOOTID_PATH, err_name(got));
	if (got != sizeof(text) || text[UUID_CHARS] != '\n')
		return err_set(err, -EPROTO, "%s: not the %u characters of a uuid", BOOTID_PATH, UUID_CHARS);
	text[UUID_CHARS] = '\0';
	if (uuid_parse(text, ret) < 0)
		return err_set(err, -EPROTO, "%s: \"%s\" is not a uuid", BOOTID_PATH, text);
	return 0;
}
