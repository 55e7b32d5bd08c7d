/* The data frame: golden bytes, and one test for each thing frame_decode() refuses. */
#include "proto/frame.h"

#include <errno.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/crc32c.h"
#include "common/limits.h"
#include "tests/unit/check.h"

static const struct frame golden_write = {
	.type = FRAME_WRITE,
	.flags = FRAME_F_FUA | FRAME_F_STAMP,
	.epoch = 0x01020304,
	.session = 0x11121314,
	.gen = 0x21222324,
	.length = 0x1000,
	.id = 0x3132333435363738,
	.offset = 0x2122232425000,
	.wseq = 0x5152535455565758,
	.stable_upto = 0x6162636465666768,
};

static const uint8_t golden_write_bytes[FRAME_BYTES] = {
	0x4c, 0x4b, 0x01, 0x03, 0x05, 0x00, 0x00, 0x00, 0x04, 0x03, 0x02, 0x01, 0x14, 0x13, 0x12, 0x11,
	0x24, 0x23, 0x22, 0x21, 0x00, 0x10, 0x00, 0x00, 0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
	0x00, 0x50, 0x42, 0x32, 0x22, 0x12, 0x02, 0x00, 0x58, 0x57, 0x56, 0x55, 0x54, 0x53, 0x52, 0x51,
	0x68, 0x67, 0x66, 0x65, 0x64, 0x63, 0x62, 0x61, 0x00, 0x00, 0x00, 0x00, 0xbd, 0x43, 0x6d, 0x6d,
};

static const struct frame golden_reply = {
	.type = FRAME_WRITE | FRAME_REPLY,
	.status = WIRE_ENOSPC,
	.epoch = 0x01020304,
	.session = 0x11121314,
	.id = 0x3132333435363738,
	.checksum = 0x71727374,
};

static const uint8_t golden_reply_bytes[FRAME_BYTES] = {
	0x4c, 0x4b, 0x01, 0x83, 0x00, 0x00, 0x02, 0x00, 0x04, 0x03, 0x02, 0x01, 0x14, 0x13, 0x12, 0x11,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x74, 0x73, 0x72, 0x71, 0xfd, 0x57, 0x20, 0x38,
};

static void check_equal(const struct frame *want, const struct frame *got)
{
	CHECK_EQ_U64(want->type, got->type);
	CHECK_EQ_U64(want->flags, got->flags);
	CHECK_EQ_U64(want->status, got->status);
	CHECK_EQ_U64(want->epoch, got->epoch);
	CHECK_EQ_U64(want->session, got->session);
	CHECK_EQ_U64(want->gen, got->gen);
	CHECK_EQ_U64(want->length, got->length);
	CHECK_EQ_U64(want->id, got->id);
	CHECK_EQ_U64(want->offset, got->offset);
	CHECK_EQ_U64(want->wseq, got->wseq);
	CHECK_EQ_U64(want->stable_upto, got->stable_upto);
	CHECK_EQ_U64(want->checksum, got->checksum);
}

static void a_write_has_the_golden_bytes(void)
{
	uint8_t bytes[FRAME_BYTES];

	frame_encode(&golden_write, bytes);
	CHECK_MEM(golden_write_bytes, bytes, FRAME_BYTES);
}

static void a_reply_has_the_golden_bytes(void)
{
	uint8_t bytes[FRAME_BYTES];

	frame_encode(&golden_reply, bytes);
	CHECK_MEM(golden_reply_bytes, bytes, FRAME_BYTES);
}

static void golden_bytes_decode_to_what_they_say(void)
{
	const char *reason = NULL;
	struct frame frame;

	CHECK_OK(frame_decode(golden_write_bytes, &frame, &reason));
	check_equal(&golden_write, &frame);
	CHECK_OK(frame_decode(golden_reply_bytes, &frame, &reason));
	check_equal(&golden_reply, &frame);
}

/* Decodes what `frame` encodes to, and expects the refusal. The result must not be touched. */
static void check_refused(const struct frame *frame, int error, const char *words)
{
	struct frame got = {.id = 77};
	const char *reason = NULL;
	uint8_t bytes[FRAME_BYTES];

	frame_encode(frame, bytes);
	CHECK_ERRNO(error, frame_decode(bytes, &got, &reason));
	CHECK_STR_HAS(words, reason);
	CHECK_EQ_U64(77, got.id);
}

static void check_accepted(const struct frame *frame)
{
	const char *reason = NULL;
	uint8_t bytes[FRAME_BYTES];
	struct frame got;
	int error;

	frame_encode(frame, bytes);
	error = frame_decode(bytes, &got, &reason);
	if (error)
		CHECK_FAIL("type %u refused: %s", frame->type, reason);
	check_equal(frame, &got);
}

/* The smallest frame of each type that a peer may send. */
static const struct frame valid[] = {
	{.type = FRAME_CONTROL, .length = 1},
	{.type = FRAME_BATCH, .epoch = 1, .session = 1, .length = FRAME_BYTES + 1},
	{.type = FRAME_WRITE, .epoch = 1, .session = 1, .length = 1, .wseq = 1},
	{.type = FRAME_READ, .epoch = 1, .session = 1, .length = 1},
	{.type = FRAME_FLUSH, .epoch = 1, .session = 1},
	{.type = FRAME_DISCARD, .epoch = 1, .session = 1, .length = 1, .wseq = 1},
	{.type = FRAME_ZEROES, .epoch = 1, .session = 1, .length = 1, .wseq = 1},
	{.type = FRAME_PING, .epoch = 1, .session = 1},
	{.type = FRAME_WRITE | FRAME_REPLY},
	{.type = FRAME_READ | FRAME_REPLY},
	{.type = FRAME_FLUSH | FRAME_REPLY},
	{.type = FRAME_DISCARD | FRAME_REPLY},
	{.type = FRAME_ZEROES | FRAME_REPLY},
	{.type = FRAME_PING | FRAME_REPLY},
};

static void the_smallest_frame_of_each_type_is_accepted(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(valid); i++)
		check_accepted(&valid[i]);
}

/* What frame.h's table allows, written down a second time. */
enum { EPOCH = 1, GEN = 2, ID = 4, OFFSET = 8, WSEQ = 16, STABLE = 32, CRC = 64, STATUS = 128 };

static unsigned allowed_fields(uint8_t type)
{
	switch (type) {
	case FRAME_CONTROL:
		return ID | CRC;
	case FRAME_BATCH:
		return EPOCH | STABLE;
	case FRAME_WRITE:
	case FRAME_DISCARD:
	case FRAME_ZEROES:
		return EPOCH | GEN | ID | OFFSET | WSEQ | STABLE;
	case FRAME_READ:
		return EPOCH | ID | OFFSET | STABLE;
	case FRAME_FLUSH:
	case FRAME_PING:
		return EPOCH | ID | STABLE;
	case FRAME_WRITE | FRAME_REPLY:
		return EPOCH | ID | STATUS | CRC;
	default:
		return EPOCH | ID | STATUS;
	}
}

static struct frame with_field(const struct frame *frame, unsigned field)
{
	struct frame with = *frame;

	switch (field) {
	case EPOCH:
		with.epoch = 9;
		with.session = 9;
		break;
	case GEN:
		with.gen = 9;
		break;
	case ID:
		with.id = 9;
		break;
	case OFFSET:
		with.offset = 4096;
		break;
	case WSEQ:
		with.wseq = 9;
		break;
	case STABLE:
		with.stable_upto = 9;
		break;
	case CRC:
		with.checksum = 9;
		break;
	default:
		with.status = WIRE_EIO;
	}
	return with;
}

static void every_field_is_accepted_exactly_where_its_type_uses_it(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(valid); i++) {
		for (unsigned field = EPOCH; field <= STATUS; field <<= 1) {
			struct frame frame = with_field(&valid[i], field);

			if (allowed_fields(frame.type) & field)
				check_accepted(&frame);
			else
				check_refused(&frame, -EPROTO,
					      field == STATUS ? "a status in a request" : "does not use");
		}
	}
}

static void a_session_alone_is_refused_where_the_type_has_none(void)
{
	check_refused(&(struct frame){.type = FRAME_CONTROL, .length = 1, .session = 1}, -EPROTO, "does not use");
}

static unsigned allowed_flags(uint8_t type)
{
	switch (type) {
	case FRAME_WRITE:
	case FRAME_DISCARD:
		return FRAME_F_FUA | FRAME_F_STAMP;
	case FRAME_ZEROES:
		return FRAME_F_FUA | FRAME_F_STAMP | FRAME_F_NO_UNMAP;
	default:
		return 0;
	}
}

static void every_flag_is_accepted_exactly_where_its_type_uses_it(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(valid); i++) {
		for (unsigned bit = 0; bit < 16; bit++) {
			struct frame frame = valid[i];

			frame.flags = (uint16_t)(1u << bit);
			if (frame.type == FRAME_WRITE && frame.flags == FRAME_F_COPY)
				check_refused(&frame, -EPROTO, "a copy"); /* never alone: the tests below */
			else if (allowed_flags(frame.type) & frame.flags)
				check_accepted(&frame);
			else
				check_refused(&frame, -EPROTO, "a flag");
		}
	}
}

static void lengths_are_accepted_up_to_each_types_limit(void)
{
	static const struct {
		uint8_t type;
		uint64_t min, max;
	} limits[] = {
		{FRAME_CONTROL, 1, MESSAGE_BYTES_MAX},
		{FRAME_BATCH, FRAME_BYTES + 1, BATCH_BYTES_MAX},
		{FRAME_WRITE, 1, IO_BYTES_MAX},
		{FRAME_READ, 1, IO_BYTES_MAX},
		{FRAME_DISCARD, 1, UINT32_MAX},
		{FRAME_ZEROES, 1, UINT32_MAX},
		{FRAME_FLUSH, 0, 0},
		{FRAME_PING, 0, 0},
		{FRAME_READ | FRAME_REPLY, 0, IO_BYTES_MAX},
		{FRAME_WRITE | FRAME_REPLY, 0, 0},
		{FRAME_FLUSH | FRAME_REPLY, 0, 0},
		{FRAME_DISCARD | FRAME_REPLY, 0, 0},
		{FRAME_ZEROES | FRAME_REPLY, 0, 0},
		{FRAME_PING | FRAME_REPLY, 0, 0},
	};

	CHECK_EQ_U64(ARRAY_COUNT(valid), ARRAY_COUNT(limits));
	for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
		struct frame frame = {.type = limits[i].type};

		frame.wseq = frame.type == FRAME_WRITE || frame.type == FRAME_DISCARD || frame.type == FRAME_ZEROES;
		frame.length = (uint32_t)limits[i].min;
		check_accepted(&frame);
		frame.length = (uint32_t)limits[i].max;
		check_accepted(&frame);
		frame.length = (uint32_t)limits[i].min - 1;
		if (limits[i].min > 0)
			check_refused(&frame, -EPROTO, "a length");
		frame.length = (uint32_t)limits[i].max + 1;
		if (limits[i].max < UINT32_MAX)
			check_refused(&frame, -EPROTO, "a length");
	}
}

static void a_write_without_number_is_refused(void)
{
	static const uint8_t types[] = {FRAME_WRITE, FRAME_DISCARD, FRAME_ZEROES};

	for (size_t i = 0; i < ARRAY_COUNT(types); i++)
		check_refused(&(struct frame){.type = types[i], .length = 512}, -EPROTO, "write number 0");
}

static void a_copy_has_a_stamp_and_no_number(void)
{
	struct frame copy = {.type = FRAME_WRITE, .length = 512, .gen = 7, .flags = FRAME_F_COPY | FRAME_F_STAMP};

	check_accepted(&copy);
	copy.flags |= FRAME_F_FUA;
	check_accepted(&copy);
	copy.wseq = 1;
	check_refused(&copy, -EPROTO, "a copy with a write number");
	copy.wseq = 0;
	copy.flags = FRAME_F_COPY;
	check_refused(&copy, -EPROTO, "a copy without stamp");
}

static void only_a_write_can_be_a_copy(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(valid); i++) {
		struct frame frame = valid[i];

		if (frame.type == FRAME_WRITE)
			continue;
		frame.flags = FRAME_F_COPY | FRAME_F_STAMP;
		check_refused(&frame, -EPROTO, "a flag");
	}
}

static void a_range_beyond_the_largest_volume_is_refused(void)
{
	struct frame frame = {.type = FRAME_READ, .length = 512, .offset = VOLUME_BYTES_MAX - 512};

	check_accepted(&frame);
	frame.offset++;
	check_refused(&frame, -EPROTO, "a range");
	frame.offset = UINT64_MAX - 511;
	check_refused(&frame, -EPROTO, "a range");
}

static void an_error_status_with_payload_is_refused(void)
{
	struct frame frame = {.type = FRAME_READ | FRAME_REPLY, .status = WIRE_EIO, .length = 512};

	check_refused(&frame, -EPROTO, "payload with an error status");
	frame.status = WIRE_OK;
	check_accepted(&frame);
}

static void only_statuses_of_the_table_are_accepted(void)
{
	for (unsigned status = 0; status < WIRE_STATUS_COUNT; status++)
		check_accepted(&(struct frame){.type = FRAME_FLUSH | FRAME_REPLY, .status = (uint16_t)status});
	check_refused(&(struct frame){.type = FRAME_FLUSH | FRAME_REPLY, .status = WIRE_STATUS_COUNT}, -EPROTO,
		      "an unknown status");
	check_refused(&(struct frame){.type = FRAME_FLUSH | FRAME_REPLY, .status = 0xffff}, -EPROTO,
		      "an unknown status");
}

static bool is_valid_type(unsigned type)
{
	for (size_t i = 0; i < ARRAY_COUNT(valid); i++) {
		if (valid[i].type == type)
			return true;
	}
	return false;
}

static void every_other_type_is_refused(void)
{
	for (unsigned type = 0; type < 256; type++) {
		struct frame frame = {.type = (uint8_t)type, .length = 512, .wseq = 1};

		if (!is_valid_type(type))
			check_refused(&frame, -EPROTO, "an unknown frame type");
	}
}

/* As somebody else would have encoded it: with a checksum that fits. */
static void seal(uint8_t bytes[FRAME_BYTES])
{
	store_le32(bytes + 60, crc32c(0, bytes, 60));
}

static void another_version_is_refused_by_name(void)
{
	const char *reason = NULL;
	uint8_t bytes[FRAME_BYTES];
	struct frame frame;

	memcpy(bytes, golden_write_bytes, sizeof(bytes));
	bytes[2] = FRAME_VERSION + 1;
	seal(bytes);
	CHECK_ERRNO(-EPROTONOSUPPORT, frame_decode(bytes, &frame, &reason));
	CHECK_STR_HAS("version", reason);
}

static void bytes_that_are_no_frame_are_refused_as_such(void)
{
	const char *reason = NULL;
	uint8_t bytes[FRAME_BYTES] = "GET / HTTP/1.1\r\n";
	struct frame frame;

	CHECK_ERRNO(-EBADMSG, frame_decode(bytes, &frame, &reason));
	CHECK_STR_HAS("magic", reason);
	memcpy(bytes, golden_write_bytes, sizeof(bytes));
	bytes[0] ^= 1;
	seal(bytes);
	CHECK_ERRNO(-EBADMSG, frame_decode(bytes, &frame, &reason));
	CHECK_STR_HAS("magic", reason);
}

static void every_single_bit_flip_is_noticed(void)
{
	for (unsigned bit = 0; bit < 8 * FRAME_BYTES; bit++) {
		const char *reason = NULL;
		uint8_t bytes[FRAME_BYTES];
		struct frame frame;

		memcpy(bytes, golden_write_bytes, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK_ERRNO(-EBADMSG, frame_decode(bytes, &frame, &reason));
		CHECK_STR_HAS(bit < 16 ? "magic" : "checksum", reason);
	}
}

/* Whatever is accepted encodes to the same bytes again: nothing on the wire is without meaning. */
static void random_headers_are_refused_or_mean_exactly_their_bytes(void)
{
	unsigned accepted_count = 0;
	struct check_random random;

	check_random_init(&random);
	for (unsigned i = 0; i < 200000; i++) {
		const struct frame *base = &valid[check_random_below(&random, ARRAY_COUNT(valid))];
		const char *reason = NULL;
		uint8_t bytes[FRAME_BYTES], again[FRAME_BYTES];
		struct frame frame;

		frame_encode(base, bytes);
		for (uint64_t n = check_random_below(&random, 4); n > 0; n--)
			bytes[4 + check_random_below(&random, 56)] = (uint8_t)check_random_next(&random);
		seal(bytes);
		if (frame_decode(bytes, &frame, &reason) < 0) {
			CHECK_NOT_NULL(reason);
			continue;
		}
		accepted_count++;
		frame_encode(&frame, again);
		CHECK_MEM(bytes, again, FRAME_BYTES);
	}
	CHECK_TRUE(accepted_count > 0 && accepted_count < 200000);
}

static void only_these_types_bring_payload(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(valid); i++) {
		struct frame frame = valid[i];
		bool brings = frame.type == FRAME_CONTROL || frame.type == FRAME_BATCH || frame.type == FRAME_WRITE ||
			      frame.type == (FRAME_READ | FRAME_REPLY);

		frame.length = 4096;
		CHECK_EQ_U64(brings ? 4096 : 0, frame_payload_bytes(&frame));
	}
}

static void a_reply_takes_identity_from_its_request_and_nothing_else(void)
{
	struct frame reply = frame_reply(&golden_write, WIRE_ESTALE);

	check_equal(&(struct frame){.type = 0x83,
				    .status = WIRE_ESTALE,
				    .epoch = golden_write.epoch,
				    .session = golden_write.session,
				    .id = golden_write.id},
		    &reply);
	check_accepted(&reply);
}

static void types_have_names(void)
{
	CHECK_STR("WRITE", frame_type_name(FRAME_WRITE));
	CHECK_STR("READ reply", frame_type_name(FRAME_READ | FRAME_REPLY));
	CHECK_STR("?", frame_type_name(FRAME_CONTROL | FRAME_REPLY));
	CHECK_STR("?", frame_type_name(0));
	CHECK_STR("?", frame_type_name(0xff));
}

static const struct check_test tests[] = {
	CHECK_TEST(a_write_has_the_golden_bytes),
	CHECK_TEST(a_reply_has_the_golden_bytes),
	CHECK_TEST(golden_bytes_decode_to_what_they_say),
	CHECK_TEST(the_smallest_frame_of_each_type_is_accepted),
	CHECK_TEST(every_field_is_accepted_exactly_where_its_type_uses_it),
	CHECK_TEST(a_session_alone_is_refused_where_the_type_has_none),
	CHECK_TEST(every_flag_is_accepted_exactly_where_its_type_uses_it),
	CHECK_TEST(lengths_are_accepted_up_to_each_types_limit),
	CHECK_TEST(a_write_without_number_is_refused),
	CHECK_TEST(a_copy_has_a_stamp_and_no_number),
	CHECK_TEST(only_a_write_can_be_a_copy),
	CHECK_TEST(a_range_beyond_the_largest_volume_is_refused),
	CHECK_TEST(an_error_status_with_payload_is_refused),
	CHECK_TEST(only_statuses_of_the_table_are_accepted),
	CHECK_TEST(every_other_type_is_refused),
	CHECK_TEST(another_version_is_refused_by_name),
	CHECK_TEST(bytes_that_are_no_frame_are_refused_as_such),
	CHECK_TEST(every_single_bit_flip_is_noticed),
	CHECK_TEST(random_headers_are_refused_or_mean_exactly_their_bytes),
	CHECK_TEST(only_these_types_bring_payload),
	CHECK_TEST(a_reply_takes_identity_from_its_request_and_nothing_else),
	CHECK_TEST(types_have_names),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("frame", tests, argc, argv);
}
