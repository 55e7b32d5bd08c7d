/* Checksum of a payload: the low 32 bits of XXH3_64bits with seed 0 (xxHash's XXH3, stable since 0.8.0).
 *
 * A replica-server acknowledges a write with that of the bytes it stored, the gateway compares those of the replicas.
 * Why not CRC32C as in the headers: docs/decisions/0007-checksum-of-payloads.md. Any thread. */
#ifndef COMMON_PAYLOAD_CHECKSUM_H
#define COMMON_PAYLOAD_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint32_t payload_checksum(const void *data, size_t len);

/* Measures for some hundred microseconds which of the implementations that the processor can run is the fastest here,
 * and takes that one from now on; before, it is the portable one. An emulated processor runs vector instructions slower
 * than plain ones, a real one three times faster. Before there are threads. Returns its name. */
const char *payload_checksum_choose(void);

#endif
