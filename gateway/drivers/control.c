/* The life of an attachment as the control thread sees it: a small state machine between signals, admin requests, the
 * device's jobs and the data thread's letters. Knows no request and no frame. Not on a request's path. */
#include "gateway/drivers/control.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event_line.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "gateway/drivers/admin.h"
#include "gateway/drivers/connector.h"
#include "gateway/drivers/device_job.h"
#include "gateway/drivers/events.h"
#include "gateway/drivers/letters.h"
#include "gateway/drivers/run_dir.h"
#include "gateway/drivers/status.h"
#include "gateway/drivers/status_log.h"
#include "gateway/drivers/verify_job.h"

#define DETACH_RETRY_S 1.
#define STATUS_LOG_S 1.

/*  ATTACHING -> STARTING -> SERVING <-> STOPPING -> DETACHING -> ENDING
 *      |            |                                             ^
 *      +------------+---------------------------------------------+   (refused, or asked to end early) */
enum control_state {
	CONTROL_ATTACHING, /* the engine takes promises */
	CONTROL_STARTING,  /* a job makes the device */
	CONTROL_SERVING,
	CONTROL_STOPPING,  /* a job removes the device */
	CONTROL_DETACHING, /* the engine makes everything durable */
	CONTROL_ENDING,	   /* the data thread has been told to leave */
};

struct control {
	const struct control_options *options;
	enum control_state state;
	enum gateway_exit code;
	struct err *err;
	struct ev_loop *ev;
	struct loop *loop;
	struct admin *admin;
	struct connector *connector;
	struct events *events;
	struct device_job job;
	struct status_log status_log;
	ev_io letters;
	ev_signal sigterm, sigint;
	ev_timer retry; /* of a detach asked for by a signal */
	ev_timer logging;
	ev_timer watchdog;
	bool detach_wanted; /* by a signal: until it is done */
	bool force_wanted;  /* came while a job was running */
	bool snapshot_out;  /* with the data thread */
	uint64_t started_ns;
	uint64_t last_heartbeat;
	struct loop_status snapshot;
	struct admin_reply reply; /* scratch: too large for a stack */
};

static void begin_end(struct control *control);

static void tell_data(struct control *control, enum letter_kind kind, uint32_t a, void *data)
{
	struct letter letter = {.kind = kind, .a = a, .fd = -1, .data = data};

	if (mailbox_post(control->options->loop.to_data, &letter))
		log_error("event=mailbox_full letter=%u", kind); /* sized for all letters there can be */
}

/* The first failure is the one that is told at the end. */
static void fail(struct control *control, enum gateway_exit code, int error, const char *text)
{
	if (control->code != GATEWAY_EXIT_OK)
		return;
	control->code = code;
	err_set(control->err, error ? error : -EIO, "%s", text);
}

/* ---- Admin replies. ---- */

static void reply_done(struct control *control, enum admin_request_kind kind, const char *text)
{
	control->reply = (struct admin_reply){.kind = ADMIN_DONE};
	snprintf(control->reply.text, sizeof(control->reply.text), "%s", text);
	admin_reply_all(control->admin, kind, &control->reply);
}

static void reply_refused(struct control *control, enum admin_request_kind kind, int error, const char *text)
{
	control->reply = (struct admin_reply){.kind = ADMIN_REFUSED, .error = error};
	snprintf(control->reply.text, sizeof(control->reply.text), "%s", text);
	admin_reply_all(control->admin, kind, &control->reply);
}

/* ---- Detaching. ---- */

static void run_job(struct control *control, enum device_job_kind kind, bool force, enum control_state state)
{
	int rc = device_job_run(&control->job, kind, force);

	if (!rc) {
		control->state = state;
		return;
	}
	if (kind == DEVICE_JOB_STOP) {
		reply_refused(control, ADMIN_DETACH, rc, "no thread could be started to stop the device; try again");
		return;
	}
	fail(control, GATEWAY_EXIT_INTERNAL, rc, "no thread could be started to make the device");
	begin_end(control);
}

static void stop_device(struct control *control, bool force)
{
	if (force)
		tell_data(control, LETTER_FORCE, 0, NULL);
	run_job(control, DEVICE_JOB_STOP, force, CONTROL_STOPPING);
}

static void begin_end(struct control *control)
{
	control->state = CONTROL_ENDING;
	tell_data(control, LETTER_SHUTDOWN, 0, NULL);
}

static void begin_detach(struct control *control, bool force)
{
	switch (control->state) {
	case CONTROL_ATTACHING: /* nothing was served: nothing to make durable */
		begin_end(control);
		break;
	case CONTROL_SERVING:
		stop_device(control, force);
		break;
	case CONTROL_STARTING:
	case CONTROL_STOPPING:
		control->detach_wanted |= control->state == CONTROL_STARTING;
		control->force_wanted |= force;
		if (force) /* the job itself may be waiting for I/O that waits for a replica */
			tell_data(control, LETTER_FORCE, 0, NULL);
		break;
	case CONTROL_DETACHING:
		if (!force)
			break;
		fail(control, GATEWAY_EXIT_LOST, -EIO,
		     "detached by force: not everything was made durable on all replicas");
		begin_end(control);
		break;
	case CONTROL_ENDING:
		break;
	}
}

static void on_started(struct control *control, const struct device_job *job)
{
	struct frontend *fe = control->options->frontend;

	if (job->error) {
		fail(control, GATEWAY_EXIT_DEVICE, job->error, job->err.text);
		begin_end(control);
		return;
	}
	control->state = CONTROL_SERVING;
	events_say(control->events, LOG_LEVEL_INFO, "serving", "device=%s mode=%s reason=\"%s\" rss_bytes=%llu",
		   fe->ops->device(fe), fe->ops->mode(fe), fe->ops->mode_reason(fe),
		   (unsigned long long)status_resident_bytes());
	sd_notifyf(0, "READY=1\nSTATUS=%s, mode %s (%s)", fe->ops->device(fe), fe->ops->mode(fe),
		   fe->ops->mode_reason(fe));
	if (control->detach_wanted)
		begin_detach(control, control->force_wanted);
}

/* The device is still there and serves: whoever asked hears why. */
static void on_stop_refused(struct control *control, const struct device_job *job)
{
	control->state = CONTROL_SERVING;
	reply_refused(control, ADMIN_DETACH, job->error, job->err.text);
	if (control->detach_wanted && !ev_is_active(&control->retry)) {
		log_warn("event=detach_waits reason=\"%s\"", job->err.text);
		ev_timer_again(control->ev, &control->retry);
	}
}

static void on_stopped(struct control *control, const struct device_job *job)
{
	struct frontend *fe = control->options->frontend;

	if (job->error && control->force_wanted && !job->force) {
		stop_device(control, true);
		return;
	}
	if (job->error && job->force && fe->ops->device(fe)[0]) {
		/* Requests are being failed already: the device is left for --delete-device, not to be served half. */
		fail(control, GATEWAY_EXIT_DEVICE, job->error, job->err.text);
		begin_end(control);
		return;
	}
	if (job->error && fe->ops->device(fe)[0]) {
		on_stop_refused(control, job);
		return;
	}
	if (job->error) /* stopped, but not deleted: go on, the data is what matters */
		fail(control, GATEWAY_EXIT_DEVICE, job->error, job->err.text);
	ev_timer_stop(control->ev, &control->retry);
	sd_notify(0, "STOPPING=1");
	control->state = CONTROL_DETACHING;
	tell_data(control, LETTER_DETACH, job->force, NULL);
}

static void on_job_done(void *ctx, struct device_job *job)
{
	if (job->kind == DEVICE_JOB_START)
		on_started(ctx, job);
	else
		on_stopped(ctx, job);
}

/* ---- Letters from the data thread. ---- */

/* Others may pass: what waits in the device waits for the next attachment. */
static void give_up_device(struct control *control)
{
	struct frontend *fe = control->options->frontend;

	if (control->options->loop.engine.is_recovery && fe->ops->give_up)
		fe->ops->give_up(fe);
}

static void on_attached(struct control *control, const struct letter *letter)
{
	if (control->state != CONTROL_ATTACHING)
		return;
	if (letter->a) {
		if (letter->a == ESTALE || letter->a == EIO)
			give_up_device(control);
		fail(control, letter->a == EHOSTUNREACH ? GATEWAY_EXIT_ABSENT : GATEWAY_EXIT_REFUSED, -(int)letter->a,
		     letter->data ? letter->data : "attachment refused");
		begin_end(control);
		return;
	}
	run_job(control, DEVICE_JOB_START, false, CONTROL_STARTING);
}

/* The next gateway on this host knows by it that it has nobody's lease to wait for. Without it, it waits. */
static void on_outlived(struct control *control)
{
	struct err err;

	if (run_dir_record_nonce(control->options->run_dir, control->options->loop.engine.nonce, &err))
		log_warn("event=nonce_not_recorded reason=\"%s\"", err.text);
}

static void on_detached(struct control *control, const struct letter *letter)
{
	if (control->state != CONTROL_DETACHING)
		return;
	if (letter->a)
		fail(control, GATEWAY_EXIT_LOST, -(int)letter->a,
		     "detached, but not everything was made durable on all replicas");
	begin_end(control);
}

static void on_snapshot(struct control *control)
{
	struct status_sources sources = {
		.spec = control->options->spec,
		.frontend = control->options->frontend,
		.bulk_min_bytes = control->options->loop.engine.bulk_min_bytes,
		.started_ns = control->started_ns,
	};

	control->snapshot_out = false;
	control->reply = (struct admin_reply){.kind = ADMIN_STATUS_REPLY};
	status_compose(&sources, &control->snapshot, &control->reply.status);
	admin_reply_all(control->admin, ADMIN_STATUS, &control->reply);
	status_log_changes(&control->status_log, &control->reply.status);
}

static void on_verified(struct control *control, struct verify_job *job)
{
	verify_job_reply(job, &control->reply);
	if (admin_client_serial(control->admin, job->client) == job->serial)
		admin_reply(control->admin, job->client, &control->reply);
	free(job);
}

static void on_letter(struct control *control, struct letter *letter)
{
	switch (letter->kind) {
	case LETTER_CONNECT:
		connector_connect(control->connector, letter);
		break;
	case LETTER_ATTACHED:
		on_attached(control, letter);
		free(letter->data);
		break;
	case LETTER_OUTLIVED:
		on_outlived(control);
		break;
	case LETTER_EVENTS:
		events_drain(control->events);
		break;
	case LETTER_DETACHED:
		on_detached(control, letter);
		break;
	case LETTER_STATUS_REPLY:
		on_snapshot(control);
		break;
	case LETTER_VERIFY_REPLY:
		on_verified(control, letter->data);
		break;
	case LETTER_DATA_STOPPED:
		ev_break(control->ev, EVBREAK_ALL);
		break;
	}
}

static void on_mail(struct ev_loop *ev, ev_io *io, int events)
{
	struct control *control = io->data;
	struct letter letter;

	while (mailbox_take(control->options->loop.to_control, &letter))
		on_letter(control, &letter);
}

static void ask_snapshot(struct control *control)
{
	if (control->snapshot_out)
		return;
	control->snapshot_out = true;
	tell_data(control, LETTER_STATUS, 0, &control->snapshot);
}

/* ---- Admin requests, signals, timers. ---- */

static void ask_verify(struct control *control, unsigned client, const struct admin_request *request)
{
	struct verify_job *job = NULL;

	if (control->state == CONTROL_SERVING || control->state == CONTROL_STOPPING)
		job = verify_job_new(client, admin_client_serial(control->admin, client), request);
	if (job) {
		tell_data(control, LETTER_VERIFY, 0, job);
		return;
	}
	control->reply = (struct admin_reply){.kind = ADMIN_REFUSED, .error = -EAGAIN};
	snprintf(control->reply.text, sizeof(control->reply.text),
		 "volume %s: it is not served yet, or not any more; verify it when it is",
		 control->options->spec->name);
	admin_reply(control->admin, client, &control->reply);
}

static void on_request(void *ctx, unsigned client, const struct admin_request *request)
{
	struct control *control = ctx;

	switch (request->kind) {
	case ADMIN_PING:
		control->reply = (struct admin_reply){.kind = ADMIN_PONG, .pid = (int32_t)getpid()};
		snprintf(control->reply.text, sizeof(control->reply.text), "%s", LOCKSTEP_VERSION);
		admin_reply(control->admin, client, &control->reply);
		break;
	case ADMIN_STATUS:
		if (control->state == CONTROL_ENDING)
			reply_refused(control, ADMIN_STATUS, -ESHUTDOWN, "the gateway is ending");
		else
			ask_snapshot(control);
		break;
	case ADMIN_DETACH:
		events_say(control->events, LOG_LEVEL_INFO, "detach_requested", "by=admin force=%d", request->force);
		begin_detach(control, request->force);
		break;
	case ADMIN_VERIFY:
		ask_verify(control, client, request);
		break;
	default:
		break;
	}
}

static void on_signal(struct ev_loop *ev, ev_signal *signal, int events)
{
	struct control *control = signal->data;

	events_say(control->events, LOG_LEVEL_INFO, "detach_requested", "by=signal signal=%d", signal->signum);
	control->detach_wanted = true;
	begin_detach(control, false);
}

static void on_retry(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct control *control = timer->data;

	if (control->state == CONTROL_SERVING)
		begin_detach(control, false);
}

static void on_logging(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct control *control = timer->data;

	if (control->state != CONTROL_ENDING)
		ask_snapshot(control);
}

/* systemd restarts the unit when this stops: only if the data thread turns as well. */
static void on_watchdog(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct control *control = timer->data;
	uint64_t heartbeat = loop_heartbeat(control->loop);

	if (heartbeat != control->last_heartbeat)
		sd_notify(0, "WATCHDOG=1");
	control->last_heartbeat = heartbeat;
}

static void start_timer(struct control *control, ev_timer *timer, void (*on)(struct ev_loop *, ev_timer *, int),
			double seconds)
{
	ev_init(timer, on);
	timer->repeat = seconds;
	timer->data = control;
	if (seconds > 0)
		ev_timer_again(control->ev, timer);
}

static void start_watchers(struct control *control)
{
	uint64_t watchdog_us = 0;

	ev_io_init(&control->letters, on_mail, mailbox_fd(control->options->loop.to_control), EV_READ);
	control->letters.data = control;
	ev_io_start(control->ev, &control->letters);
	ev_signal_init(&control->sigterm, on_signal, SIGTERM);
	ev_signal_init(&control->sigint, on_signal, SIGINT);
	control->sigterm.data = control;
	control->sigint.data = control;
	ev_signal_start(control->ev, &control->sigterm);
	ev_signal_start(control->ev, &control->sigint);
	ev_init(&control->retry, on_retry);
	control->retry.repeat = DETACH_RETRY_S;
	control->retry.data = control;
	start_timer(control, &control->logging, on_logging, STATUS_LOG_S);
	if (sd_watchdog_enabled(0, &watchdog_us) <= 0)
		watchdog_us = 0;
	start_timer(control, &control->watchdog, on_watchdog, (double)watchdog_us / 2e6);
}

static void stop_watchers(struct control *control)
{
	ev_io_stop(control->ev, &control->letters);
	ev_signal_stop(control->ev, &control->sigterm);
	ev_signal_stop(control->ev, &control->sigint);
	ev_timer_stop(control->ev, &control->retry);
	ev_timer_stop(control->ev, &control->logging);
	ev_timer_stop(control->ev, &control->watchdog);
}

/* ---- Start and end. ---- */

static int acquire(struct control *control, struct err *err)
{
	struct connector_options connector;
	int rc = admin_new(control->options->run_dir->socket_path, control->ev, on_request, control, &control->admin,
			   err);

	if (rc)
		return rc;
	connector_options_default(&connector);
	control->connector =
		connector_new(&connector, control->options->spec, control->ev, control->options->loop.to_data, err);
	if (!control->connector) {
		rc = err->code;
		goto err_admin;
	}
	rc = loop_start(&control->options->loop, &control->loop, err);
	if (!rc)
		return 0;
	connector_free(control->connector);
err_admin:
	admin_free(control->admin);
	return rc;
}

static void answer_waiting(struct control *control)
{
	if (control->code == GATEWAY_EXIT_OK)
		reply_done(control, ADMIN_DETACH, "everything is durable on every replica in sync");
	else
		reply_refused(control, ADMIN_DETACH, control->err->code, control->err->text);
	reply_refused(control, ADMIN_STATUS, -ESHUTDOWN, "the gateway is ending");
	reply_refused(control, ADMIN_VERIFY, -ESHUTDOWN, "the volume is being detached");
}

/* The last event: how the attachment ended. */
static void tell_end(struct control *control)
{
	struct err why = *control->err;

	events_drain(control->events);
	event_line_tame(why.text);
	if (control->code == GATEWAY_EXIT_OK)
		events_say(control->events, LOG_LEVEL_INFO, "detached", "duration_ms=%llu",
			   (unsigned long long)((clock_now_ns() - control->started_ns) / NS_PER_MS));
	else
		events_say(control->events, LOG_LEVEL_WARN, "ended", "code=%d text=\"%s\"", control->code, why.text);
}

static void release(struct control *control)
{
	loop_join(control->loop);
	tell_end(control);
	connector_free(control->connector);
	answer_waiting(control);
	admin_free(control->admin);
}

static enum gateway_exit code_of_start(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return GATEWAY_EXIT_BUSY;
	case -EOPNOTSUPP:
		return GATEWAY_EXIT_MODE;
	default:
		return GATEWAY_EXIT_INTERNAL;
	}
}

enum gateway_exit control_run(const struct control_options *options, struct err *err)
{
	struct control *control = calloc(1, sizeof(*control));
	enum gateway_exit code;
	int rc;

	if (!control) {
		err_set(err, -ENOMEM, "control thread: out of memory");
		return GATEWAY_EXIT_INTERNAL;
	}
	control->options = options;
	control->err = err;
	control->started_ns = clock_now_ns();
	control->events = options->loop.events;
	/* poll, not epoll: libev takes descriptors out of an epoll set at its next event only, and sockets go over to
	 * the data thread once connected, which may have closed them then. */
	control->ev = ev_default_loop(EVFLAG_NOENV | EVBACKEND_POLL);
	rc = acquire(control, err);
	if (rc) {
		free(control);
		return code_of_start(rc);
	}
	device_job_init(&control->job, options->frontend, control->ev, on_job_done, control);
	start_watchers(control);
	events_say(control->events, LOG_LEVEL_INFO, "attaching", "pid=%d version=%s", (int)getpid(), LOCKSTEP_VERSION);
	tell_data(control, LETTER_ATTACH, 0, NULL);
	ev_run(control->ev, 0);
	stop_watchers(control);
	device_job_fini(&control->job);
	release(control);
	code = control->code;
	free(control);
	return code;
}
