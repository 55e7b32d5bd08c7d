/* The data thread's loop: completions and letters in, engine, then everything that is to be sent in one system call.
 * Knows what to call, not what it means. Every request and every frame passes through loop_turn(). */
#include "gateway/drivers/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/uring.h"
#include "gateway/drivers/events.h"
#include "gateway/drivers/frontend.h"
#include "gateway/drivers/letters.h"
#include "gateway/drivers/verify_job.h"

#define THREAD_STACK_BYTES (512 * KIB)
#define TICK_NS (50 * NS_PER_MS)
#define CQE_BATCH 64u
#define TOGETHER_US 500u /* so long all answers to a lone write are waited for, before one is reason enough to wake */
/* With more than this under way a wake-up is nothing beside moving bytes, and polling only costs processor time: a
 * tenth of what bulk requests take, a fifth with reads of 64k, and no faster. */
#define POLLED_BYTES_MAX (512 * KIB)
#define SHUTDOWN_NS (2 * NS_PER_S)    /* for lanes to let go of their memory */
#define FORCE_GRACE_NS (3 * NS_PER_S) /* a forced detach waits so long before it fails what is outstanding */

struct loop {
	struct loop_options options;
	pthread_t thread;
	sem_t started;
	struct err start_error;
	struct ring ring;
	struct engine *engine;
	struct peers *peers;
	struct frontend *frontend;
	uint64_t heartbeat; /* atomic */
	uint64_t now_ns;
	uint64_t next_tick_ns;
	uint64_t force_at_ns;	 /* 0: no forced detach */
	uint64_t shutdown_at_ns; /* 0: running; else when to leave at the latest */
	bool detaching;
	bool told_outlived; /* LETTER_OUTLIVED was sent */
	bool given_up;	    /* no connection is made any more */
};

/* ---- Actions of the engine (engine.h). ---- */

static void post(struct loop *loop, struct letter letter)
{
	if (mailbox_post(loop->options.to_control, &letter))
		log_error("event=mailbox_full letter=%u", letter.kind); /* sized for all letters there can be */
}

static void do_connect(void *ctx, unsigned leg, enum lane lane)
{
	struct loop *loop = ctx;

	if (!loop->given_up)
		peers_connect(loop->peers, leg, lane);
}

static void do_abort(void *ctx, unsigned leg, enum lane lane, const char *reason)
{
	peers_abort(((struct loop *)ctx)->peers, leg, lane, reason);
}

static void do_send_message(void *ctx, unsigned leg, enum lane lane, const struct message *message)
{
	FAILPOINT("sends", message_kind_name(message->kind));
	peers_send_message(((struct loop *)ctx)->peers, leg, lane, message);
}

static void do_send_frame(void *ctx, unsigned leg, enum lane lane, const struct frame *frame)
{
	peers_send_frame(((struct loop *)ctx)->peers, leg, lane, frame);
}

static bool do_send_write(void *ctx, const struct write_order *order)
{
	return peers_send_write(((struct loop *)ctx)->peers, order);
}

static void do_zero(void *ctx, const struct read_target *target)
{
	peers_zero(((struct loop *)ctx)->peers, target);
}

static void do_complete(void *ctx, unsigned slot, int error)
{
	struct loop *loop = ctx;

	FAILPOINT("completes", "request");
	loop->frontend->ops->complete(loop->frontend, slot, error);
}

static void do_attached(void *ctx, int error, const char *text)
{
	post(ctx,
	     (struct letter){
		     .kind = LETTER_ATTACHED, .a = (uint32_t)-error, .fd = -1, .data = text ? strdup(text) : NULL});
}

static void do_detached(void *ctx, int error)
{
	post(ctx, (struct letter){.kind = LETTER_DETACHED, .a = (uint32_t)-error, .fd = -1});
}

/* Nothing here may wait: the control thread logs and keeps it. */
static void do_event(void *ctx, const struct engine_event *event)
{
	struct loop *loop = ctx;

	FAILPOINT("event", engine_event_name(event->kind));
	if (events_push(loop->options.events, event))
		post(loop, (struct letter){.kind = LETTER_EVENTS, .fd = -1});
}

static const struct engine_ops engine_ops = {
	.event = do_event,
	.connect = do_connect,
	.abort = do_abort,
	.send_message = do_send_message,
	.send_frame = do_send_frame,
	.send_write = do_send_write,
	.zero = do_zero,
	.complete = do_complete,
	.attached = do_attached,
	.detached = do_detached,
};

/* ---- Letters from the control thread. ---- */

static void fill_status(struct loop *loop, struct loop_status *status)
{
	status->now_ns = loop->now_ns;
	engine_status(loop->engine, &status->engine);
	peers_stats(loop->peers, &status->peers);
	status->ring_sqe_count = loop->ring.sqe_count;
	status->ring_cqe_count = loop->ring.cqe_count;
	status->ring_enter_count = loop->ring.enter_count;
	status->ring_poll_count = loop->ring.poll_count;
	status->ring_poll_hit_count = loop->ring.poll_hit_count;
	status->buffer_fallbacks = loop->frontend->buffer_fallbacks;
	post(loop, (struct letter){.kind = LETTER_STATUS_REPLY, .fd = -1, .data = status});
}

static void begin_shutdown(struct loop *loop)
{
	loop->given_up = true;
	loop->shutdown_at_ns = loop->now_ns + SHUTDOWN_NS;
	peers_abort_all(loop->peers, "the gateway ends");
}

/* The device is gone. By force: the last SYNC has a moment, too. */
static void begin_detach(struct loop *loop, bool force)
{
	loop->detaching = true;
	loop->force_at_ns = force ? loop->now_ns + FORCE_GRACE_NS : 0;
	if (loop->given_up)
		do_detached(loop, -EIO);
	else
		engine_detach(loop->engine);
}

static void on_letter(struct loop *loop, struct letter *letter)
{
	switch (letter->kind) {
	case LETTER_LANE_READY:
		peers_lane_ready(loop->peers, letter->a, letter->b, letter->fd);
		break;
	case LETTER_LANE_FAILED:
		peers_lane_failed(loop->peers, letter->a, letter->b, letter->data);
		free(letter->data);
		break;
	case LETTER_ATTACH:
		engine_attach(loop->engine);
		break;
	case LETTER_DETACH:
		begin_detach(loop, letter->a);
		break;
	case LETTER_STATUS:
		fill_status(loop, letter->data);
		break;
	case LETTER_VERIFY:
		verify_job_do(letter->data, loop->engine, loop->now_ns);
		post(loop, (struct letter){.kind = LETTER_VERIFY_REPLY, .fd = -1, .data = letter->data});
		break;
	case LETTER_FORCE:
		loop->force_at_ns = loop->now_ns + FORCE_GRACE_NS;
		break;
	case LETTER_SHUTDOWN:
		begin_shutdown(loop);
		break;
	}
}

static void take_letters(struct loop *loop)
{
	struct letter letter;

	while (mailbox_take(loop->options.to_data, &letter))
		on_letter(loop, &letter);
}

static void watch_mailbox(struct loop *loop)
{
	struct io_uring_sqe *sqe = ring_sqe(&loop->ring);

	io_uring_prep_poll_multishot(sqe, mailbox_fd(loop->options.to_data), POLLIN);
	sqe->user_data = ud_pack(UD_MAILBOX, 0);
}

/* ---- Completions. ---- */

static void on_cqe(struct loop *loop, const struct io_uring_cqe *cqe)
{
	switch (ud_kind(cqe->user_data)) {
	case UD_FRONTEND:
		loop->frontend->ops->on_cqe(loop->frontend, cqe);
		break;
	case UD_PEER:
	case UD_ZERO:
		peers_on_cqe(loop->peers, cqe);
		break;
	case UD_MAILBOX:
		if (!(cqe->flags & IORING_CQE_F_MORE))
			watch_mailbox(loop);
		take_letters(loop);
		break;
	default:
		break;
	}
}

/* All of them, before anything is sent: what they lead to leaves in one batch per leg. */
static void drain_completions(struct loop *loop)
{
	struct io_uring_cqe *cqes[CQE_BATCH];
	unsigned count;

	while ((count = ring_peek(&loop->ring, cqes, CQE_BATCH)) > 0) {
		for (unsigned i = 0; i < count; i++)
			on_cqe(loop, cqes[i]);
		ring_seen(&loop->ring, count);
	}
}

/* ---- The loop. ---- */

/* Whatever waits for a replica would keep the device from being stopped, or the detach from ending.
 * NEEDSWORK(resync): a write that is failed here may be on some replicas only, and nothing makes them equal at the next
 * attach before resync exists. The same holds for a device that is deleted after its gateway was killed. */
static void give_up(struct loop *loop)
{
	loop->given_up = true;
	loop->frontend->ops->fail_all(loop->frontend);
	peers_abort_all(loop->peers, "forced detach");
	if (loop->detaching)
		do_detached(loop, -EIO);
}

static void tell_outlived(struct loop *loop)
{
	if (loop->told_outlived || !engine_outlived_leases(loop->engine))
		return;
	loop->told_outlived = true;
	post(loop, (struct letter){.kind = LETTER_OUTLIVED, .fd = -1});
}

static void tick(struct loop *loop)
{
	if (loop->now_ns < loop->next_tick_ns)
		return;
	loop->next_tick_ns = loop->now_ns + TICK_NS;
	if (loop->given_up)
		return;
	engine_tick(loop->engine);
	tell_outlived(loop);
	if (loop->force_at_ns && loop->now_ns >= loop->force_at_ns)
		give_up(loop);
}

static void loop_turn(struct loop *loop)
{
	loop->now_ns = clock_now_ns();
	engine_set_now(loop->engine, loop->now_ns);
	drain_completions(loop);
	loop->frontend->ops->poll(loop->frontend);
	tick(loop);
	peers_flush(loop->peers);
	__atomic_fetch_add(&loop->heartbeat, 1, __ATOMIC_RELAXED);
}

/* A lone write is complete when the last replica has answered: waking for each would be one system call and one switch
 * of context an answer. */
static int submit_and_wait(struct loop *loop)
{
	bool busy = loop->frontend->ops->idle(loop->frontend);

	loop->ring.busy_poll.is_held = engine_outstanding_bytes(loop->engine) > POLLED_BYTES_MAX;
	return ring_submit_and_wait_some(&loop->ring, busy ? 0 : engine_answers_due(loop->engine), TOGETHER_US,
					 loop->next_tick_ns - loop->now_ns);
}

static bool is_done(const struct loop *loop)
{
	if (!loop->shutdown_at_ns)
		return false;
	return peers_open_lanes(loop->peers) == 0 || loop->now_ns >= loop->shutdown_at_ns;
}

static void run(struct loop *loop)
{
	while (!is_done(loop)) {
		int rc;

		loop_turn(loop);
		rc = submit_and_wait(loop);
		if (rc) {
			log_error("event=ring_failed error=%s", err_name(rc));
			abort(); /* a ring of our own that fails is our mistake: the device stays and waits for a
				    successor */
		}
	}
}

static unsigned frontend_cq_entries(const struct loop *loop)
{
	return 2 * loop->frontend->queue_depth + 16;
}

/* Everything that must be made on the thread that uses it. */
static int set_up(struct loop *loop, struct err *err)
{
	struct peers_options peers;
	int rc;

	peers_options_default(&peers);
	peers.leg_count = volume_leg_count(loop->options.spec);
	peers.set_count = loop->options.spec->set_count;
	peers.queue_depth = loop->frontend->queue_depth;
	peers.to_control = loop->options.to_control;
	peers.recv = loop->options.recv;
	peers.zero_copy = loop->options.zero_copy;
	rc = ring_init(&loop->ring, peers_sq_entries(&peers) + 2 * loop->frontend->queue_depth + 16,
		       peers_cq_entries(&peers) + frontend_cq_entries(loop), err);
	if (rc)
		return rc;
	loop->ring.busy_poll = loop->options.busy_poll;
	loop->frontend->ring = &loop->ring;
	rc = loop->frontend->ops->arm(loop->frontend, err);
	if (rc)
		goto err_ring;
	loop->peers = peers_new(&peers, &loop->ring, loop->frontend, err);
	if (!loop->peers) {
		rc = err->code;
		goto err_ring;
	}
	loop->options.engine.queue_depth = loop->frontend->queue_depth;
	loop->options.engine.memory_is_pinned = loop->frontend->memory_is_pinned;
	loop->engine = engine_new(loop->options.spec, &loop->options.engine, &engine_ops, loop, err);
	if (!loop->engine) {
		rc = err->code;
		goto err_peers;
	}
	loop->frontend->engine = loop->engine;
	peers_bind(loop->peers, loop->engine);
	watch_mailbox(loop);
	return 0;
err_peers:
	peers_free(loop->peers);
err_ring:
	ring_fini(&loop->ring);
	return rc;
}

static void tear_down(struct loop *loop)
{
	ring_fini(&loop->ring);
	peers_free(loop->peers);
	engine_free(loop->engine);
}

static void *thread_main(void *arg)
{
	struct loop *loop = arg;
	sigset_t all;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL); /* signals are the control thread's */
	pthread_setname_np(pthread_self(), "data");
	rc = set_up(loop, &loop->start_error);
	loop->start_error.code = rc;
	sem_post(&loop->started);
	if (rc)
		return NULL;
	run(loop);
	tear_down(loop);
	post(loop, (struct letter){.kind = LETTER_DATA_STOPPED, .fd = -1});
	return NULL;
}

static int start_thread(struct loop *loop, struct err *err)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES); /* mlockall() makes all of it resident */
	rc = pthread_create(&loop->thread, &attr, thread_main, loop);
	pthread_attr_destroy(&attr);
	if (rc)
		return err_set(err, -rc, "data thread: %s", strerror(rc));
	while (sem_wait(&loop->started))
		; /* EINTR */
	if (!loop->start_error.code)
		return 0;
	pthread_join(loop->thread, NULL);
	*err = loop->start_error;
	return err->code;
}

int loop_start(const struct loop_options *options, struct loop **ret, struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int rc;

	if (!loop)
		return err_set(err, -ENOMEM, "data thread: out of memory");
	loop->options = *options;
	loop->frontend = options->frontend;
	sem_init(&loop->started, 0, 0);
	rc = start_thread(loop, err);
	if (rc) {
		sem_destroy(&loop->started);
		free(loop);
		return rc;
	}
	*ret = loop;
	return 0;
}

void loop_join(struct loop *loop)
{
	pthread_join(loop->thread, NULL);
	sem_destroy(&loop->started);
	free(loop);
}

uint64_t loop_heartbeat(const struct loop *loop)
{
	return __atomic_load_n(&loop->heartbeat, __ATOMIC_RELAXED);
}
