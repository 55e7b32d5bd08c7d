/* The closed table of answers, both ways. */
#include "proto/status.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

static void every_status_survives_the_way_to_errno_and_back(void)
{
	for (unsigned i = 0; i < WIRE_STATUS_COUNT; i++) {
		int error = wire_status_to_errno((enum wire_status)i);

		CHECK_TRUE(error <= 0);
		CHECK_EQ_U64(i, wire_status_from_errno(error));
	}
}

static void numbers_on_the_wire_never_change(void)
{
	CHECK_EQ_U64(0, WIRE_OK);
	CHECK_EQ_U64(1, WIRE_EIO);
	CHECK_EQ_U64(2, WIRE_ENOSPC);
	CHECK_EQ_U64(3, WIRE_EROFS);
	CHECK_EQ_U64(4, WIRE_EINVAL);
	CHECK_EQ_U64(5, WIRE_ESTALE);
	CHECK_EQ_U64(6, WIRE_EBUSY);
	CHECK_EQ_U64(7, WIRE_ENOTSUP);
	CHECK_EQ_U64(8, WIRE_STATUS_COUNT);
}

static void quota_and_file_size_limits_are_no_space(void)
{
	CHECK_EQ_U64(WIRE_ENOSPC, wire_status_from_errno(-EDQUOT));
	CHECK_EQ_U64(WIRE_ENOSPC, wire_status_from_errno(-EFBIG));
	CHECK_ERRNO(-ENOSPC, wire_status_to_errno(WIRE_ENOSPC));
}

static void an_error_without_a_number_is_an_io_error(void)
{
	CHECK_EQ_U64(WIRE_EIO, wire_status_from_errno(-EUCLEAN));
	CHECK_EQ_U64(WIRE_EIO, wire_status_from_errno(-4095));
	CHECK_ERRNO(-EIO, wire_status_to_errno((enum wire_status)WIRE_STATUS_COUNT));
	CHECK_ERRNO(-EIO, wire_status_to_errno((enum wire_status)0xffff));
}

static void every_status_and_refusal_has_a_name_of_its_own(void)
{
	for (unsigned i = 0; i < WIRE_STATUS_COUNT; i++) {
		for (unsigned j = 0; j < i; j++)
			CHECK_TRUE(strcmp(wire_status_name((enum wire_status)i),
					  wire_status_name((enum wire_status)j)) != 0);
	}
	for (unsigned i = 0; i < REFUSAL_COUNT; i++) {
		CHECK_NOT_NULL(refusal_name((enum refusal)i));
		for (unsigned j = 0; j < i; j++)
			CHECK_TRUE(strcmp(refusal_name((enum refusal)i), refusal_name((enum refusal)j)) != 0);
	}
}

static void a_number_outside_the_tables_has_no_name(void)
{
	CHECK_STR("?", wire_status_name((enum wire_status)WIRE_STATUS_COUNT));
	CHECK_STR("?", refusal_name((enum refusal)REFUSAL_COUNT));
	CHECK_STR("?", refusal_name((enum refusal) - 1));
}

static const struct check_test tests[] = {
	CHECK_TEST(every_status_survives_the_way_to_errno_and_back),
	CHECK_TEST(numbers_on_the_wire_never_change),
	CHECK_TEST(quota_and_file_size_limits_are_no_space),
	CHECK_TEST(an_error_without_a_number_is_an_io_error),
	CHECK_TEST(every_status_and_refusal_has_a_name_of_its_own),
	CHECK_TEST(a_number_outside_the_tables_has_no_name),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("status", tests, argc, argv);
}
