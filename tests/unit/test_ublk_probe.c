/* The choice between zero-copy and copy mode, from made-up kernels. */
#include <errno.h>
#include <string.h>

#include "gateway/drivers/ublk_probe.h"
#include "gateway/drivers/ublk_uapi.h"
#include "tests/unit/check.h"

#define RECOVERY (UBLK_F_CMD_IOCTL_ENCODE | UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE)
#define LINUX_6_12 (RECOVERY | UBLK_F_SUPPORT_ZERO_COPY | UBLK_F_USER_COPY)
#define LINUX_7_3                                                                                                      \
	(LINUX_6_12 | UBLK_F_AUTO_BUF_REG | UBLK_F_NO_AUTO_PART_SCAN | UBLK_F_QUIESCE | UBLK_F_UPDATE_SIZE |           \
	 UBLK_F_SAFE_STOP_DEV)

static const struct ublk_facts new_kernel = {.features = LINUX_7_3, .fixed_recv = 1, .admin = true, .kernel = "7.3.4"};
static const struct ublk_facts old_kernel = {
	.features = LINUX_6_12, .fixed_recv = 0, .admin = true, .kernel = "6.12.0"};

static void a_kernel_with_buffer_registration_gets_zero_copy(void)
{
	struct ublk_choice choice;

	CHECK_OK(ublk_choose(&new_kernel, UBLK_MODE_AUTO, &choice, NULL));
	CHECK_TRUE(choice.zero_copy);
	CHECK_TRUE(choice.fixed_recv);
	CHECK_EQ_U64(LINUX_7_3 & ~UBLK_F_SAFE_STOP_DEV, choice.flags);
	CHECK_STR_HAS("7.3.4", choice.reason);
}

static void a_kernel_without_it_gets_copy_and_the_reason_names_the_flag(void)
{
	struct ublk_choice choice;

	CHECK_OK(ublk_choose(&old_kernel, UBLK_MODE_AUTO, &choice, NULL));
	CHECK_FALSE(choice.zero_copy);
	CHECK_EQ_U64(RECOVERY, choice.flags);
	CHECK_STR_HAS("AUTO_BUF_REG", choice.reason);
	CHECK_STR_HAS("6.12.0", choice.reason);
}

static void forced_zero_copy_on_a_kernel_without_it_is_refused_with_the_reason(void)
{
	struct ublk_choice choice;
	struct err err;

	CHECK_ERRNO(-EOPNOTSUPP, ublk_choose(&old_kernel, UBLK_MODE_ZERO_COPY, &choice, &err));
	CHECK_STR_HAS("AUTO_BUF_REG", err.text);
	CHECK_STR_HAS("--mode", err.text);
}

static void zero_copy_needs_cap_sys_admin(void)
{
	struct ublk_facts facts = new_kernel;
	struct ublk_choice choice;
	struct err err;

	facts.admin = false;
	CHECK_ERRNO(-EOPNOTSUPP, ublk_choose(&facts, UBLK_MODE_ZERO_COPY, &choice, &err));
	CHECK_STR_HAS("CAP_SYS_ADMIN", err.text);
	CHECK_OK(ublk_choose(&facts, UBLK_MODE_AUTO, &choice, &err));
	CHECK_FALSE(choice.zero_copy);
}

static void copy_can_be_forced_where_zero_copy_is_possible(void)
{
	struct ublk_choice choice;

	CHECK_OK(ublk_choose(&new_kernel, UBLK_MODE_COPY, &choice, NULL));
	CHECK_FALSE(choice.zero_copy);
	CHECK_EQ_U64(0, choice.flags & (UBLK_F_AUTO_BUF_REG | UBLK_F_SUPPORT_ZERO_COPY | UBLK_F_USER_COPY));
	CHECK_STR_HAS("asked", choice.reason);
}

static void without_fixed_recv_bulk_reads_go_by_read_fixed_and_the_reason_says_so(void)
{
	struct ublk_facts facts = new_kernel;
	struct ublk_choice choice;

	facts.fixed_recv = 0;
	CHECK_OK(ublk_choose(&facts, UBLK_MODE_AUTO, &choice, NULL));
	CHECK_TRUE(choice.zero_copy);
	CHECK_FALSE(choice.fixed_recv);
	CHECK_STR_HAS("READ_FIXED", choice.reason);
	facts.fixed_recv = -ENOMEM; /* could not be asked: not relied upon */
	CHECK_OK(ublk_choose(&facts, UBLK_MODE_AUTO, &choice, NULL));
	CHECK_FALSE(choice.fixed_recv);
}

static void a_kernel_without_recovery_is_refused_in_every_mode(void)
{
	struct ublk_facts facts = new_kernel;
	struct ublk_choice choice;
	struct err err;

	facts.features &= ~UBLK_F_USER_RECOVERY_REISSUE;
	CHECK_ERRNO(-EOPNOTSUPP, ublk_choose(&facts, UBLK_MODE_AUTO, &choice, &err));
	CHECK_ERRNO(-EOPNOTSUPP, ublk_choose(&facts, UBLK_MODE_COPY, &choice, &err));
	CHECK_STR_HAS("USER_RECOVERY_REISSUE", err.text);
}

static void a_device_that_was_granted_less_than_listed_is_refused(void)
{
	struct ublk_choice choice;
	struct err err;

	CHECK_OK(ublk_choose(&new_kernel, UBLK_MODE_AUTO, &choice, NULL));
	CHECK_OK(ublk_check_granted(&choice, LINUX_7_3, &err));
	CHECK_ERRNO(-EOPNOTSUPP, ublk_check_granted(&choice, LINUX_7_3 & ~UBLK_F_AUTO_BUF_REG, &err));
	CHECK_STR_HAS("AUTO_BUF_REG", err.text);
	/* What is merely welcome may be missing. */
	CHECK_OK(ublk_check_granted(&choice, LINUX_7_3 & ~UBLK_F_QUIESCE, &err));
}

static void a_device_that_is_taken_over_keeps_its_mode(void)
{
	struct ublk_choice choice;
	struct err err;

	CHECK_OK(ublk_choose_again(&new_kernel, UBLK_MODE_AUTO, LINUX_7_3, &choice, NULL));
	CHECK_TRUE(choice.zero_copy);
	CHECK_EQ_U64(LINUX_7_3, choice.flags);
	CHECK_STR_HAS("taken over", choice.reason);
	CHECK_OK(ublk_choose_again(&new_kernel, UBLK_MODE_AUTO, RECOVERY, &choice, NULL));
	CHECK_FALSE(choice.zero_copy);
	CHECK_EQ_U64(RECOVERY, choice.flags);
	CHECK_ERRNO(-EOPNOTSUPP, ublk_choose_again(&new_kernel, UBLK_MODE_COPY, LINUX_7_3, &choice, &err));
	CHECK_STR_HAS("use --mode zero-copy", err.text);
	CHECK_ERRNO(-EOPNOTSUPP, ublk_choose_again(&new_kernel, UBLK_MODE_ZERO_COPY, RECOVERY, &choice, &err));
	CHECK_STR_HAS("use --mode copy", err.text);
	CHECK_ERRNO(-EOPNOTSUPP, ublk_choose_again(&new_kernel, UBLK_MODE_AUTO, UBLK_F_USER_RECOVERY, &choice, &err));
}

static void positions_of_payloads_follow_the_kernel_s_layout(void)
{
	CHECK_EQ_U64(0x80000000ull, ublk_payload_pos(0, 0, 0));
	CHECK_EQ_U64(0x80000000ull + (5ull << 25) + 4096, ublk_payload_pos(0, 5, 4096));
	CHECK_EQ_U64(0x80000000ull + (1ull << 41) + (4095ull << 25), ublk_payload_pos(1, 4095, 0));
	CHECK_EQ_U64(0x10007, ublk_auto_buf_reg(7)); /* index in 16 bits, FALLBACK above it */
}

static const struct check_test tests[] = {
	CHECK_TEST(a_kernel_with_buffer_registration_gets_zero_copy),
	CHECK_TEST(a_kernel_without_it_gets_copy_and_the_reason_names_the_flag),
	CHECK_TEST(forced_zero_copy_on_a_kernel_without_it_is_refused_with_the_reason),
	CHECK_TEST(zero_copy_needs_cap_sys_admin),
	CHECK_TEST(copy_can_be_forced_where_zero_copy_is_possible),
	CHECK_TEST(without_fixed_recv_bulk_reads_go_by_read_fixed_and_the_reason_says_so),
	CHECK_TEST(a_kernel_without_recovery_is_refused_in_every_mode),
	CHECK_TEST(a_device_that_was_granted_less_than_listed_is_refused),
	CHECK_TEST(a_device_that_is_taken_over_keeps_its_mode),
	CHECK_TEST(positions_of_payloads_follow_the_kernel_s_layout),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("ublk_probe", tests, argc, argv);
}
