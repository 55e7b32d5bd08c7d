/* Runs frontend start() and stop() beside the control thread. Knows neither devices nor replicas.
 * Not on a request's path. */
#include "gateway/drivers/device_job.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

#include "common/limits.h"

#define THREAD_STACK_BYTES (256 * KIB)

static void *run_job(void *arg)
{
	struct device_job *job = arg;
	struct frontend *fe = job->frontend;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	if (job->kind == DEVICE_JOB_START)
		job->error = fe->ops->start(fe, &job->err);
	else
		job->error = fe->ops->stop(fe, job->force, &job->err);
	ev_async_send(job->loop, &job->finished);
	return NULL;
}

static void on_finished(struct ev_loop *loop, ev_async *async, int events)
{
	struct device_job *job = async->data;

	pthread_join(job->thread, NULL);
	job->running = false;
	job->done(job->ctx, job);
}

void device_job_init(struct device_job *job, struct frontend *frontend, struct ev_loop *loop, device_job_done *done,
		     void *ctx)
{
	memset(job, 0, sizeof(*job));
	job->frontend = frontend;
	job->loop = loop;
	job->done = done;
	job->ctx = ctx;
	ev_async_init(&job->finished, on_finished);
	job->finished.data = job;
	ev_async_start(loop, &job->finished);
}

void device_job_fini(struct device_job *job)
{
	assert(!job->running);
	ev_async_stop(job->loop, &job->finished);
}

int device_job_run(struct device_job *job, enum device_job_kind kind, bool force)
{
	pthread_attr_t attr;
	int rc;

	assert(!job->running);
	job->kind = kind;
	job->force = force;
	job->error = 0;
	memset(&job->err, 0, sizeof(job->err));
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	rc = pthread_create(&job->thread, &attr, run_job, job);
	pthread_attr_destroy(&attr);
	job->running = !rc;
	return -rc;
}
