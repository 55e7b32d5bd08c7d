/* One question about a verify on its way from an admin client to the engine and back: asked on the control thread,
 * answered on the data thread, freed by the control thread. */
#ifndef GATEWAY_DRIVERS_VERIFY_JOB_H
#define GATEWAY_DRIVERS_VERIFY_JOB_H

#include <stdint.h>

#include "common/err.h"
#include "gateway/core/engine.h"
#include "proto/admin.h"

struct verify_job {
	unsigned client, serial; /* who asked (admin.h) */
	struct admin_request request;
	int error; /* of a start that was refused, with `err` */
	struct err err;
	uint64_t now_ns;
	struct verify_status status;
};

/* NULL: no memory. */
struct verify_job *verify_job_new(unsigned client, unsigned serial, const struct admin_request *request);
/* Data thread: does what is asked, then takes a snapshot. */
void verify_job_do(struct verify_job *job, struct engine *engine, uint64_t now_ns);
/* The answer for the client. */
void verify_job_reply(const struct verify_job *job, struct admin_reply *ret);

#endif
