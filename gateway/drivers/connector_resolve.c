/* Name resolution beside the control thread. First step of connector.c's attempt. A job's thread and the resolver share
 * one counted mailbox, so that either may end first. Knows no legs. */
#include "gateway/drivers/connector_resolve.h"

#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/address.h"
#include "common/mailbox.h"

/* Outlives the resolver while threads are at work. */
struct resolve_office {
	struct mailbox *results; /* data: the job */
	atomic_uint refs;
};

struct resolve_job {
	struct resolve_office *office;
	uint64_t token;
	struct address address;
	struct addrinfo *list;
	struct err err;
};

struct resolver {
	struct ev_loop *loop;
	struct ev_io watcher;
	struct resolve_office *office;
	resolver_done_fn *done;
	void *ctx;
	unsigned thread_count;
};

static void job_free(struct resolve_job *job)
{
	if (job->list)
		freeaddrinfo(job->list);
	free(job);
}

static void office_put(struct resolve_office *office)
{
	struct letter letter;

	if (atomic_fetch_sub(&office->refs, 1) > 1)
		return;
	while (mailbox_take(office->results, &letter))
		job_free(letter.data);
	mailbox_free(office->results);
	free(office);
}

static void report(struct resolver *resolver, struct resolve_job *job)
{
	struct addrinfo *list = job->list;

	job->list = NULL;
	resolver->done(resolver->ctx, job->token, list, &job->err);
	job_free(job);
}

static void on_results(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct resolver *resolver = watcher->data;
	struct letter letter;

	while (mailbox_take(resolver->office->results, &letter)) {
		resolver->thread_count--;
		report(resolver, letter.data);
	}
}

static struct resolve_office *office_new(void)
{
	struct resolve_office *office = calloc(1, sizeof(*office));

	if (!office)
		return NULL;
	atomic_init(&office->refs, 1);
	office->results = mailbox_new(RESOLVE_THREADS_MAX);
	if (office->results)
		return office;
	free(office);
	return NULL;
}

struct resolver *resolver_new(struct ev_loop *loop, resolver_done_fn *done, void *ctx, struct err *err)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (resolver)
		resolver->office = office_new();
	if (!resolver || !resolver->office) {
		err_set(err, -ENOMEM, "connections: name resolution cannot be set up: %s", err_name(-errno));
		free(resolver);
		return NULL;
	}
	resolver->loop = loop;
	resolver->done = done;
	resolver->ctx = ctx;
	ev_io_init(&resolver->watcher, on_results, mailbox_fd(resolver->office->results), EV_READ);
	resolver->watcher.data = resolver;
	ev_io_start(loop, &resolver->watcher);
	return resolver;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	ev_io_stop(resolver->loop, &resolver->watcher);
	office_put(resolver->office);
	free(resolver);
}

static int resolve(struct resolve_job *job, int flags)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	char port[sizeof("65535")];
	int error;

	snprintf(port, sizeof(port), "%u", job->address.port);
	error = getaddrinfo(job->address.host, port, &hints, &job->list);

	if (error) {
		job->list = NULL;
		err_set(&job->err, -EHOSTUNREACH, "%s: has no address: %s", job->address.host,
			error == EAI_SYSTEM ? err_name(errno) : gai_strerror(error));
	}
	return error;
}

static void *resolve_thread(void *arg)
{
	struct resolve_job *job = arg;
	struct resolve_office *office = job->office;
	const struct letter letter = {.fd = -1, .data = job};

	(void)resolve(job, AI_NUMERICSERV);
	if (mailbox_post(office->results, &letter)) /* cannot be: as many places as threads */
		job_free(job);
	office_put(office);
	return NULL;
}

static int thread_start(struct resolver *resolver, struct resolve_job *job)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	if (resolver->thread_count == RESOLVE_THREADS_MAX)
		return EAGAIN;
	error = pthread_attr_init(&attr);
	if (error)
		return error;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	atomic_fetch_add(&resolver->office->refs, 1);
	error = pthread_create(&thread, &attr, resolve_thread, job);
	pthread_attr_destroy(&attr);
	if (error)
		office_put(resolver->office);
	else
		resolver->thread_count++;
	return error;
}

/* Numeric first: it never waits. */
static bool needs_thread(struct resolve_job *job)
{
	if (resolve(job, AI_NUMERICHOST | AI_NUMERICSERV) == 0)
		return false;
	job->err = (struct err){0};
	return true;
}

void resolver_ask(struct resolver *resolver, const char *address, uint64_t token)
{
	struct resolve_job *job = calloc(1, sizeof(*job));
	struct err err = {0};
	int error;

	if (!job) {
		err_set(&err, -ENOMEM, "%s: no memory to resolve it", address);
		resolver->done(resolver->ctx, token, NULL, &err);
		return;
	}
	job->office = resolver->office;
	job->token = token;
	if (address_parse(address, PORT_DEFAULT, &job->address, &job->err) == 0 && needs_thread(job)) {
		error = thread_start(resolver, job);
		if (!error)
			return;
		err_set(&job->err, -error, "%s: cannot be resolved now: %s", job->address.host, err_name(error));
	}
	report(resolver, job);
}
