/* What two replicas compare instead of the data: the first half of SHA-256 (FIPS 180-4). Any thread. */
#ifndef REPLICA_SERVER_DRIVERS_DIGEST_H
#define REPLICA_SERVER_DRIVERS_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "proto/message.h"

/* 0, or -EIO: the library failed, `out` is unspecified. */
int digest_piece(const uint8_t *bytes, size_t len, uint8_t out[DIGEST_BYTES]) must_check;

#endif
