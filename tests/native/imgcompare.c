/* imgcompare: are these files byte for byte what they must be?
 *   imgcompare FILE FILE...                                   all equal (and equally long)
 *   imgcompare --image VOLUME --chunk BYTES SET0 SET1 ...     each SETi is FILE[,FILE...]: the replicas of mirror set
 * i; the volume is striped over the sets in chunks Prints the first difference with both values. Exit: 0 equal, 1
 * different, 2 could not run. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "tests/native/lib/tool.h"

struct image {
	const char *path;
	const uint8_t *bytes;
	uint64_t len;
};

static struct image image_open(const char *path)
{
	struct image image = {.path = path};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		tool_die(EXIT_CANNOT, "%s: %s", path, strerror(errno));
	image.len = (uint64_t)st.st_size;
	image.bytes = image.len ? mmap(NULL, image.len, PROT_READ, MAP_SHARED, fd, 0) : NULL;
	if (image.bytes == MAP_FAILED)
		tool_die(EXIT_CANNOT, "%s: %s", path, strerror(errno));
	close(fd);
	return image;
}

static void compare_range(const struct image *a, uint64_t a_at, const struct image *b, uint64_t b_at, uint64_t len)
{
	if (a_at + len > a->len || b_at + len > b->len)
		tool_die(EXIT_WRONG, "%s (%llu bytes) and %s (%llu bytes): one is too short", a->path,
			 (unsigned long long)a->len, b->path, (unsigned long long)b->len);
	if (len == 0 || memcmp(a->bytes + a_at, b->bytes + b_at, len) == 0)
		return;
	for (uint64_t i = 0; i < len; i++)
		if (a->bytes[a_at + i] != b->bytes[b_at + i])
			tool_die(EXIT_WRONG, "%s at %llu: %02x, but %s at %llu: %02x", a->path,
				 (unsigned long long)a_at + i, a->bytes[a_at + i], b->path,
				 (unsigned long long)b_at + i, b->bytes[b_at + i]);
}

static void compare_equal(char **paths, int count)
{
	struct image first = image_open(paths[0]);

	for (int i = 1; i < count; i++) {
		struct image other = image_open(paths[i]);

		if (other.len != first.len)
			tool_die(EXIT_WRONG, "%s has %llu bytes, %s %llu", first.path, (unsigned long long)first.len,
				 other.path, (unsigned long long)other.len);
		compare_range(&first, 0, &other, 0, first.len);
	}
}

/* Chunk c of the volume is chunk c / sets of set c % sets. */
static void compare_replica(const struct image *volume, const struct image *replica, uint64_t chunk, uint64_t set,
			    uint64_t set_count)
{
	uint64_t at = 0;

	for (uint64_t c = set; c * chunk < volume->len; c += set_count) {
		uint64_t len = volume->len - c * chunk < chunk ? volume->len - c * chunk : chunk;

		compare_range(volume, c * chunk, replica, at, len);
		at += len;
	}
	if (at != replica->len)
		tool_die(EXIT_WRONG, "%s has %llu bytes, its set %llu", replica->path, (unsigned long long)replica->len,
			 (unsigned long long)at);
}

static void compare_sets(const char *image, uint64_t chunk, char **sets, int set_count)
{
	struct image volume = image_open(image);

	for (int set = 0; set < set_count; set++) {
		char *save = NULL;

		for (char *path = strtok_r(sets[set], ",", &save); path; path = strtok_r(NULL, ",", &save)) {
			struct image replica = image_open(path);

			compare_replica(&volume, &replica, chunk, (uint64_t)set, (uint64_t)set_count);
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t chunk;

	if (argc >= 6 && strcmp(argv[1], "--image") == 0 && strcmp(argv[3], "--chunk") == 0) {
		chunk = tool_number(argv[4], "--chunk");
		if (chunk == 0)
			tool_die(EXIT_CANNOT, "--chunk: not 0");
		compare_sets(argv[2], chunk, argv + 5, argc - 5);
		return 0;
	}
	if (argc < 3 || argv[1][0] == '-')
		tool_die(EXIT_CANNOT, "imgcompare FILE FILE... | imgcompare --image VOLUME --chunk BYTES SET...");
	compare_equal(argv + 1, argc - 1);
	return 0;
}
