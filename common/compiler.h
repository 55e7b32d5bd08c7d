/* Attributes and small helpers every file may use. */
#ifndef COMMON_COMPILER_H
#define COMMON_COMPILER_H

#include <assert.h>
#include <stddef.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt_idx, arg_idx) __attribute__((format(printf, fmt_idx, arg_idx)))

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
