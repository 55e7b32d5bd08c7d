/* Names of volumes and replicas: they become file names, log fields and command arguments. */
#ifndef COMMON_NAME_H
#define COMMON_NAME_H

#include <stdbool.h>

#include "common/limits.h"

#define NAME_RULE "a letter or digit, then letters, digits, '-', '_' or '.', at most 63 in all"

static_assert(VOLUME_NAME_MAX == 63, "NAME_RULE says so");

/* ASCII only; 1..VOLUME_NAME_MAX characters as NAME_RULE says. Pure. */
bool name_is_valid(const char *name);

#endif
