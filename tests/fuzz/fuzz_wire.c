/* libFuzzer entry for every decoder of outside bytes in proto/: frame, config, control message. The first byte chooses.
 * Each must refuse with a reason, or give something that it accepts again when encoded. Run by tests/fuzz/run. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/crc32c.h"
#include "proto/codec.h"
#include "proto/config.h"
#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* With a checksum that fits, or the fuzzer would never come past it. */
static void fuzz_frame(const uint8_t *data, size_t size)
{
	uint8_t bytes[FRAME_BYTES] = {0x4c, 0x4b, FRAME_VERSION}, again[FRAME_BYTES];
	const char *reason = NULL;
	struct frame frame;

	if (size > FRAME_BYTES - 7)
		size = FRAME_BYTES - 7;
	memcpy(bytes + 3, data, size);
	store_le32(bytes + 60, crc32c(0, bytes, 60));
	if (frame_decode(bytes, &frame, &reason) < 0) {
		must(reason != NULL);
		return;
	}
	frame_encode(&frame, again);
	must(memcmp(bytes, again, FRAME_BYTES) == 0);
	must(frame_payload_bytes(&frame) <= frame.length);
}

static void fuzz_config(const uint8_t *data, size_t size)
{
	uint8_t bytes[CONFIG_BYTES_MAX], again[CONFIG_BYTES_MAX];
	const char *reason = NULL;
	struct config config;

	if (size < 8 || size > sizeof(bytes))
		return;
	memcpy(bytes, data, size);
	store_le32(bytes + size - 4, crc32c(0, bytes, size - 4));
	if (config_decode(bytes, size, &config, &reason) < 0) {
		must(reason != NULL);
		return;
	}
	must(config_encode(&config, again, sizeof(again)) == (int)size);
	must(memcmp(bytes, again, size) == 0);
}

static void fuzz_message(const uint8_t *data, size_t size)
{
	static struct message message, second;
	uint8_t bytes[MESSAGE_BYTES_MAX];
	const char *reason = NULL;
	int len;

	if (codec_unpack(data, size, &message, &reason) < 0) {
		must(reason != NULL);
		return;
	}
	len = codec_pack(&message, bytes, sizeof(bytes));
	must(len > 0);
	must(codec_unpack(bytes, (size_t)len, &second, &reason) == 0);
	must(second.kind == message.kind);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		fuzz_frame(data + 1, size - 1);
		break;
	case 1:
		fuzz_config(data + 1, size - 1);
		break;
	default:
		fuzz_message(data + 1, size - 1);
	}
	return 0;
}
