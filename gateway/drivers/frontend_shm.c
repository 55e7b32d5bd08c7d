/* Serves a client's shared memory as if it were a block device's queue; a byte in its FIFO is a completion of the data
 * thread's ring. Knows no replica. First and last on a request's path in the native tests. */
#include "gateway/drivers/frontend_shm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/uring.h"
#include "gateway/core/engine.h"
#include "gateway/drivers/flight.h"
#include "gateway/drivers/shm_ring.h"

static_assert((int)SHM_READ == REQUEST_READ && (int)SHM_WRITE == REQUEST_WRITE && (int)SHM_FLUSH == REQUEST_FLUSH &&
		      (int)SHM_DISCARD == REQUEST_DISCARD && (int)SHM_ZEROES == REQUEST_ZEROES,
	      "one numbering of operations");
static_assert((int)SHM_F_FUA == REQUEST_F_FUA && (int)SHM_F_META == REQUEST_F_META &&
		      (int)SHM_F_NO_UNMAP == REQUEST_F_NO_UNMAP,
	      "one numbering of flags");

struct frontend_shm {
	struct frontend fe;
	struct frontend_shm_options options;
	struct shm_map map;
	char *path;
	char reason[160];
	uint64_t nonce;	  /* of this gateway's attachment */
	uint8_t rung[64]; /* where the bytes of the FIFO land */
	bool registered;  /* payloads are in the ring's buffer table, index = slot */
	bool failing;
	unsigned taken_count; /* data thread writes, others read: atomic */
	uint8_t taken[QUEUE_DEPTH_MAX];
	bool started; /* atomic: data thread takes requests */
	bool rescan;  /* atomic: look at all slots once, a killed gateway may have left some */
};

static struct frontend_shm *to_shm(struct frontend *fe)
{
	return container_of(fe, struct frontend_shm, fe);
}

static void wake_data_thread(struct frontend_shm *shm)
{
	if (write(shm->map.bell_fd, "", 1) < 0)
		log_warn("event=not_woken reason=%s", err_name(-errno)); /* it looks by itself, twenty times a second */
}

static bool shm_recovers(struct frontend *fe, uint64_t nonce, uint64_t ret_nonces[DEVICE_NONCES_MAX])
{
	struct frontend_shm *shm = to_shm(fe);
	uint64_t *nonces = shm->map.header->nonces;
	bool is_recovery = shm->map.header->serving && !shm->map.header->stopped;

	if (!is_recovery)
		memset(nonces, 0, sizeof(shm->map.header->nonces));
	memcpy(ret_nonces, nonces, sizeof(shm->map.header->nonces));
	flight_add_nonce(nonces, nonce);
	shm->nonce = nonce;
	return is_recovery;
}

static void arm_wake(struct frontend_shm *shm)
{
	struct io_uring_sqe *sqe = ring_sqe(shm->fe.ring);

	io_uring_prep_read(sqe, shm->map.bell_fd, shm->rung, sizeof(shm->rung), 0);
	sqe->user_data = ud_pack(UD_FRONTEND, 0);
}

/* 0 or -errno. Refused by the kernel for memory it cannot pin for long: a file on a disk's file system, a low limit. */
static int register_payloads(struct frontend_shm *shm)
{
	struct iovec *iov = calloc(shm->map.queue_depth, sizeof(*iov));
	int rc;

	if (!iov)
		return -ENOMEM;
	for (unsigned slot = 0; slot < shm->map.queue_depth; slot++)
		iov[slot] = (struct iovec){.iov_base = shm_map_payload(&shm->map, slot), .iov_len = shm->map.io_bytes};
	rc = io_uring_register_buffers(&shm->fe.ring->uring, iov, shm->map.queue_depth);
	free(iov);
	return rc;
}

static int shm_arm(struct frontend *fe, struct err *err)
{
	struct frontend_shm *shm = to_shm(fe);
	int rc = shm->options.mode == UBLK_MODE_COPY ? -ECANCELED : register_payloads(shm);

	shm->registered = !rc;
	if (rc && shm->options.mode == UBLK_MODE_ZERO_COPY)
		return err_set(err, -EOPNOTSUPP,
			       "mode zero-copy: impossible here: io_uring refuses to register %s (%s)", shm->path,
			       strerror(-rc));
	if (!rc)
		snprintf(shm->reason, sizeof(shm->reason), "shared memory, registered with io_uring");
	else if (shm->options.mode == UBLK_MODE_COPY)
		snprintf(shm->reason, sizeof(shm->reason), "as asked for");
	else
		snprintf(shm->reason, sizeof(shm->reason), "shared memory cannot be registered: %s", strerror(-rc));
	arm_wake(shm);
	return 0;
}

/* Atomics because stop() counts from another thread. */
static void set_taken(struct frontend_shm *shm, unsigned slot, bool taken)
{
	shm->taken[slot] = taken;
	__atomic_fetch_add(&shm->taken_count, taken ? 1u : -1u, __ATOMIC_RELEASE);
}

static void finish(struct frontend_shm *shm, unsigned slot, int error)
{
	struct shm_slot *s = &shm->map.slots[slot];

	s->result = error;
	__atomic_store_n(&s->state, SHM_DONE, __ATOMIC_RELEASE);
	__atomic_fetch_or(&shm->map.header->completed[slot / 64], 1ull << (slot % 64), __ATOMIC_SEQ_CST);
}

/* Each field is read once: the client can change them at any time, and is not believed twice. */
static void take(struct frontend_shm *shm, unsigned slot)
{
	struct shm_slot *s = &shm->map.slots[slot];
	uint32_t op = __atomic_load_n(&s->op, __ATOMIC_RELAXED);
	struct request request = {
		.slot = slot,
		.op = (enum request_op)op,
		.flags = __atomic_load_n(&s->flags, __ATOMIC_RELAXED) &
			 (REQUEST_F_FUA | REQUEST_F_META | REQUEST_F_NO_UNMAP),
		.offset = __atomic_load_n(&s->offset, __ATOMIC_RELAXED),
		.length = __atomic_load_n(&s->length, __ATOMIC_RELAXED),
	};
	bool has_payload = op == SHM_READ || op == SHM_WRITE;

	if (shm->failing || op > SHM_ZEROES || (has_payload && request.length > shm->map.io_bytes)) {
		finish(shm, slot, shm->failing ? -EIO : -EINVAL);
		return;
	}
	set_taken(shm, slot, true);
	engine_submit(shm->fe.engine, &request);
}

static void take_word(struct frontend_shm *shm, unsigned word)
{
	uint64_t bits = __atomic_exchange_n(&shm->map.header->submitted[word], 0, __ATOMIC_SEQ_CST);

	for (; bits; bits &= bits - 1) {
		unsigned slot = word * 64 + (unsigned)__builtin_ctzll(bits);

		if (slot < shm->map.queue_depth && !shm->taken[slot] &&
		    __atomic_load_n(&shm->map.slots[slot].state, __ATOMIC_ACQUIRE) == SHM_SUBMITTED)
			take(shm, slot);
	}
}

static void mark_submitted_slots(struct frontend_shm *shm)
{
	for (unsigned slot = 0; slot < shm->map.queue_depth; slot++)
		if (__atomic_load_n(&shm->map.slots[slot].state, __ATOMIC_ACQUIRE) == SHM_SUBMITTED)
			__atomic_fetch_or(&shm->map.header->submitted[slot / 64], 1ull << (slot % 64),
					  __ATOMIC_SEQ_CST);
}

static void shm_poll(struct frontend *fe)
{
	struct frontend_shm *shm = to_shm(fe);
	bool is_first;

	__atomic_store_n(&shm->map.header->gateway_sleeps, 0, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&shm->started, __ATOMIC_ACQUIRE))
		return;
	is_first = __atomic_exchange_n(&shm->rescan, false, __ATOMIC_ACQ_REL);
	if (is_first)
		mark_submitted_slots(shm);
	for (unsigned word = 0; word < (shm->map.queue_depth + 63) / 64; word++)
		take_word(shm, word);
	if (is_first)
		engine_recovered(fe->engine);
}

static void ring_complete_bell(struct shm_header *header)
{
	bool something = false;

	for (unsigned word = 0; word < ARRAY_COUNT(header->completed); word++)
		something |= __atomic_load_n(&header->completed[word], __ATOMIC_SEQ_CST) != 0;
	if (!something || !__atomic_load_n(&header->client_sleeps, __ATOMIC_SEQ_CST))
		return;
	__atomic_fetch_add(&header->complete_bell, 1, __ATOMIC_SEQ_CST);
	shm_futex_wake(&header->complete_bell);
}

/* "I sleep", then one more look: the client sets its bit, then looks whether we sleep (shm_ring.c). */
static bool shm_idle(struct frontend *fe)
{
	struct frontend_shm *shm = to_shm(fe);
	struct shm_header *header = shm->map.header;

	ring_complete_bell(header);
	if (!__atomic_load_n(&shm->started, __ATOMIC_ACQUIRE))
		return false;
	__atomic_store_n(&header->gateway_sleeps, 1, __ATOMIC_SEQ_CST);
	for (unsigned word = 0; word < (shm->map.queue_depth + 63) / 64; word++)
		if (__atomic_load_n(&header->submitted[word], __ATOMIC_SEQ_CST))
			return true;
	return false;
}

static void shm_on_cqe(struct frontend *fe, const struct io_uring_cqe *cqe)
{
	arm_wake(to_shm(fe)); /* the completion's only meaning was to end the sleep: shm_poll() looks */
}

static void shm_complete(struct frontend *fe, unsigned slot, int error)
{
	struct frontend_shm *shm = to_shm(fe);

	if (!shm->taken[slot])
		return; /* failed already by shm_fail_all() */
	set_taken(shm, slot, false);
	finish(shm, slot, error);
}

static void shm_fail_all(struct frontend *fe)
{
	struct frontend_shm *shm = to_shm(fe);

	shm->failing = true;
	for (unsigned slot = 0; slot < shm->map.queue_depth; slot++)
		if (shm->taken[slot])
			shm_complete(fe, slot, -EIO);
}

static struct payload shm_payload(struct frontend *fe, unsigned slot)
{
	struct frontend_shm *shm = to_shm(fe);

	return (struct payload){
		.fixed = shm->registered,
		.mapped = true,
		.buf_index = (uint16_t)slot,
		.base = (uintptr_t)shm_map_payload(&shm->map, slot),
	};
}

static int shm_copy_out(struct frontend *fe, unsigned slot, uint32_t offset, uint32_t length, void *dst)
{
	memcpy(dst, (uint8_t *)shm_map_payload(&to_shm(fe)->map, slot) + offset, length);
	return 0;
}

static int shm_copy_in(struct frontend *fe, unsigned slot, uint32_t offset, uint32_t length, const void *src)
{
	memcpy((uint8_t *)shm_map_payload(&to_shm(fe)->map, slot) + offset, src, length);
	return 0;
}

static int shm_start(struct frontend *fe, struct err *err)
{
	struct frontend_shm *shm = to_shm(fe);
	struct shm_header *header = shm->map.header;

	header->volume_bytes = shm->options.volume_bytes;
	header->block_bytes = shm->options.block_bytes;
	header->gateway_pid = (uint32_t)getpid();
	header->stopped = 0;
	flight_keep_nonce(header->nonces, shm->nonce);
	__atomic_store_n(&shm->rescan, true, __ATOMIC_RELEASE);
	__atomic_store_n(&shm->started, true, __ATOMIC_RELEASE);
	__atomic_fetch_add(&header->serving, 1, __ATOMIC_SEQ_CST);
	shm_futex_wake(&header->serving);
	wake_data_thread(shm);
	return 0;
}

static int shm_stop(struct frontend *fe, bool force, struct err *err)
{
	struct frontend_shm *shm = to_shm(fe);

	if (__atomic_load_n(&shm->taken_count, __ATOMIC_ACQUIRE) && !force)
		return err_set(err, -EBUSY, "shared memory %s: requests are outstanding", shm->path);
	__atomic_store_n(&shm->started, false, __ATOMIC_RELEASE);
	while (__atomic_load_n(&shm->taken_count, __ATOMIC_ACQUIRE))
		usleep(1000); /* until served, or failed by shm_fail_all() */
	__atomic_store_n(&shm->map.header->stopped, 1, __ATOMIC_RELEASE);
	return 0;
}

static void shm_destroy(struct frontend *fe)
{
	struct frontend_shm *shm = to_shm(fe);

	shm_map_close(&shm->map);
	free(shm->path);
	free(shm);
}

static const char *shm_device(const struct frontend *fe)
{
	const struct frontend_shm *shm = container_of(fe, const struct frontend_shm, fe);

	return __atomic_load_n(&shm->started, __ATOMIC_ACQUIRE) ? shm->path : "";
}

static const char *shm_mode(const struct frontend *fe)
{
	return container_of(fe, const struct frontend_shm, fe)->registered ? "zero-copy" : "copy";
}

static const char *shm_mode_reason(const struct frontend *fe)
{
	return container_of(fe, const struct frontend_shm, fe)->reason;
}

static const struct frontend_ops shm_ops = {
	.name = "shm",
	.recovers = shm_recovers,
	.arm = shm_arm,
	.on_cqe = shm_on_cqe,
	.complete = shm_complete,
	.payload = shm_payload,
	.copy_out = shm_copy_out,
	.copy_in = shm_copy_in,
	.start = shm_start,
	.stop = shm_stop,
	.destroy = shm_destroy,
	.device = shm_device,
	.mode = shm_mode,
	.mode_reason = shm_mode_reason,
	.poll = shm_poll,
	.idle = shm_idle,
	.fail_all = shm_fail_all,
};

int frontend_shm_new(const struct frontend_shm_options *options, struct frontend **ret, struct err *err)
{
	struct frontend_shm *shm = calloc(1, sizeof(*shm));
	int rc = -ENOMEM;

	if (!shm)
		return err_set(err, rc, "shared memory %s: out of memory", options->path);
	shm->options = *options;
	shm->path = strdup(options->path);
	if (!shm->path) {
		err_set(err, rc, "shared memory %s: out of memory", options->path);
		goto err_free;
	}
	rc = shm_map_open(options->path, &shm->map, err);
	if (rc)
		goto err_path;
	if (flock(shm->map.fd, LOCK_EX | LOCK_NB)) {
		rc = err_set(err, -EBUSY, "shared memory %s: another gateway has it", options->path);
		goto err_map;
	}
	shm->fe = (struct frontend){.ops = &shm_ops, .queue_depth = shm->map.queue_depth};
	*ret = &shm->fe;
	return 0;
err_map:
	shm_map_close(&shm->map);
err_path:
	free(shm->path);
err_free:
	free(shm);
	return rc;
}
