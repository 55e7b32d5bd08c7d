/* Where block requests come from and go back to: ublk (frontend_ublk.c) or shared memory (frontend_shm.c).
 *
 * A frontend lives on the data thread and its ring, but for start/stop/destroy, which the control thread calls
 * while the data thread runs. It turns its own completions into engine_submit() and hands finished requests back.
 * A request's payload is an opaque handle: most modes cannot see the bytes.
 */
#ifndef GATEWAY_DRIVERS_FRONTEND_H
#define GATEWAY_DRIVERS_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"

struct engine;
struct frontend;
struct io_uring_cqe;
struct ring;

/* How an SQE names the payload of a slot: registered buffer `buf_index` when `fixed`; addresses are base + offset
 * (base is 0 for ublk's kernel buffers: sqe->addr is the offset in the buffer, kernel-facts: io_uring rsrc.c). */
struct payload {
	bool fixed;  /* may be used with FIXED_BUF / READ_FIXED / SEND_ZC fixed */
	bool mapped; /* base is an address of this process: plain SEND/RECV work */
	uint16_t buf_index;
	uintptr_t base;
};

struct frontend_ops {
	const char *name;
	/* First of all. True: a gateway was lost under the device and what it had in flight is issued again; then
	 * `ret_nonces` names the attachments that may have served it (R11). `nonce` is one of them from here on.
	 * NULL: the device never outlives its gateway. */
	bool (*recovers)(struct frontend *fe, uint64_t nonce, uint64_t ret_nonces[DEVICE_NONCES_MAX]);
	/* Control thread, instead of start(): the attachment was refused because what the device has in flight must not
	 * be issued again (R8, R11): it fails. NULL as recovers(). */
	void (*give_up)(struct frontend *fe);
	/* Data thread, at its start: register buffers with the ring, begin to listen to start(). */
	int (*arm)(struct frontend *fe, struct err *err);
	/* Data thread: a completion whose user_data kind is UD_FRONTEND. */
	void (*on_cqe)(struct frontend *fe, const struct io_uring_cqe *cqe);
	/* Data thread: request finished, 0 or -errno. */
	void (*complete)(struct frontend *fe, unsigned slot, int error);
	struct payload (*payload)(struct frontend *fe, unsigned slot);
	/* Data thread: copy write payload out of / read payload into the request. 0 or -errno. */
	int (*copy_out)(struct frontend *fe, unsigned slot, uint32_t offset, uint32_t length, void *dst);
	int (*copy_in)(struct frontend *fe, unsigned slot, uint32_t offset, uint32_t length, const void *src);
	/* Not the data thread, which serves meanwhile: make the device appear (after attach) and go away (before
	 * detach). Both block. start: errors leave no device. stop: -EBUSY while in use and not forced. */
	int (*start)(struct frontend *fe, struct err *err);
	int (*stop)(struct frontend *fe, bool force, struct err *err);
	void (*destroy)(struct frontend *fe);
	/* For status: "/dev/ublkb0", mode "zero-copy" | "copy", one line saying how it was chosen. */
	const char *(*device)(const struct frontend *fe);
	const char *(*mode)(const struct frontend *fe);
	const char *(*mode_reason)(const struct frontend *fe);
	/* Data thread, once a loop turn, outside of any engine action: submit what could not be submitted earlier. */
	void (*poll)(struct frontend *fe);
	/* Data thread, last thing before it sleeps. True: there is work already, do not sleep. */
	bool (*idle)(struct frontend *fe);
	/* Data thread: complete everything outstanding, and whatever still comes, with -EIO (forced detach). */
	void (*fail_all)(struct frontend *fe);
};

struct frontend {
	const struct frontend_ops *ops;
	unsigned queue_depth;  /* slots are below it */
	bool memory_is_pinned; /* see engine_options */
	/* Set by the data thread before arm(). */
	struct ring *ring;
	struct engine *engine;
	uint64_t buffer_fallbacks; /* requests that found no place in the buffer table */
};

#endif
