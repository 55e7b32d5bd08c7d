/* Which boot of the kernel this is: a new boot id means that the page cache did not survive (random(4)). */
#ifndef COMMON_BOOTID_H
#define COMMON_BOOTID_H

#include "common/compiler.h"
#include "common/err.h"
#include "common/uuid.h"

/* Reads /proc/sys/kernel/random/boot_id. 0, or -errno with `err`: without it no replica may be served. */
int bootid_read(struct uuid *ret, struct err *err) must_check;

#endif
