/* ublk's requests become the engine's; results become what may be committed; bounce buffers are lent in order. */
#include <errno.h>

#include "gateway/drivers/ublk_bounce.h"
#include "gateway/drivers/ublk_request.h"
#include "tests/unit/check.h"

static void a_write_keeps_its_range_and_flags(void)
{
	struct ublksrv_io_desc desc = {
		.op_flags = UBLK_IO_OP_WRITE | UBLK_IO_F_FUA | UBLK_IO_F_META | UBLK_IO_F_NEED_REG_BUF,
		.nr_sectors = 8,
		.start_sector = 1ull << 40,
	};
	struct request request;

	CHECK_OK(ublk_request_decode(&desc, 7, &request));
	CHECK_EQ_INT(REQUEST_WRITE, request.op);
	CHECK_EQ_U64(7, request.slot);
	CHECK_EQ_U64(REQUEST_F_FUA | REQUEST_F_META, request.flags);
	CHECK_EQ_U64(1ull << 49, request.offset);
	CHECK_EQ_U64(4096, request.length);
	CHECK_EQ_INT(4096, ublk_request_result(&request, 0));
}

static void a_flush_has_no_range_and_commits_zero(void)
{
	struct ublksrv_io_desc desc = {.op_flags = UBLK_IO_OP_FLUSH, .start_sector = 99};
	struct request request;

	CHECK_OK(ublk_request_decode(&desc, 0, &request));
	CHECK_EQ_INT(REQUEST_FLUSH, request.op);
	CHECK_EQ_U64(0, request.offset);
	CHECK_EQ_U64(0, request.length);
	CHECK_EQ_INT(0, ublk_request_result(&request, 0));
}

static void a_discard_of_four_gib_commits_zero_not_an_overflown_length(void)
{
	struct ublksrv_io_desc desc = {.op_flags = UBLK_IO_OP_DISCARD, .nr_sectors = 1u << 23};
	struct request request;

	CHECK_OK(ublk_request_decode(&desc, 0, &request));
	CHECK_EQ_U64(4 * GIB, request.length);
	CHECK_EQ_U64(0, ublk_request_payload_bytes(&request));
	CHECK_EQ_INT(0, ublk_request_result(&request, 0));
	desc.op_flags = UBLK_IO_OP_WRITE_ZEROES | UBLK_IO_F_NOUNMAP;
	CHECK_OK(ublk_request_decode(&desc, 0, &request));
	CHECK_EQ_INT(REQUEST_ZEROES, request.op);
	CHECK_EQ_U64(REQUEST_F_NO_UNMAP, request.flags);
	CHECK_EQ_INT(0, ublk_request_result(&request, 0));
}

static void an_error_is_committed_as_it_is(void)
{
	struct request request = {.op = REQUEST_READ, .length = 4096};

	CHECK_EQ_INT(-EIO, ublk_request_result(&request, -EIO));
	CHECK_EQ_INT(4096, ublk_request_result(&request, 0));
}

static void operations_that_were_never_advertised_are_refused(void)
{
	static const uint32_t ops[] = {4, 6, 10, 11, 0xff};
	struct ublksrv_io_desc desc = {0};
	struct request request;

	for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
		desc.op_flags = ops[i];
		CHECK_ERRNO(-EOPNOTSUPP, ublk_request_decode(&desc, 0, &request));
	}
}

static void bounce_buffers_go_to_the_oldest_waiter_and_come_back(void)
{
	struct list nodes[UBLK_BOUNCE_COUNT + 1];
	uint8_t *buffers[UBLK_BOUNCE_COUNT + 1];
	struct ublk_bounce bounce;

	CHECK_OK(ublk_bounce_init(&bounce));
	CHECK_FALSE(ublk_bounce_is_ready(&bounce));
	for (unsigned i = 0; i <= UBLK_BOUNCE_COUNT; i++) {
		list_init(&nodes[i]);
		ublk_bounce_wait(&bounce, &nodes[i]);
	}
	for (unsigned i = 0; i < UBLK_BOUNCE_COUNT; i++)
		CHECK_TRUE(ublk_bounce_lend(&bounce, &buffers[i]) == &nodes[i]);
	CHECK_FALSE(ublk_bounce_is_ready(&bounce)); /* one waits, none is free */
	ublk_bounce_return(&bounce, buffers[0]);
	CHECK_TRUE(ublk_bounce_lend(&bounce, &buffers[UBLK_BOUNCE_COUNT]) == &nodes[UBLK_BOUNCE_COUNT]);
	CHECK_TRUE(buffers[UBLK_BOUNCE_COUNT] == buffers[0]);
	ublk_bounce_fini(&bounce);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_write_keeps_its_range_and_flags),
	CHECK_TEST(a_flush_has_no_range_and_commits_zero),
	CHECK_TEST(a_discard_of_four_gib_commits_zero_not_an_overflown_length),
	CHECK_TEST(an_error_is_committed_as_it_is),
	CHECK_TEST(operations_that_were_never_advertised_are_refused),
	CHECK_TEST(bounce_buffers_go_to_the_oldest_waiter_and_come_back),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("ublk_request", tests, argc, argv);
}
