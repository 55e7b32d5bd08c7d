/* A valid config for tests to bend: the second set of two, two replicas and a witness. */
#ifndef TESTS_UNIT_SAMPLE_H
#define TESTS_UNIT_SAMPLE_H

#include "proto/config.h"

/* Bytes first, first + 1, ... */
struct uuid sample_uuid(uint8_t first);
struct config sample_config(void);

#endif
