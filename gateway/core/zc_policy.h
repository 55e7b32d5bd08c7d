/* SEND_ZC or plain SEND for the next bulk payload of one connection, by what the kernel's notifications report.
 *
 * On a NIC SEND_ZC saves a copy; where the kernel must copy anyway (loopback, veth: skb_orphan_frags_rx) it only costs
 * a notification more than SEND. The kernel says afterwards which it was (IORING_SEND_ZC_REPORT_USAGE), so the policy
 * starts with SEND_ZC, stops after a run of copied payloads, and tries again from time to time.
 *
 * Plain data, no allocation, one thread. One struct a connection: a new connection starts anew, because the route
 * may have changed.
 */
#ifndef GATEWAY_CORE_ZC_POLICY_H
#define GATEWAY_CORE_ZC_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

enum zc_force { ZC_AUTO, ZC_ALWAYS, ZC_NEVER };

#define ZC_COPIED_RUN 32u   /* notifications in a row that said "copied" before SEND is used */
#define ZC_RETRY_EVERY 256u /* payloads, of which one tries SEND_ZC again */

struct zc_policy {
	enum zc_force force;
	uint32_t copied_run;  /* notifications in a row that said "copied", up to ZC_COPIED_RUN */
	uint32_t until_retry; /* plain payloads left before the next attempt */
	/* For status; totals of this connection. */
	uint64_t zero_copied_bytes; /* by the kernel's own word */
	uint64_t copied_bytes;	    /* sent with SEND, or with SEND_ZC and reported copied */
	uint64_t notifications;
};

void zc_policy_init(struct zc_policy *policy, enum zc_force force);

/* Asked once for each payload; counts the payloads between attempts. True: SEND_ZC. */
bool zc_policy_choose(struct zc_policy *policy);

/* A payload went by plain SEND. */
void zc_policy_sent(struct zc_policy *policy, uint32_t bytes);

/* The notification of a SEND_ZC payload came; `copied` is IORING_NOTIF_USAGE_ZC_COPIED of its result. */
void zc_policy_notified(struct zc_policy *policy, uint32_t bytes, bool copied);

/* "auto", "always", "never"; 0 or -EINVAL. */
int zc_force_parse(const char *text, enum zc_force *ret) must_check;
const char *zc_force_name(enum zc_force force);

#endif
