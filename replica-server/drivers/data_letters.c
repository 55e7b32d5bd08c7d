/* What other threads tell a data thread, and its replicas. Must not know frames or completions.
 * Not on a request's path: letters come when connections, replicas and the process come and go. */
#include "replica-server/drivers/data_thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "proto/codec.h"

/* -- Replicas -- */

void data_thread_tell(struct data_thread *thread, enum control_letter kind, struct hosted *hosted)
{
	struct letter letter = {.kind = kind, .a = thread->idx, .fd = -1, .data = hosted};

	if (mailbox_post(thread->control, &letter))
		log_error("event=lost_letter kind=%d reason=\"the control thread's mailbox is full\"", (int)kind);
}

static void publish(struct replica *replica)
{
	struct hosted *hosted = container_of(replica, struct hosted, replica);
	bool is_news;

	(void)pthread_mutex_lock(&hosted->lock);
	is_news = strcmp(hosted->info.health, replica->health) != 0;
	replica_info(replica, &hosted->info);
	(void)pthread_mutex_unlock(&hosted->lock);
	if (replica->state == REPLICA_FAILED && is_news)
		log_error("event=failed replica=%s health=\"%s\"", hosted->name, replica->health);
}

static void add_counters(struct session_counters *sum, const struct session_counters *c)
{
	sum->frames += c->frames;
	sum->writes += c->writes;
	sum->reads += c->reads;
	sum->flushes += c->flushes;
	sum->discards += c->discards;
	sum->zeroes += c->zeroes;
	sum->pings += c->pings;
	sum->write_bytes += c->write_bytes;
	sum->read_bytes += c->read_bytes;
	sum->short_reads += c->short_reads;
	sum->refused += c->refused;
	sum->errors += c->errors;
}

static void replica_stopped(struct replica *replica)
{
	struct hosted *hosted = container_of(replica, struct hosted, replica);
	struct data_thread *thread = container_of(hosted->file.queue, struct data_thread, store);

	publish(replica);
	list_del(&hosted->thread_node);
	add_counters(&thread->gone, &replica->session.counters);
	replica_fini(replica);
	if (hosted->is_removing)
		data_thread_tell(thread, CONTROL_REMOVED, hosted);
}

static int init_replica(struct data_thread *thread, struct hosted *hosted, struct err *err)
{
	struct replica_options options = {
		.server = thread->server,
		.store = &hosted->file.store,
		.pool = &thread->pool,
		.unstable_extents = UNSTABLE_EXTENTS_DEFAULT,
		.changed = publish,
		.stopped = replica_stopped,
	};
	int64_t damaged;

	store_file_init(&hosted->file, &thread->store, hosted->dir.data_fd, hosted->dir.superblock_fd,
			hosted->dir.stamps_fd);
	hosted->file.direct_bytes = hosted->dir.direct_bytes;
	hosted->file.is_inline = hosted->dir.is_memory;
	if (replica_init(&hosted->replica, &hosted->dir.sb, &options))
		return err_set(err, -ENOMEM, "no memory for the replica's tables");
	if (hosted->replica.identity.is_witness)
		return 0;
	damaged = replica_dir_load_stamps(&hosted->dir, &hosted->replica.stamps, err);
	if (damaged < 0) {
		replica_fini(&hosted->replica);
		return (int)damaged;
	}
	if (damaged)
		log_warn("event=stamps_damaged replica=%s blocks=%lld effect=\"their regions count as changed\"",
			 hosted->name, (long long)damaged);
	return 0;
}

static void add_replica(struct data_thread *thread, struct hosted *hosted)
{
	struct err err = {0};

	list_init(&hosted->thread_node);
	if (init_replica(thread, hosted, &err)) {
		(void)pthread_mutex_lock(&hosted->lock);
		(void)snprintf(hosted->info.health, sizeof(hosted->info.health), "%.*s",
			       (int)sizeof(hosted->info.health) - 1, err.text);
		(void)pthread_mutex_unlock(&hosted->lock);
		log_error("event=not_served replica=%s reason=\"%s\"", hosted->name, err.text);
		return;
	}
	list_add_tail(&thread->replicas, &hosted->thread_node);
	/* Pinned memory only where a device can use it. */
	if (hosted->file.direct_bytes && !thread->buffers.registered) {
		int error = buffers_register(&thread->buffers, &thread->ring);

		if (error)
			log_warn("event=no_fixed_buffers reason=%s effect=\"direct I/O maps its pages anew each time\" "
				 "next=\"raise LimitMEMLOCK\"",
				 err_name(error));
	}
	hosted->replica.now_s = (uint64_t)time(NULL);
	hosted->replica.now_ns = clock_now_ns();
	publish(&hosted->replica);
}

static void remove_replica(struct data_thread *thread, struct hosted *hosted)
{
	if (!list_is_linked(&hosted->thread_node)) { /* it never got served */
		data_thread_tell(thread, CONTROL_REMOVED, hosted);
	} else if (hosted->replica.session.main) {
		data_thread_tell(thread, CONTROL_IN_USE, hosted);
	} else {
		hosted->is_removing = true;
		replica_stop(&hosted->replica);
	}
}

/* Copied out for the control thread to read at leisure. */
void data_thread_publish_stats(struct data_thread *thread)
{
	struct thread_stats stats = {
		.sessions = thread->gone, .store = thread->store.counters, .net = thread->counters};
	struct list *it, *next;

	list_for_each (it, next, &thread->replicas)
		add_counters(&stats.sessions, &container_of(it, struct hosted, thread_node)->replica.session.counters);
	stats.sqes = thread->ring.sqe_count;
	stats.cqes = thread->ring.cqe_count;
	stats.enters = thread->ring.enter_count;
	stats.polls = thread->ring.poll_count;
	stats.poll_hits = thread->ring.poll_hit_count;
	(void)pthread_mutex_lock(&thread->stats_lock);
	thread->stats = stats;
	(void)pthread_mutex_unlock(&thread->stats_lock);
}

/* -- Letters -- */

static int free_number(const struct data_thread *thread)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (!thread->conns[i])
			return (int)i;
	return -1;
}

/* There is no connection yet to send it through: one try, which a fresh socket has room for. */
static void refuse_handover(struct data_thread *thread, int fd, const struct handover *handover)
{
	struct message *message = &thread->message;
	const struct linger linger = {.l_onoff = 0};
	uint8_t bytes[FRAME_BYTES + 1024];
	struct frame frame = {.type = FRAME_CONTROL, .id = handover->hello_id};
	int len;

	*message = (struct message){.kind = MESSAGE_REFUSED, .refused.refusal = REFUSAL_STORE};
	(void)snprintf(message->refused.text, sizeof(message->refused.text),
		       "replica %s: cannot be served now (no memory, tables not readable, or the server stops); "
		       "see the server's log",
		       handover->hosted->name);
	log_warn("event=refused client=\"%s\" text=\"%s\"", handover->hello.client, message->refused.text);
	len = codec_pack(message, bytes + FRAME_BYTES, sizeof(bytes) - FRAME_BYTES);
	if (len > 0) {
		frame.length = (uint32_t)len;
		frame.checksum = crc32c(0, bytes + FRAME_BYTES, (size_t)len);
		frame_encode(&frame, bytes);
		(void)send(fd, bytes, FRAME_BYTES + (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)); /* else close() throws it away */
	(void)close(fd);
}

static void connect_lane(struct data_thread *thread, int fd, struct handover *handover)
{
	struct hosted *hosted = handover->hosted;
	int number = free_number(thread);
	struct conn *conn = NULL;

	if (number >= 0 && list_is_linked(&hosted->thread_node) && !hosted->replica.stopping && !thread->stopping)
		conn = conn_new(thread, fd, &hosted->replica, handover->role, &handover->hello, handover->hello_id);
	if (!conn) {
		refuse_handover(thread, fd, handover);
		atomic_fetch_sub(thread->conn_count, 1);
	} else {
		conn->number = (uint32_t)number;
		thread->conns[number] = conn;
		list_add_tail(&thread->conn_list, &conn->node);
	}
	free(handover);
}

static void begin_stop(struct data_thread *thread)
{
	struct list *it, *next;

	thread->stopping = true;
	list_for_each (it, next, &thread->replicas)
		replica_stop(&container_of(it, struct hosted, thread_node)->replica);
}

void data_thread_read_letters(struct data_thread *thread)
{
	struct letter letter;

	while (mailbox_take(thread->mailbox, &letter)) {
		switch ((enum data_letter)letter.kind) {
		case DATA_CONNECT:
			connect_lane(thread, letter.fd, letter.data);
			break;
		case DATA_ADD:
			add_replica(thread, letter.data);
			break;
		case DATA_REMOVE:
			remove_replica(thread, letter.data);
			break;
		case DATA_STATS:
			data_thread_publish_stats(thread);
			data_thread_tell(thread, CONTROL_STATS, NULL);
			break;
		case DATA_STOP:
			begin_stop(thread);
			break;
		}
	}
}
