/* How a ublk device will move its payloads, decided before it is added, by what the kernel answers when asked. */
#ifndef GATEWAY_DRIVERS_UBLK_PROBE_H
#define GATEWAY_DRIVERS_UBLK_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"

struct ublk_ctl;

enum ublk_mode { UBLK_MODE_AUTO, UBLK_MODE_ZERO_COPY, UBLK_MODE_COPY };

/* What was found out. */
struct ublk_facts {
	uint64_t features; /* UBLK_F_* of the driver */
	int fixed_recv;	   /* ring_probe_fixed_recv(): 1, 0 or -errno */
	bool admin;	   /* CAP_SYS_ADMIN is effective: zero copy needs it (ublk_drv.c, kernel 7.3) */
	char kernel[65];   /* uname -r, for the reason only; nothing is decided by it */
};

struct ublk_choice {
	bool zero_copy;
	bool fixed_recv;  /* bulk reads by RECV into registered buffers, else READ_FIXED */
	uint64_t flags;	  /* for ADD_DEV */
	char reason[256]; /* one line for people */
};

/* Asks the driver and io_uring (a socketpair and a registered buffer). 0 or -errno. */
int ublk_facts_probe(struct ublk_ctl *ctl, struct ublk_facts *ret, struct err *err) must_check;

/* 0, or -EOPNOTSUPP: `wanted` cannot be had, with the reason. Pure. */
int ublk_choose(const struct ublk_facts *facts, enum ublk_mode wanted, struct ublk_choice *ret, struct err *err)
	must_check;

/* For a device that was made by another gateway, with `flags`. 0, or -EOPNOTSUPP: it is not of the mode that is asked
 * for, or cannot be served by this program. Pure. */
int ublk_choose_again(const struct ublk_facts *facts, enum ublk_mode wanted, uint64_t flags, struct ublk_choice *ret,
		      struct err *err) must_check;

/* The flags that the kernel granted to the added device must be enough for `choice`. 0 or -EOPNOTSUPP. Pure. */
int ublk_check_granted(const struct ublk_choice *choice, uint64_t granted, struct err *err) must_check;

#endif
