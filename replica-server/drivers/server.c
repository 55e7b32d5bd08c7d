/* The control thread: start, signals, letters, orderly end. Must not know frames. Never on a request's path. */
#include "replica-server/drivers/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/bootid.h"
#include "common/clock.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "replica-server/drivers/intake.h"
#include "replica-server/drivers/listener.h"
#include "replica-server/drivers/registry.h"
#include "replica-server/drivers/stats.h"

#define MAILBOX_LETTERS 4096u
#define DEFAULT_THREADS_MAX 8

/* -- Identity -- */

static int make_identity(struct server *server, struct err *err)
{
	char host[40] = "?";

	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(server->name, sizeof(server->name), "%s:%d", host, (int)getpid());
	while (server->identity.incarnation == 0)
		if (getrandom(&server->identity.incarnation, sizeof(server->identity.incarnation), 0) < 0)
			return err_set(err, -errno, "incarnation: the kernel gives no random number: %s",
				       strerror(errno));
	server->identity.started_ns = clock_now_ns();
	return bootid_read(&server->identity.boot_id, err);
}

/* -- Data threads -- */

unsigned server_thread_of(const struct server *server, const struct uuid *volume_uuid)
{
	return crc32c(0, volume_uuid->bytes, sizeof(volume_uuid->bytes)) % server->thread_count;
}

static unsigned thread_count_of(const struct opts *opts)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (opts->threads)
		return opts->threads;
	if (cpus < 1)
		return 1;
	return cpus < DEFAULT_THREADS_MAX ? (unsigned)cpus : DEFAULT_THREADS_MAX;
}

static int start_thread(struct server *server, unsigned idx, const struct busy_poll *busy_poll, struct err *err)
{
	struct data_thread *thread = calloc(1, sizeof(*thread));
	int error;

	if (!thread)
		return err_set(err, -ENOMEM, "data thread %u: no memory", idx);
	thread->idx = idx;
	thread->control = server->mailbox;
	thread->server = &server->identity;
	thread->server_name = server->name;
	thread->conn_count = &server->conn_count;
	thread->buffer_bytes = (size_t)server->opts->buffer_mib * MIB;
	thread->busy_poll = *busy_poll;
	thread->locked_fds = server->root_fds;
	thread->locked_count = server->root_count;
	thread->mailbox = mailbox_new(MAILBOX_LETTERS);
	error = thread->mailbox ? data_thread_start(thread, err)
				: err_set(err, -errno, "data thread %u: no mailbox: %s", idx, strerror(errno));
	if (error) {
		mailbox_free(thread->mailbox);
		free(thread);
		return error;
	}
	server->threads[server->thread_count++] = thread;
	return 0;
}

static void post_to_all(struct server *server, enum data_letter kind, unsigned *awaited)
{
	struct letter letter = {.kind = kind, .fd = -1};

	for (unsigned i = 0; i < server->thread_count; i++) {
		if (mailbox_post(server->threads[i]->mailbox, &letter))
			log_error("event=lost_letter thread=%u reason=\"its mailbox is full\"", i);
		else
			(*awaited)++;
	}
}

/* Every replica that can be served goes to its thread. */
static void hand_out(struct server *server)
{
	struct list *it, *next;

	list_for_each (it, next, &server->replicas) {
		struct hosted *hosted = container_of(it, struct hosted, node);
		struct letter letter = {.kind = DATA_ADD, .fd = -1, .data = hosted};

		if (!hosted->is_served)
			continue;
		/* Letters for HOSTED_MAX replicas fit an empty mailbox. */
		if (mailbox_post(server->threads[hosted->thread_idx]->mailbox, &letter))
			hosted->is_served = false;
	}
}
static_assert(HOSTED_MAX + CONNECTIONS_MAX < MAILBOX_LETTERS, "start and connections fit the mailbox");

static void join_threads(struct server *server)
{
	for (unsigned i = 0; i < server->thread_count; i++) {
		data_thread_join(server->threads[i]);
		mailbox_free(server->threads[i]->mailbox);
		free(server->threads[i]);
	}
	server->thread_count = 0;
}

/* -- Events -- */

static void end_loop_when_stopped(struct server *server)
{
	if (server->stopping && server->stops_awaited == 0)
		ev_break(server->loop, EVBREAK_ALL);
}

static void on_letter(struct server *server, const struct letter *letter)
{
	switch ((enum control_letter)letter->kind) {
	case CONTROL_REMOVED:
		admin_removed(server, letter->data);
		break;
	case CONTROL_IN_USE:
		admin_in_use(server, letter->data);
		break;
	case CONTROL_STATS:
		if (--server->stats_awaited == 0)
			stats_log(server);
		break;
	case CONTROL_STOPPED:
		server->stops_awaited--;
		end_loop_when_stopped(server);
		break;
	}
}

static void on_mailbox(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct server *server = io->data;
	struct letter letter;

	while (mailbox_take(server->mailbox, &letter))
		on_letter(server, &letter);
}

static void stop(struct server *server)
{
	struct intake *intake;

	if (server->stopping)
		return;
	server->stopping = true;
	(void)sd_notify(0, "STOPPING=1");
	log_info("event=stopping");
	listeners_close(server);
	while ((intake = list_first(&server->pending, struct intake, node)))
		intake_free(intake);
	post_to_all(server, DATA_STOP, &server->stops_awaited);
	end_loop_when_stopped(server);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *signal, int events)
{
	struct server *server = signal->data;

	if (signal->signum != SIGUSR1)
		stop(server);
	else if (server->stats_awaited == 0)
		post_to_all(server, DATA_STATS, &server->stats_awaited);
}

static void watch(struct server *server)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGUSR1};
	struct ev_signal *watchers[] = {&server->on_term, &server->on_int, &server->on_usr1};

	for (unsigned i = 0; i < ARRAY_COUNT(signals); i++) {
		ev_signal_init(watchers[i], on_signal, signals[i]);
		watchers[i]->data = server;
		ev_signal_start(server->loop, watchers[i]);
	}
	ev_io_init(&server->mailbox_io, on_mailbox, mailbox_fd(server->mailbox), EV_READ);
	server->mailbox_io.data = server;
	ev_io_start(server->loop, &server->mailbox_io);
}

/* -- Start and end -- */

/* Best effort: what is not allowed is found out later by whoever needs it. */
static void raise_limits(void)
{
	static const int limits[] = {RLIMIT_NOFILE, RLIMIT_MEMLOCK};

	for (unsigned i = 0; i < ARRAY_COUNT(limits); i++) {
		struct rlimit limit;

		if (getrlimit(limits[i], &limit))
			continue;
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(limits[i], &limit);
	}
}

static int open_all(struct server *server, struct err *err)
{
	int error = make_identity(server, err);

	for (unsigned i = 0; !error && i < server->opts->listen_count; i++)
		error = listener_open(server, server->opts->listen[i], err);
	if (error)
		return error;
	server->thread_count = thread_count_of(server->opts); /* replicas are given a number before threads run */
	error = registry_open(server, err);
	server->thread_count = 0;
	return error;
}

/* Signals belong to the control thread: blocked while the others are made. */
static int start_threads(struct server *server, struct err *err)
{
	const struct busy_poll busy_poll = busy_poll_measure(server->opts->busy_poll_us);
	sigset_t all, before;
	int error = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	for (unsigned i = 0; !error && i < thread_count_of(server->opts); i++)
		error = start_thread(server, i, &busy_poll, err);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		return 0;
	post_to_all(server, DATA_STOP, &server->stops_awaited);
	join_threads(server);
	return error;
}

static int serve(struct server *server, struct err *err)
{
	int error = start_threads(server, err);

	if (error)
		return error;
	hand_out(server);
	watch(server);
	listeners_start(server);
	log_info("event=ready replicas=%u threads=%u incarnation=%016llx", server->replica_count, server->thread_count,
		 (unsigned long long)server->identity.incarnation);
	(void)sd_notify(0, "READY=1");
	ev_run(server->loop, 0);
	stats_log(server);
	join_threads(server);
	log_info("event=stopped");
	return 0;
}

int server_run(const struct opts *opts, struct err *err)
{
	struct server *server = calloc(1, sizeof(*server));
	int error;

	if (!server)
		return err_set(err, -ENOMEM, "server: no memory");
	server->opts = opts;
	list_init(&server->replicas);
	list_init(&server->pending);
	raise_limits();
	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail for a valid number */
	/* poll, not epoll: libev takes descriptors out of an epoll set lazily, and ours go to other threads. */
	server->loop = ev_default_loop(EVFLAG_NOENV | EVBACKEND_POLL);
	server->mailbox = mailbox_new(MAILBOX_LETTERS);
	error = server->loop && server->mailbox ? open_all(server, err)
						: err_set(err, -ENOMEM, "server: no event loop or mailbox");
	if (!error)
		error = serve(server, err);
	listeners_close(server);
	registry_close(server);
	mailbox_free(server->mailbox);
	free(server);
	return error;
}
