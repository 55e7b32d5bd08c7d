/* File operations of one data thread through its ring. Must not know frames or sessions. On a request's path between
 * session.c's submit() and its store_done(): one SQE, or several where a call did only part. */
#include "replica-server/drivers/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/limits.h"
#include "replica-server/drivers/digest.h"

/* What an operation is doing now. PUNCH and ZERO step down until the file system takes one of the ways. */
enum stage { STAGE_FIRST, STAGE_PUNCH, STAGE_WRITE_ZEROS, STAGE_SYNC, STAGE_WITHOUT_SYNC };

#define PUNCH_MODE (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO_MODE (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

static void file_submit(struct store *store, struct store_op *op);
static void perform(struct store_file *file, struct store_op *op);

static struct io_buf *file_buf_get(struct store *store, uint32_t bytes)
{
	return buffers_get(container_of(store, struct store_file, store)->queue->buffers, bytes);
}

static void file_buf_put(struct store *store, struct io_buf *buf)
{
	buffers_put(container_of(store, struct store_file, store)->queue->buffers, buf);
}

static const struct store_ops file_ops = {
	.submit = file_submit,
	.buf_get = file_buf_get,
	.buf_put = file_buf_put,
};

int store_queue_init(struct store_queue *queue, struct ring *ring, struct buffers *buffers, uint32_t cap)
{
	*queue = (struct store_queue){.ring = ring, .buffers = buffers, .cap = cap, .free_count = cap};
	list_init(&queue->finished);
	list_init(&queue->digests);
	queue->inflight = calloc(cap, sizeof(struct store_op *));
	queue->owner = calloc(cap, sizeof(struct store_file *));
	queue->free = calloc(cap, sizeof(*queue->free));
	queue->zeros = aligned_alloc(4096, IO_BYTES_MAX);
	queue->scratch_memory = aligned_alloc(4096, DIGESTS_AT_ONCE * DIGEST_PIECE_BYTES);
	if (!queue->inflight || !queue->owner || !queue->free || !queue->zeros || !queue->scratch_memory) {
		store_queue_fini(queue);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < cap; i++)
		queue->free[i] = i;
	memset(queue->zeros, 0, IO_BYTES_MAX);
	for (unsigned i = 0; i < DIGESTS_AT_ONCE; i++)
		queue->scratch[queue->scratch_count++] = queue->scratch_memory + i * DIGEST_PIECE_BYTES;
	return 0;
}

void store_queue_fini(struct store_queue *queue)
{
	free(queue->inflight);
	free(queue->owner);
	free(queue->free);
	free(queue->zeros);
	free(queue->scratch_memory);
	*queue = (struct store_queue){0};
}

void store_file_init(struct store_file *file, struct store_queue *queue, int data_fd, int superblock_fd, int stamps_fd)
{
	*file = (struct store_file){
		.store.ops = &file_ops,
		.queue = queue,
		.data_fd = data_fd,
		.superblock_fd = superblock_fd,
		.stamps_fd = stamps_fd,
	};
	list_init(&file->durables);
	list_init(&file->successes);
}

static bool is_read(const struct store_op *op)
{
	return op->kind == STORE_READ || op->kind == STORE_DIGEST;
}

/* False: as many digests are under way as may be, it waits. */
static bool take_scratch(struct store_file *file, struct store_op *op)
{
	struct store_queue *queue = file->queue;

	op->store = &file->store;
	if (queue->scratch_count > 0)
		op->scratch = queue->scratch[--queue->scratch_count];
	else
		list_add_tail(&queue->digests, &op->node);
	return op->scratch != NULL;
}

static void put_scratch(struct store_queue *queue, struct store_op *op)
{
	struct store_op *next = list_first(&queue->digests, struct store_op, node);

	queue->scratch[queue->scratch_count++] = op->scratch;
	op->scratch = NULL;
	if (!next)
		return;
	list_del(&next->node);
	next->scratch = queue->scratch[--queue->scratch_count];
	perform(container_of(next->store, struct store_file, store), next);
}

/* For fail points. */
static const char *kind_name(const struct store_op *op)
{
	static const char *const names[] = {
		[STORE_READ] = "read",
		[STORE_WRITE] = "write",
		[STORE_DIGEST] = "digest",
		[STORE_SYNC] = "sync",
		[STORE_PUNCH] = "punch",
		[STORE_ZERO] = "zero",
		[STORE_WRITE_SUPERBLOCK] = "superblock",
		[STORE_WRITE_STAMPS] = "stamps",
	};

	return names[op->kind];
}

/* That cached data could not be written the kernel tells one of those who have some made durable, and no one after
 * that. */
static bool shares_errors(const struct store_file *file, const struct store_op *op)
{
	bool is_data = op->kind == STORE_WRITE || op->kind == STORE_PUNCH || op->kind == STORE_ZERO;

	return !file->direct_bytes && !file->is_inline && (op->kind == STORE_SYNC || (is_data && op->durable));
}

static void begin_durable(struct store_file *file, struct store_op *op)
{
	op->ticket = ++file->tickets;
	list_add_tail(&file->durables, &op->node);
}

/* A success means something when no other one that ran beside it can still be the one that is told of a failure. */
static void end_durable(struct store_file *file, struct store_op *op)
{
	const struct store_op *oldest;

	list_del(&op->node);
	op->ticket = file->tickets; /* those up to here ran beside it, or before */
	list_add_tail(op->error ? &file->queue->finished : &file->successes, &op->node);
	oldest = list_first(&file->durables, struct store_op, node);
	while ((op = list_first(&file->successes, struct store_op, node)) && (!oldest || oldest->ticket > op->ticket)) {
		list_del(&op->node);
		list_add_tail(&file->queue->finished, &op->node);
	}
}

static void finish(struct store_file *file, struct store_op *op, int error)
{
	FAILPOINT("stored", kind_name(op));
	if (op->kind == STORE_DIGEST)
		put_scratch(file->queue, op);
	op->error = error;
	op->bytes = op->kind == STORE_READ && !error ? op->progress : 0;
	file->queue->counters.errors += error != 0;
	if (op->ticket)
		end_durable(file, op);
	else
		list_add_tail(&file->queue->finished, &op->node);
}

static void count(struct store_queue *queue, const struct store_op *op)
{
	struct store_counters *counters = &queue->counters;

	counters->writes += op->kind == STORE_WRITE;
	counters->reads += op->kind == STORE_READ;
	counters->digests += op->kind == STORE_DIGEST;
	counters->punches += op->kind == STORE_PUNCH;
	counters->zeroes += op->kind == STORE_ZERO;
	counters->meta_writes += op->kind == STORE_WRITE_SUPERBLOCK || op->kind == STORE_WRITE_STAMPS;
	counters->durable_writes += op->kind == STORE_WRITE && op->durable;
}

static void file_submit(struct store *store, struct store_op *op)
{
	struct store_file *file = container_of(store, struct store_file, store);

	list_init(&op->node);
	op->progress = 0;
	op->stage = op->kind == STORE_SYNC ? STAGE_SYNC : STAGE_FIRST;
	op->error = 0;
	op->scratch = NULL;
	op->ticket = 0;
	if (shares_errors(file, op))
		begin_durable(file, op);
	count(file->queue, op);
	FAILPOINT("stores", kind_name(op));
	if (op->kind != STORE_DIGEST || take_scratch(file, op))
		perform(file, op);
}

static bool is_zeroing(const struct store_op *op)
{
	return op->kind == STORE_PUNCH || op->kind == STORE_ZERO;
}

static int fd_of(const struct store_file *file, const struct store_op *op)
{
	if (op->kind == STORE_WRITE_SUPERBLOCK)
		return file->superblock_fd;
	return op->kind == STORE_WRITE_STAMPS ? file->stamps_fd : file->data_fd;
}

/* Memory and length of the read or write that comes next. */
static struct iovec next_piece(const struct store_file *file, const struct store_op *op)
{
	uint64_t left = op->length - op->progress;

	if (op->kind == STORE_DIGEST) {
		uint64_t have = op->progress % DIGEST_PIECE_BYTES, room = DIGEST_PIECE_BYTES - have;

		return (struct iovec){op->scratch + have, left < room ? left : room};
	}
	if (is_zeroing(op))
		return (struct iovec){file->queue->zeros, left < IO_BYTES_MAX ? left : IO_BYTES_MAX};
	return (struct iovec){op->data + op->progress, left};
}

static int fallocate_mode(const struct store_op *op)
{
	return op->kind == STORE_ZERO && op->stage == STAGE_FIRST ? ZERO_MODE : PUNCH_MODE;
}

static int sync_flag(const struct store_op *op)
{
	return op->durable && !is_zeroing(op) && op->stage != STAGE_WITHOUT_SYNC ? RWF_DSYNC : 0;
}

/* More of a piece has arrived; a whole one is digested. The same answers as account(). */
static bool account_digest(struct store_file *file, struct store_op *op, uint64_t got)
{
	struct iovec rest = next_piece(file, op);
	bool ended = got == 0 || (file->direct_bytes && (op->progress + got) % file->direct_bytes);
	uint64_t piece_idx = op->progress / DIGEST_PIECE_BYTES;
	int error;

	if (ended) { /* the end of the file: zeros from here on */
		memset((uint8_t *)rest.iov_base + got, 0, rest.iov_len - got);
		got = rest.iov_len;
	}
	op->progress += got;
	if (got < rest.iov_len)
		return false;
	error = digest_piece(op->scratch, op->progress - piece_idx * DIGEST_PIECE_BYTES,
			     op->data + piece_idx * DIGEST_BYTES);
	if (!error && op->progress < op->length)
		return false;
	finish(file, op, error);
	return true;
}

/* A durable write that lacks space: it may have found none, or what is cached did when it was to become durable, which
 * the kernel tells once, perhaps of others' writes. Tried without becoming durable it tells which. */
static bool is_doubtful(const struct store_op *op, int result)
{
	return op->kind == STORE_WRITE && op->durable && op->stage == STAGE_FIRST && store_is_want_of_space(result);
}

/* The call failed, or it succeeded where only a failure would have been harmless. */
static int error_of(const struct store_op *op, int result)
{
	bool is_of_sync = is_zeroing(op) ? op->stage == STAGE_SYNC : op->stage == STAGE_WITHOUT_SYNC && result >= 0;

	return is_of_sync ? -EIO : result;
}

/* The piece counts towards `length`, or the call is known to have failed. True: the operation is over. */
static bool account(struct store_file *file, struct store_op *op, int result)
{
	if (result == -EINTR || result == -EAGAIN)
		return false;
	if (is_zeroing(op) && op->stage < STAGE_WRITE_ZEROS && result == -EOPNOTSUPP) {
		op->stage += op->stage == STAGE_FIRST && op->kind == STORE_PUNCH ? 2 : 1;
		return false;
	}
	if (is_doubtful(op, result)) {
		op->stage = STAGE_WITHOUT_SYNC;
		return false;
	}
	if (result < 0 || op->stage == STAGE_WITHOUT_SYNC) {
		finish(file, op, error_of(op, result));
		return true;
	}
	if (op->stage == STAGE_SYNC) {
		finish(file, op, 0);
		return true;
	}
	if (op->kind == STORE_DIGEST)
		return account_digest(file, op, (uint64_t)result);
	if (is_zeroing(op) && op->stage < STAGE_WRITE_ZEROS)
		op->progress = op->length;
	else
		op->progress += (uint64_t)result;
	if (op->progress < op->length) {
		/* Nothing more: the end of the file; or a direct read that ended in the middle of a block, at it. */
		bool ended = result == 0 || (file->direct_bytes && op->progress % file->direct_bytes);

		if (ended)
			finish(file, op, op->kind == STORE_READ ? 0 : -EIO);
		return ended;
	}
	if (is_zeroing(op) && op->durable) {
		op->stage = STAGE_SYNC;
		return false;
	}
	finish(file, op, 0);
	return true;
}

/* -- Inline, on tmpfs -- */

static int call(struct store_file *file, struct store_op *op)
{
	struct iovec piece = next_piece(file, op);
	off_t offset = (off_t)(op->offset + op->progress);
	ssize_t result;

	if (op->stage == STAGE_SYNC)
		result = fdatasync(file->data_fd);
	else if (is_zeroing(op) && op->stage < STAGE_WRITE_ZEROS)
		result = fallocate(file->data_fd, fallocate_mode(op), (off_t)op->offset, (off_t)op->length);
	else if (is_read(op))
		result = pread(file->data_fd, piece.iov_base, piece.iov_len, offset);
	else
		result = pwritev2(fd_of(file, op), &piece, 1, offset, sync_flag(op));
	return result < 0 ? -errno : (int)result;
}

/* -- Through the ring -- */

static void prep_transfer(struct store_file *file, struct store_op *op, struct io_uring_sqe *sqe)
{
	struct iovec piece = next_piece(file, op);
	uint64_t offset = op->offset + op->progress;
	bool fixed = file->queue->buffers->registered && (op->kind == STORE_READ || op->kind == STORE_WRITE);
	int fd = fd_of(file, op);

	if (op->kind == STORE_READ && fixed)
		io_uring_prep_read_fixed(sqe, fd, piece.iov_base, (unsigned)piece.iov_len, offset, 0);
	else if (is_read(op))
		io_uring_prep_read(sqe, fd, piece.iov_base, (unsigned)piece.iov_len, offset);
	else if (fixed)
		io_uring_prep_write_fixed(sqe, fd, piece.iov_base, (unsigned)piece.iov_len, offset, 0);
	else
		io_uring_prep_write(sqe, fd, piece.iov_base, (unsigned)piece.iov_len, offset);
	if (!is_read(op))
		sqe->rw_flags = sync_flag(op);
}

static void queue_sqe(struct store_file *file, struct store_op *op)
{
	struct store_queue *queue = file->queue;
	struct io_uring_sqe *sqe = ring_sqe(queue->ring);
	uint32_t number;

	assert(queue->free_count > 0); /* sized for every request and every replica of the thread */
	number = queue->free[--queue->free_count];
	queue->inflight[number] = op;
	queue->owner[number] = file;
	if (op->stage == STAGE_SYNC)
		io_uring_prep_fsync(sqe, file->data_fd, IORING_FSYNC_DATASYNC);
	else if (is_zeroing(op) && op->stage < STAGE_WRITE_ZEROS)
		io_uring_prep_fallocate(sqe, file->data_fd, fallocate_mode(op), (off_t)op->offset, (off_t)op->length);
	else
		prep_transfer(file, op, sqe);
	sqe->user_data = ud_pack(UD_STORE, number);
}

static void perform(struct store_file *file, struct store_op *op)
{
	file->queue->counters.syncs += op->stage == STAGE_SYNC;
	if (!file->is_inline) {
		queue_sqe(file, op);
		return;
	}
	while (!account(file, op, call(file, op)))
		continue;
}

void store_queue_on_cqe(struct store_queue *queue, const struct io_uring_cqe *cqe)
{
	uint32_t number = (uint32_t)ud_bits(cqe->user_data);
	struct store_op *op = queue->inflight[number];
	struct store_file *file = queue->owner[number];

	queue->inflight[number] = NULL;
	queue->free[queue->free_count++] = number;
	if (!account(file, op, cqe->res))
		perform(file, op);
}

bool store_queue_run(struct store_queue *queue)
{
	struct store_op *op;
	bool any = false;

	while ((op = list_first(&queue->finished, struct store_op, node))) {
		list_del(&op->node);
		op->done(op);
		any = true;
	}
	return any;
}
