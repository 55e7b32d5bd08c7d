/* Reads mountinfo for one question. Knows no volume; the gateway's own refusal (the device is open) stays the judge. */
#include "gateway/cli/mounts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* "/dev/ublkb1" but not "/dev/ublkb10"; partitions are "/dev/ublkb1p3". */
static bool is_device(const char *source, const char *device)
{
	size_t len = strlen(device);

	if (strncmp(source, device, len) != 0)
		return false;
	return source[len] == '\0' || (source[len] == 'p' && isdigit((unsigned char)source[len + 1]));
}

/* "36 35 98:0 /root MOUNTPOINT opts ... - fstype SOURCE superopts" */
static bool parse_line(char *line, char **ret_point, char **ret_source)
{
	char *separator = strstr(line, " - "), *rest = line;

	if (!separator)
		return false;
	*separator = '\0';
	for (int i = 0; i < 5; i++)
		*ret_point = strsep(&rest, " ");
	rest = separator + 3;
	strsep(&rest, " ");
	*ret_source = strsep(&rest, " ");
	return *ret_point && *ret_source;
}

bool mounts_find(FILE *mountinfo, const char *device, char *ret, size_t cap)
{
	char *line = NULL, *point, *source;
	size_t room = 0;
	bool found = false;

	while (!found && getline(&line, &room, mountinfo) > 0) {
		if (parse_line(line, &point, &source) && is_device(source, device)) {
			snprintf(ret, cap, "%s", point);
			found = true;
		}
	}
	free(line);
	return found;
}

bool mounts_of_device(const char *device, char *ret, size_t cap)
{
	FILE *mountinfo = device[0] ? fopen("/proc/self/mountinfo", "re") : NULL;
	bool found;

	if (!mountinfo)
		return false;
	found = mounts_find(mountinfo, device, ret, cap);
	fclose(mountinfo);
	return found;
}
