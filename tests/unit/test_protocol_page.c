/* docs/protocol.md against the code: each table row that names a number is looked up with the number the code has.
 * Run from the top of the tree. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "proto/status.h"
#include "tests/unit/check.h"

#define PAGE "docs/protocol.md"

static const char *page(void)
{
	static char text[64 * 1024];
	FILE *file = fopen(PAGE, "r");
	size_t got;

	if (!file)
		CHECK_FAIL("%s cannot be opened; run from the top of the tree", PAGE);
	got = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	CHECK_TRUE(got > 0 && got < sizeof(text) - 1);
	text[got] = '\0';
	return text;
}

static void check_row(const char *format, ...) printf_like(1, 2);

static void check_row(const char *format, ...)
{
	char row[128] = "\n| ";
	va_list args;

	va_start(args, format);
	vsnprintf(row + 3, sizeof(row) - 3, format, args);
	va_end(args);
	if (!strstr(page(), row))
		CHECK_FAIL("%s has no row that begins with \"%s\"", PAGE, row + 1);
}

/* Where the encoder puts a field: the bytes before the checksum that change when it is set to all ones. */
static void check_field(const char *name, struct frame frame)
{
	const struct frame zero = {0};
	uint8_t a[FRAME_BYTES], b[FRAME_BYTES];
	unsigned first = FRAME_BYTES, count = 0;

	frame_encode(&zero, a);
	frame_encode(&frame, b);
	for (unsigned i = 0; i < FRAME_BYTES - 4; i++) {
		if (a[i] == b[i])
			continue;
		first = i < first ? i : first;
		count++;
	}
	check_row("%u | %u | %s |", first, count, name);
}

static void the_header_has_its_fields_where_the_page_says(void)
{
	check_field("type", (struct frame){.type = 0xff});
	check_field("flags", (struct frame){.flags = 0xffff});
	check_field("status", (struct frame){.status = 0xffff});
	check_field("epoch", (struct frame){.epoch = UINT32_MAX});
	check_field("session", (struct frame){.session = UINT32_MAX});
	check_field("gen", (struct frame){.gen = UINT32_MAX});
	check_field("length", (struct frame){.length = UINT32_MAX});
	check_field("id", (struct frame){.id = UINT64_MAX});
	check_field("offset", (struct frame){.offset = UINT64_MAX});
	check_field("wseq", (struct frame){.wseq = UINT64_MAX});
	check_field("stable_upto", (struct frame){.stable_upto = UINT64_MAX});
	check_field("checksum", (struct frame){.checksum = UINT32_MAX});
	check_row("60 | 4 | header_crc |");
}

static void every_request_type_has_its_number(void)
{
	for (unsigned type = FRAME_CONTROL; type <= FRAME_PING; type++)
		check_row("%s | %u |", frame_type_name((uint8_t)type), type);
	check_row("WRITE reply | %u |", FRAME_WRITE | FRAME_REPLY);
	check_row("READ reply | %u |", FRAME_READ | FRAME_REPLY);
}

static void every_flag_has_its_bit(void)
{
	check_row("FUA | %d |", __builtin_ctz(FRAME_F_FUA));
	check_row("NO_UNMAP | %d |", __builtin_ctz(FRAME_F_NO_UNMAP));
	check_row("STAMP | %d |", __builtin_ctz(FRAME_F_STAMP));
	check_row("COPY | %d |", __builtin_ctz(FRAME_F_COPY));
}

static void every_status_and_refusal_has_its_number(void)
{
	for (unsigned i = 0; i < WIRE_STATUS_COUNT; i++)
		check_row("%s | %u |", wire_status_name((enum wire_status)i), i);
	for (unsigned i = 1; i < REFUSAL_COUNT; i++)
		check_row("%s | %u |", refusal_name((enum refusal)i), i);
}

static void every_message_has_its_number(void)
{
	for (unsigned i = 1; i < MESSAGE_KIND_COUNT; i++)
		check_row("%s | %u |", message_kind_name((enum message_kind)i), i);
}

static void limits_are_those_of_the_code(void)
{
	char text[64];

	check_row("CONTROL | 1 | id, length, checksum | | 1 to %llu |", MESSAGE_BYTES_MAX);
	check_row("BATCH | 2 | epoch, session, stable_upto, length | | %u to %llu |", FRAME_BYTES + 1, BATCH_BYTES_MAX);
	snprintf(text, sizeof(text), "| 1 to %llu |\n", IO_BYTES_MAX);
	CHECK_STR_HAS(text, page());
	snprintf(text, sizeof(text), "up to %u replicas", MESSAGE_LIST_MAX);
	CHECK_STR_HAS(text, page());
	snprintf(text, sizeof(text), "up to %u runs", REGION_RUNS_MAX);
	CHECK_STR_HAS(text, page());
	snprintf(text, sizeof(text), "first %u bytes of the SHA-256", DIGEST_BYTES);
	CHECK_STR_HAS(text, page());
	snprintf(text, sizeof(text), "pieces of %llu KiB, at most %u", DIGEST_PIECE_BYTES / KIB, DIGEST_PIECES_MAX);
	CHECK_STR_HAS(text, page());
	snprintf(text, sizeof(text), "regions of %llu MiB", REGION_BYTES / MIB);
	CHECK_STR_HAS(text, page());
	snprintf(text, sizeof(text), "lease of %u ms", LEASE_MS);
	CHECK_STR_HAS(text, page());
	snprintf(text, sizeof(text), "%u percent", LEASE_DRIFT_PERCENT);
	CHECK_STR_HAS(text, page());
	check_row("protocol (HELLO, WELCOME) | %u |", PROTOCOL_VERSION);
	check_row("frame header | %u |", FRAME_VERSION);
	check_row("config record | %u; feature bit 0", CONFIG_VERSION);
}

static const struct check_test tests[] = {
	CHECK_TEST(the_header_has_its_fields_where_the_page_says),
	CHECK_TEST(every_request_type_has_its_number),
	CHECK_TEST(every_flag_has_its_bit),
	CHECK_TEST(every_status_and_refusal_has_its_number),
	CHECK_TEST(every_message_has_its_number),
	CHECK_TEST(limits_are_those_of_the_code),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("protocol_page", tests, argc, argv);
}
