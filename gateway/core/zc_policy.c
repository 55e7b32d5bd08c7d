/* The choice between SEND_ZC and SEND, one connection at a time. Knows no sockets: it is told what the kernel reported.
 * On a write's path: asked by the driver for every bulk payload, told of every send and notification. */
#include "gateway/core/zc_policy.h"

#include <errno.h>
#include <string.h>

#include "common/compiler.h"

static const char *const force_names[] = {
	[ZC_AUTO] = "auto",
	[ZC_ALWAYS] = "always",
	[ZC_NEVER] = "never",
};

void zc_policy_init(struct zc_policy *policy, enum zc_force force)
{
	*policy = (struct zc_policy){.force = force};
}

bool zc_policy_choose(struct zc_policy *policy)
{
	if (policy->force != ZC_AUTO)
		return policy->force == ZC_ALWAYS;
	if (policy->copied_run < ZC_COPIED_RUN)
		return true;
	if (policy->until_retry > 0) {
		policy->until_retry--;
		return false;
	}
	/* One payload tries; the rest stay with SEND until its notification says otherwise. */
	policy->until_retry = ZC_RETRY_EVERY - 1;
	return true;
}

void zc_policy_sent(struct zc_policy *policy, uint32_t bytes)
{
	policy->copied_bytes += bytes;
}

void zc_policy_notified(struct zc_policy *policy, uint32_t bytes, bool copied)
{
	policy->notifications++;
	if (!copied) {
		policy->zero_copied_bytes += bytes;
		policy->copied_run = 0;
		return;
	}
	policy->copied_bytes += bytes;
	if (policy->copied_run == ZC_COPIED_RUN)
		return;
	policy->copied_run++;
	if (policy->copied_run == ZC_COPIED_RUN)
		policy->until_retry = ZC_RETRY_EVERY - 1;
}

int zc_force_parse(const char *text, enum zc_force *ret)
{
	for (unsigned i = 0; i < ARRAY_COUNT(force_names); i++) {
		if (strcmp(text, force_names[i]) == 0) {
			*ret = (enum zc_force)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *zc_force_name(enum zc_force force)
{
	return (unsigned)force < ARRAY_COUNT(force_names) ? force_names[force] : "?";
}
