/* What comes again to a device that was taken over, and the record that says what must. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/drivers/flight.h"
#include "gateway/drivers/ublk_takeover.h"
#include "tests/unit/check.h"

#define MS 1000000ull
#define DEPTH 8u

static struct ublk_takeover takeover;
static uint8_t in_hand[QUEUE_DEPTH_MAX];

static void begin(uint8_t tags)
{
	for (unsigned tag = 0; tag < DEPTH; tag++)
		in_hand[tag] = tags >> tag & 1;
	ublk_takeover_begin(&takeover, in_hand, DEPTH);
}

static void reads_wait_until_all_that_was_in_hand_has_come_again(void)
{
	begin(0x0a);
	CHECK_FALSE(ublk_takeover_ends(&takeover, 5000 * MS)); /* the kernel was not told yet */
	ublk_takeover_resumed(&takeover, 5000 * MS);
	ublk_takeover_came(&takeover, 3);
	ublk_takeover_came(&takeover, 3); /* completed, and another request */
	ublk_takeover_came(&takeover, 4); /* a new one */
	CHECK_FALSE(ublk_takeover_ends(&takeover, 9000 * MS));
	ublk_takeover_came(&takeover, 1);
	CHECK_TRUE(ublk_takeover_ends(&takeover, 9000 * MS));
	CHECK_FALSE(ublk_takeover_ends(&takeover, 9001 * MS)); /* once */
	CHECK_EQ_U64(0, takeover.missing);
}

static void time_is_left_for_those_whose_completion_was_under_way(void)
{
	begin(0x01);
	ublk_takeover_came(&takeover, 0); /* it may come before END_USER_RECOVERY has returned */
	ublk_takeover_resumed(&takeover, 5000 * MS);
	CHECK_FALSE(ublk_takeover_ends(&takeover, 5000 * MS));
	CHECK_FALSE(ublk_takeover_ends(&takeover, 5199 * MS));
	CHECK_TRUE(ublk_takeover_ends(&takeover, 5200 * MS));
}

static void what_never_comes_is_waited_for_ten_seconds(void)
{
	begin(0x80);
	ublk_takeover_resumed(&takeover, 5000 * MS);
	CHECK_FALSE(ublk_takeover_ends(&takeover, 14999 * MS));
	CHECK_TRUE(ublk_takeover_ends(&takeover, 15000 * MS));
	CHECK_EQ_U64(1, takeover.missing);
}

static void an_ordinary_device_waits_for_nothing(void)
{
	memset(&takeover, 0, sizeof(takeover));
	ublk_takeover_came(&takeover, 2);
	CHECK_EQ_U64(0, takeover.missing);
	CHECK_FALSE(ublk_takeover_ends(&takeover, 5000 * MS));
}

static void the_record_outlives_who_wrote_it(void)
{
	char path[] = "/tmp/lockstep-flight-XXXXXX";
	struct flight flight;
	struct err err;
	int fd = mkstemp(path);

	CHECK_TRUE(fd >= 0);
	close(fd);
	CHECK_OK(flight_open(path, &flight, &err));
	CHECK_FALSE(flight_is_of(&flight, 0, DEPTH)); /* an empty file is nobody's */
	flight_begin(&flight, DEPTH);
	CHECK_FALSE(flight_is_of(&flight, 0, DEPTH)); /* nor is one whose device was never made */
	flight_set_device(&flight, 7);
	flight_keep_nonce(flight.record->nonces, 42);
	flight_take(&flight, 3);
	flight_take(&flight, 4);
	flight_give_back(&flight, 4);
	flight_close(&flight);

	CHECK_OK(flight_open(path, &flight, &err));
	CHECK_TRUE(flight_is_of(&flight, 7, DEPTH));
	CHECK_FALSE(flight_is_of(&flight, 6, DEPTH));
	CHECK_FALSE(flight_is_of(&flight, 7, DEPTH / 2));
	CHECK_EQ_U64(42, flight.record->nonces[0]);
	CHECK_EQ_U64(1, flight.record->in_hand[3]);
	CHECK_EQ_U64(0, flight.record->in_hand[4]);
	flight_begin(&flight, DEPTH);
	CHECK_FALSE(flight_is_of(&flight, 7, DEPTH));
	CHECK_EQ_U64(0, flight.record->in_hand[3]);
	flight_close(&flight);
	unlink(path);
	CHECK_ERRNO(-ENOENT, flight_open("/nonexistent/vol.flight", &flight, &err));
	CHECK_STR_HAS("/nonexistent/vol.flight", err.text);
}

/* An attempt that came to nothing may be followed by another; the one that served is never forgotten. */
static void of_many_attempts_the_first_and_the_latest_stay(void)
{
	uint64_t nonces[DEVICE_NONCES_MAX] = {0};

	flight_keep_nonce(nonces, 1000);
	for (uint64_t i = 1; i <= DEVICE_NONCES_MAX + 3; i++)
		flight_add_nonce(nonces, i);
	CHECK_EQ_U64(1000, nonces[0]);
	CHECK_EQ_U64(5, nonces[1]);
	CHECK_EQ_U64(DEVICE_NONCES_MAX + 3, nonces[DEVICE_NONCES_MAX - 1]);
	flight_keep_nonce(nonces, 2000);
	CHECK_EQ_U64(2000, nonces[0]);
	CHECK_EQ_U64(0, nonces[1]);
}

static const struct check_test tests[] = {
	CHECK_TEST(reads_wait_until_all_that_was_in_hand_has_come_again),
	CHECK_TEST(time_is_left_for_those_whose_completion_was_under_way),
	CHECK_TEST(what_never_comes_is_waited_for_ten_seconds),
	CHECK_TEST(an_ordinary_device_waits_for_nothing),
	CHECK_TEST(the_record_outlives_who_wrote_it),
	CHECK_TEST(of_many_attempts_the_first_and_the_latest_stay),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("ublk_takeover", tests, argc, argv);
}
