/* Starting and stopping a device blocks while it does I/O, and that I/O may need the control thread (to reconnect a
 * replica). So each runs on a thread of its own and reports back to the control thread's event loop. */
#ifndef GATEWAY_DRIVERS_DEVICE_JOB_H
#define GATEWAY_DRIVERS_DEVICE_JOB_H

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/drivers/frontend.h"

enum device_job_kind { DEVICE_JOB_START, DEVICE_JOB_STOP };

struct device_job;
/* On the control thread: the job is over, `job->error` says how. */
typedef void device_job_done(void *ctx, struct device_job *job);

struct device_job {
	enum device_job_kind kind;
	bool force;
	bool running;
	int error; /* 0 or -errno, with `err` */
	struct err err;
	/* Private. */
	struct frontend *frontend;
	struct ev_loop *loop;
	device_job_done *done;
	void *ctx;
	ev_async finished;
	pthread_t thread;
};

/* `job` in the caller's memory; all pointers borrowed until device_job_fini(). Control thread. */
void device_job_init(struct device_job *job, struct frontend *frontend, struct ev_loop *loop, device_job_done *done,
		     void *ctx);
/* No job may be running. */
void device_job_fini(struct device_job *job);
/* One at a time: asserts that none is running. 0 or -errno (no thread). */
int device_job_run(struct device_job *job, enum device_job_kind kind, bool force) must_check;

#endif
