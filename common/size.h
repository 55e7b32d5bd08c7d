/* Sizes as people write them: "512", "4K", "1M", "20GiB", "1T". Powers of 1024; no fractions, no sign. Pure. */
#ifndef COMMON_SIZE_H
#define COMMON_SIZE_H

#include <stdint.h>

#include "common/compiler.h"

#define SIZE_TEXT_CHARS 24u /* enough for size_format(), with the terminating NUL */

/* 0, -EINVAL (not a size) or -ERANGE (does not fit 64 bits); `*ret_bytes` untouched on error. */
int size_parse(const char *text, uint64_t *ret_bytes) must_check;

/* The shortest exact form: 1073741824 -> "1G", 1000 -> "1000". Parses back to the same number. */
void size_format(uint64_t bytes, char out[SIZE_TEXT_CHARS]);
/* For people, about three digits: "1.50 GiB". Does not parse back. */
void size_format_rough(uint64_t bytes, char out[SIZE_TEXT_CHARS]);

#endif
