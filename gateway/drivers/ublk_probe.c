/* Chooses between zero-copy and copy mode from what the kernel said, and words the reason.
 * Adds no device and knows no volume. Not on a request's path: runs once, before the device exists. */
#include "gateway/drivers/ublk_probe.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/uring.h"
#include "gateway/drivers/ublk_ctl.h"

/* Zero copy: the driver puts each request's pages into our buffer table and takes them out again; small payloads and
 * the rare request without a place in the table go through pread and pwrite. */
#define NEEDED_FOR_ZERO_COPY (UBLK_F_SUPPORT_ZERO_COPY | UBLK_F_AUTO_BUF_REG | UBLK_F_USER_COPY)
/* A killed gateway's device keeps its requests until it is taken over or deleted; without USER_RECOVERY the kernel
 * would fail them at once, and leave nothing to take over. */
#define NEEDED_ALWAYS (UBLK_F_CMD_IOCTL_ENCODE | UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE)
#define WELCOME (UBLK_F_NO_AUTO_PART_SCAN | UBLK_F_QUIESCE | UBLK_F_UPDATE_SIZE)

static const struct {
	uint64_t flag;
	const char *name;
} flag_names[] = {
	{UBLK_F_SUPPORT_ZERO_COPY, "SUPPORT_ZERO_COPY"},
	{UBLK_F_AUTO_BUF_REG, "AUTO_BUF_REG"},
	{UBLK_F_USER_COPY, "USER_COPY"},
	{UBLK_F_CMD_IOCTL_ENCODE, "CMD_IOCTL_ENCODE"},
	{UBLK_F_USER_RECOVERY, "USER_RECOVERY"},
	{UBLK_F_USER_RECOVERY_REISSUE, "USER_RECOVERY_REISSUE"},
};

static const char *first_missing(uint64_t needed, uint64_t have)
{
	for (size_t i = 0; i < ARRAY_COUNT(flag_names); i++)
		if (flag_names[i].flag & needed & ~have)
			return flag_names[i].name;
	return NULL;
}

static bool have_sys_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

int ublk_facts_probe(struct ublk_ctl *ctl, struct ublk_facts *ret, struct err *err)
{
	struct ublk_facts facts = {.admin = have_sys_admin()};
	struct utsname name;
	int rc = ublk_ctl_features(ctl, &facts.features, err);

	if (rc)
		return rc;
	facts.fixed_recv = ring_probe_fixed_recv();
	snprintf(facts.kernel, sizeof(facts.kernel), "%s", uname(&name) ? "?" : name.release);
	*ret = facts;
	return 0;
}

/* NULL: zero copy is possible. Else one clause why not, in `buf`. */
static const char *against_zero_copy(const struct ublk_facts *facts, char *buf, size_t cap)
{
	const char *missing = first_missing(NEEDED_FOR_ZERO_COPY, facts->features);

	if (missing)
		snprintf(buf, cap, "ublk of kernel %s lacks %s", facts->kernel, missing);
	else if (!facts->admin)
		snprintf(buf, cap, "CAP_SYS_ADMIN is missing");
	else
		return NULL;
	return buf;
}

static void choose_zero_copy(const struct ublk_facts *facts, enum ublk_mode wanted, struct ublk_choice *ret)
{
	ret->zero_copy = true;
	ret->fixed_recv = facts->fixed_recv == 1;
	ret->flags |= NEEDED_FOR_ZERO_COPY;
	snprintf(ret->reason, sizeof(ret->reason), "%s: ublk of kernel %s registers request buffers; bulk reads by %s",
		 wanted == UBLK_MODE_ZERO_COPY ? "as asked for" : "probed", facts->kernel,
		 ret->fixed_recv ? "RECV into them" : "READ_FIXED (the kernel has no RECV into registered buffers)");
}

int ublk_choose(const struct ublk_facts *facts, enum ublk_mode wanted, struct ublk_choice *ret, struct err *err)
{
	char clause[128];
	const char *against = against_zero_copy(facts, clause, sizeof(clause));
	const char *missing = first_missing(NEEDED_ALWAYS, facts->features);

	if (missing)
		return err_set(err, -EOPNOTSUPP, "ublk: kernel %s lacks %s; use a newer kernel", facts->kernel,
			       missing);
	if (wanted == UBLK_MODE_ZERO_COPY && against)
		return err_set(err, -EOPNOTSUPP, "mode zero-copy: impossible here: %s; use --mode auto or copy",
			       against);
	*ret = (struct ublk_choice){.flags = NEEDED_ALWAYS | (facts->features & WELCOME)};
	if (wanted != UBLK_MODE_COPY && !against) {
		choose_zero_copy(facts, wanted, ret);
		return 0;
	}
	snprintf(ret->reason, sizeof(ret->reason), "%s", wanted == UBLK_MODE_COPY ? "as asked for" : against);
	return 0;
}

int ublk_check_granted(const struct ublk_choice *choice, uint64_t granted, struct err *err)
{
	const char *missing = first_missing(choice->flags & (NEEDED_ALWAYS | NEEDED_FOR_ZERO_COPY), granted);

	if (missing)
		return err_set(err, -EOPNOTSUPP, "ublk: the kernel did not grant %s to the device, though it lists it",
			       missing);
	return 0;
}

int ublk_choose_again(const struct ublk_facts *facts, enum ublk_mode wanted, uint64_t flags, struct ublk_choice *ret,
		      struct err *err)
{
	enum ublk_mode has = flags & UBLK_F_AUTO_BUF_REG ? UBLK_MODE_ZERO_COPY : UBLK_MODE_COPY;
	const char *name = has == UBLK_MODE_ZERO_COPY ? "zero-copy" : "copy";
	int rc;

	if (wanted != UBLK_MODE_AUTO && wanted != has)
		return err_set(err, -EOPNOTSUPP,
			       "the device of the killed gateway is of mode %s; use --mode %s or auto", name, name);
	rc = ublk_choose(facts, has, ret, err);
	if (!rc)
		rc = ublk_check_granted(ret, flags, err);
	if (rc)
		return rc;
	ret->flags = flags;
	snprintf(ret->reason, sizeof(ret->reason), "taken over with the device of a killed gateway; kernel %s",
		 facts->kernel);
	return 0;
}
