/* Writes one valid input of each kind into the directory given: what the fuzzer starts from. Knows the first byte that
 * fuzz_wire.c goes by, and the unit tests' samples. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/frame.h"
#include "tests/unit/sample.h"
#include "tests/unit/sample_message.h"

static int save(const char *directory, const char *name, uint8_t first, const uint8_t *bytes, size_t len)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/seed-%s", directory, name);
	file = fopen(path, "wb");
	if (!file || fputc(first, file) == EOF || fwrite(bytes, 1, len, file) != len || fclose(file) == EOF) {
		fprintf(stderr, "seeds: %s: %s\n", path, strerror(errno));
		return -1;
	}
	return 0;
}

static int save_frame(const char *directory)
{
	const struct frame frame = {.type = FRAME_WRITE, .epoch = 1, .session = 1, .length = 4096, .wseq = 1};
	uint8_t bytes[FRAME_BYTES];

	frame_encode(&frame, bytes);
	return save(directory, "frame", 0, bytes + 3, sizeof(bytes) - 7);
}

static int save_config(const char *directory)
{
	struct config config = sample_config();
	uint8_t bytes[CONFIG_BYTES_MAX];
	int len = config_encode(&config, bytes, sizeof(bytes));

	return len < 0 ? len : save(directory, "config", 1, bytes, (size_t)len);
}

static int save_message(const char *directory, enum message_kind kind)
{
	struct message message = sample_message(kind);
	uint8_t bytes[MESSAGE_BYTES_MAX];
	int len = sample_pack(&message, bytes);

	return len < 0 ? len : save(directory, message_kind_name(kind), 2, bytes, (size_t)len);
}

int main(int argc, char **argv)
{
	int failed;

	if (argc != 2) {
		fprintf(stderr, "usage: seeds DIRECTORY\n");
		return 2;
	}
	failed = save_frame(argv[1]) < 0 || save_config(argv[1]) < 0;
	for (unsigned kind = MESSAGE_HELLO; kind < MESSAGE_KIND_COUNT; kind++)
		failed |= save_message(argv[1], (enum message_kind)kind) < 0;
	return failed;
}
