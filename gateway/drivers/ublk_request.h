/* ublk's description of a request -> the engine's. Pure; any thread. */
#ifndef GATEWAY_DRIVERS_UBLK_REQUEST_H
#define GATEWAY_DRIVERS_UBLK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "gateway/core/engine.h"
#include "gateway/drivers/ublk_uapi.h"

/* 0, or -EOPNOTSUPP: an operation that was never advertised. Ranges are the engine's to check. */
int ublk_request_decode(const struct ublksrv_io_desc *desc, unsigned tag, struct request *ret) must_check;

/* Bytes of memory that the request has: only reads and writes have any. */
static inline uint32_t ublk_request_payload_bytes(const struct request *request)
{
	return request->op == REQUEST_READ || request->op == REQUEST_WRITE ? (uint32_t)request->length : 0;
}

/* What to commit: full length or -errno. Never a short positive number, which from Linux 7.3 on counts as full success
 * (stale memory leaks to the reader, the tail of a write is lost), and 0 where there is no payload. */
static inline int ublk_request_result(const struct request *request, int error)
{
	return error ? error : (int)ublk_request_payload_bytes(request);
}

#endif
