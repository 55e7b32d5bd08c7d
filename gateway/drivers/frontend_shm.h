/* The test frontend: block requests through shared memory (shm_ring.h), on any kernel with io_uring. */
#ifndef GATEWAY_DRIVERS_FRONTEND_SHM_H
#define GATEWAY_DRIVERS_FRONTEND_SHM_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/drivers/frontend.h"
#include "gateway/drivers/ublk_probe.h"

struct frontend_shm_options {
	const char *path;
	enum ublk_mode mode; /* COPY: payloads are not registered; ZERO_COPY: they must be */
	uint64_t volume_bytes;
	uint32_t block_bytes;
};

/* Opens and checks the file. 0 or -errno; -EBUSY: another gateway has it. `*ret` is freed by ops->destroy(). */
int frontend_shm_new(const struct frontend_shm_options *options, struct frontend **ret, struct err *err) must_check;

#endif
