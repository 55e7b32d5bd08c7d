/* The loop of a data thread: completions, finished store operations, input, output, sleep. Must not know frames or
 * files. On every request's path: everything a request does on the server happens inside one or two turns of run(). */
#include "replica-server/drivers/data_thread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define SERVED_COUNT 4096u
/* Requests, and of each replica: sync, meta, stamps, what voters ask. */
#define STORE_OPS (SERVED_COUNT + (4 + REPLICA_VOTER_MAX) * HOSTED_MAX)
#define SQ_ENTRIES 1024u
#define CQ_ENTRIES 16384u
#define CQE_BATCH 256u
#define TICK_NS (1 * NS_PER_S)
#define TICK_FINISHING_NS (100 * NS_PER_MS)
#define JUDGE_NS (1 * NS_PER_S) /* a lost packet is sent again in less, and two are less than the deadline */

/* user_data of a connection: event (8 bits) | number. */
#define UD_EVENT_SHIFT 32

/* -- What connections ask for -- */

void data_thread_touch(struct data_thread *thread, struct conn *conn)
{
	list_del(&conn->work_node); /* it may wait for its kick: what happened since must be looked at first */
	list_add_tail(&thread->work, &conn->work_node);
}

void data_thread_wait(struct data_thread *thread, struct conn *conn)
{
	if (!list_is_linked(&conn->wait_node))
		list_add_tail(&thread->waiting, &conn->wait_node);
}

void data_thread_resource_freed(struct data_thread *thread)
{
	thread->resource_freed = true;
}

void data_thread_forget(struct data_thread *thread, struct conn *conn)
{
	list_del(&conn->node);
	list_del(&conn->work_node);
	list_del(&conn->wait_node);
	thread->conns[conn->number] = NULL;
	atomic_fetch_sub(thread->conn_count, 1);
	data_thread_resource_freed(thread);
}

uint64_t data_thread_conn_ud(const struct conn *conn, enum conn_event event)
{
	return ud_pack(UD_CONN, (uint64_t)event << UD_EVENT_SHIFT | conn->number);
}

struct message *data_thread_message(struct data_thread *thread)
{
	return &thread->message;
}

void data_thread_welcome(const struct data_thread *thread, const struct message_hello *hello,
			 struct message_welcome *ret)
{
	*ret = (struct message_welcome){
		.version = hello->version < PROTOCOL_VERSION ? hello->version : PROTOCOL_VERSION,
		.incarnation = thread->server->incarnation,
		.boot_id = thread->server->boot_id,
		.payload_max_bytes = IO_BYTES_MAX,
	};
	(void)snprintf(ret->server, sizeof(ret->server), "%s", thread->server_name);
}

/* -- The loop -- */

static void arm_mailbox(struct data_thread *thread)
{
	struct io_uring_sqe *sqe = ring_sqe(&thread->ring);

	io_uring_prep_poll_add(sqe, mailbox_fd(thread->mailbox), POLLIN);
	sqe->user_data = ud_pack(UD_MAILBOX, 0);
}

static void on_cqe(struct data_thread *thread, const struct io_uring_cqe *cqe)
{
	uint64_t bits = ud_bits(cqe->user_data);

	switch (ud_kind(cqe->user_data)) {
	case UD_STORE:
		store_queue_on_cqe(&thread->store, cqe);
		break;
	case UD_CONN:
		conn_on_cqe(thread->conns[(uint32_t)bits], (enum conn_event)(bits >> UD_EVENT_SHIFT), cqe);
		break;
	case UD_MAILBOX:
		data_thread_read_letters(thread);
		arm_mailbox(thread);
		break;
	default:
		break;
	}
}

static void reap(struct data_thread *thread)
{
	struct io_uring_cqe *cqes[CQE_BATCH];
	unsigned count;

	while ((count = ring_peek(&thread->ring, cqes, CQE_BATCH)) > 0) {
		for (unsigned i = 0; i < count; i++)
			on_cqe(thread, cqes[i]);
		ring_seen(&thread->ring, count);
	}
}

/* Quick sends that were submitted and left no completion were taken whole. */
static void settle_quick_sends(struct data_thread *thread)
{
	struct conn *conn;

	if (io_uring_sq_ready(&thread->ring.uring) > 0) /* the kernel was short of memory: not all was looked at yet */
		return;
	while ((conn = list_first(&thread->quick, struct conn, quick_node)))
		conn_quick_sent(conn);
}

/* Is a quick send, which may be over without a word, what something waits for? */
static bool quick_send_is_awaited(const struct data_thread *thread)
{
	struct list *it, *next;

	if (!list_is_empty(&thread->quick) && !list_is_empty(&thread->waiting))
		return true;
	list_for_each (it, next, &thread->quick)
		if (conn_awaits_send(container_of(it, struct conn, quick_node)))
			return true;
	return false;
}

static void wake_waiting(struct data_thread *thread)
{
	struct conn *conn;

	thread->resource_freed = false;
	while ((conn = list_first(&thread->waiting, struct conn, wait_node))) {
		list_del(&conn->wait_node);
		data_thread_touch(thread, conn);
	}
}

/* Until nothing moves without the kernel: a store that works inline finishes what the parsing began. */
static void settle(struct data_thread *thread, struct list *kicks)
{
	struct conn *conn;
	bool moved;

	do {
		moved = store_queue_run(&thread->store);
		if (moved || thread->resource_freed)
			wake_waiting(thread);
		while ((conn = list_first(&thread->work, struct conn, work_node))) {
			list_del(&conn->work_node);
			conn_parse(conn);
			list_del(&conn->work_node);
			list_add_tail(kicks, &conn->work_node);
			moved = true;
		}
	} while (moved);
}

/* Sends, receives and closes. A connection that ends may give another one work: true, once more. */
static bool kick_all(struct data_thread *thread, struct list *kicks, uint64_t now_ns)
{
	struct conn *conn;

	while ((conn = list_first(kicks, struct conn, work_node))) {
		list_del(&conn->work_node);
		(void)conn_kick(conn, now_ns); /* true: freed; either way this turn is done with it */
	}
	return !list_is_empty(&thread->work) || !list_is_empty(&thread->store.finished) || thread->resource_freed;
}

/* FINISHING connections have a deadline that no completion reports. */
static unsigned touch_finishing(struct data_thread *thread)
{
	struct list *it, *next;
	unsigned count = 0;

	list_for_each (it, next, &thread->conn_list) {
		struct conn *conn = container_of(it, struct conn, node);

		if (conn->state != CONN_FINISHING)
			continue;
		count++;
		data_thread_touch(thread, conn);
	}
	return count;
}

/* Not those that have as much as one may, or that keep themselves waiting because they do not read. */
static bool somebody_waits_for_memory(const struct data_thread *thread)
{
	struct list *it, *next;

	list_for_each (it, next, &thread->waiting) {
		const struct conn *conn = container_of(it, struct conn, wait_node);

		if (!conn->send_armed && conn->lane.held_bytes < LANE_BUFFER_BYTES_MAX)
			return true;
	}
	return false;
}

/* Peers that stand still must not keep the memory from the others. */
static void judge(struct data_thread *thread)
{
	bool others_wait = somebody_waits_for_memory(thread);
	struct list *it, *next;

	list_for_each (it, next, &thread->conn_list)
		conn_judge(container_of(it, struct conn, node), others_wait);
}

static void keep_time(struct data_thread *thread)
{
	uint64_t now_s = (uint64_t)time(NULL);
	struct list *it, *next;

	list_for_each (it, next, &thread->replicas)
		container_of(it, struct hosted, thread_node)->replica.now_s = now_s;
}

void data_thread_stats(struct data_thread *thread, struct thread_stats *ret)
{
	(void)pthread_mutex_lock(&thread->stats_lock);
	*ret = thread->stats;
	(void)pthread_mutex_unlock(&thread->stats_lock);
}

static void run(struct data_thread *thread)
{
	uint64_t tick_at = 0, judge_at = 0;
	struct list kicks;

	list_init(&kicks);
	arm_mailbox(thread);
	while (!thread->stopping || !list_is_empty(&thread->replicas)) {
		uint64_t now_ns = clock_now_ns();
		int error;

		if (now_ns >= tick_at) {
			keep_time(thread);
			thread->finishing_count = touch_finishing(thread);
			tick_at = now_ns + (thread->finishing_count ? TICK_FINISHING_NS : TICK_NS);
		}
		if (now_ns >= judge_at) {
			judge(thread);
			judge_at = now_ns + JUDGE_NS;
		}
		do
			settle(thread, &kicks);
		while (kick_all(thread, &kicks, now_ns));
		if (thread->stopping && list_is_empty(&thread->replicas))
			break;
		error = ring_submit_and_wait(&thread->ring, quick_send_is_awaited(thread) ? 0 : 1,
					     tick_at > now_ns ? tick_at - now_ns : 1);
		if (error) {
			log_error("event=ring_failed thread=%u reason=%s", thread->idx, err_name(error));
			break;
		}
		reap(thread);
		settle_quick_sends(thread);
	}
	data_thread_publish_stats(thread);
}

static int init_thread(struct data_thread *thread, struct err *err)
{
	int error = ring_init(&thread->ring, SQ_ENTRIES, CQ_ENTRIES, err);

	if (error)
		return error;
	error = io_uring_register_files(&thread->ring.uring, thread->locked_fds, thread->locked_count);
	if (error) {
		ring_fini(&thread->ring);
		return err_set(err, error, "data thread %u: its ring cannot keep the directories locked: %s",
			       thread->idx, err_name(error));
	}
	thread->ring.busy_poll = thread->busy_poll;
	list_init(&thread->conn_list);
	list_init(&thread->work);
	list_init(&thread->waiting);
	list_init(&thread->quick);
	list_init(&thread->replicas);
	if (buffers_init(&thread->buffers, thread->buffer_bytes) || served_pool_init(&thread->pool, SERVED_COUNT) ||
	    store_queue_init(&thread->store, &thread->ring, &thread->buffers, STORE_OPS))
		return err_set(err, -ENOMEM, "data thread %u: no memory for its buffers; lower --buffer-mib",
			       thread->idx);
	return 0;
}

static void fini_thread(struct data_thread *thread)
{
	(void)io_uring_unregister_files(&thread->ring.uring); /* else the lock outlives the process by some moments */
	ring_fini(&thread->ring);
	store_queue_fini(&thread->store);
	served_pool_fini(&thread->pool);
	buffers_fini(&thread->buffers);
}

static void *thread_main(void *arg)
{
	struct data_thread *thread = arg;
	int error = init_thread(thread, &thread->start_error);

	(void)sem_post(&thread->started);
	if (error)
		return NULL;
	run(thread);
	fini_thread(thread);
	data_thread_tell(thread, CONTROL_STOPPED, NULL);
	return NULL;
}

int data_thread_start(struct data_thread *thread, struct err *err)
{
	char name[16];
	int error;

	(void)sem_init(&thread->started, 0, 0);
	(void)pthread_mutex_init(&thread->stats_lock, NULL);
	error = pthread_create(&thread->pthread, NULL, thread_main, thread);
	if (error)
		return err_set(err, -error, "data thread %u: cannot be started: %s", thread->idx, strerror(error));
	(void)snprintf(name, sizeof(name), "data-%u", thread->idx);
	(void)pthread_setname_np(thread->pthread, name);
	while (sem_wait(&thread->started))
		continue; /* EINTR */
	if (thread->start_error.code) {
		(void)pthread_join(thread->pthread, NULL);
		return err_set(err, thread->start_error.code, "%s", thread->start_error.text);
	}
	return 0;
}

void data_thread_join(struct data_thread *thread)
{
	(void)pthread_join(thread->pthread, NULL);
}
