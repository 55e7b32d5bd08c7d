/* The memory that a test client and a gateway's shm frontend share: block requests without a block device.
 *
 * The client makes a file (on a tmpfs such as /dev/shm: its pages are registered with io_uring), the gateway maps it:
 * `lockstep-gateway --frontend shm:PATH`. It behaves as ublk with USER_RECOVERY_REISSUE does: requests of a killed
 * gateway stay submitted, and the next gateway that opens the file executes them again. Either side may be killed at
 * any instruction: truth is each slot's `state`; the bitmaps and doorbells are only hints where to look.
 * Beside the file lies a FIFO, PATH.bell: a byte in it wakes a gateway that sleeps in its ring.
 *
 * A slot belongs to the client while FREE or DONE, to the gateway while SUBMITTED; so does its payload.
 * Memory order: the owner writes all fields, then stores `state` with release; the other side loads it with acquire.
 */
#ifndef GATEWAY_DRIVERS_SHM_RING_H
#define GATEWAY_DRIVERS_SHM_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"

#define SHM_MAGIC 0x4d48534b434f4cull /* "LOCKSHM" */
#define SHM_VERSION 3u
#define SHM_PAGE_BYTES 4096u

enum shm_slot_state { SHM_FREE = 0, SHM_SUBMITTED = 1, SHM_DONE = 2 };

/* The same numbers as enum request_op and enum request_flag (gateway/core/engine.h); frontend_shm.c asserts it. */
enum shm_op { SHM_READ = 0, SHM_WRITE = 1, SHM_FLUSH = 2, SHM_DISCARD = 3, SHM_ZEROES = 4 };
enum shm_flag { SHM_F_FUA = 1 << 0, SHM_F_META = 1 << 1, SHM_F_NO_UNMAP = 1 << 2 };

struct shm_header {
	uint64_t magic;
	uint32_t version;
	uint32_t queue_depth; /* slots, 1..QUEUE_DEPTH_MAX */
	uint32_t io_bytes;    /* payload of one slot, a multiple of the page, at most IO_BYTES_MAX */
	uint32_t client_pid;
	/* Written by the gateway. */
	uint32_t gateway_pid; /* 0: none yet; a killed one's stays */
	uint32_t serving;     /* count of gateways that began to serve; futex word for those who wait for one */
	uint32_t block_bytes;
	uint32_t stopped; /* 1: the gateway has detached in good order */
	uint64_t volume_bytes;
	uint64_t nonces[DEVICE_NONCES_MAX]; /* of the gateway that served last, then of those that tried since (R11) */
	uint32_t gateway_sleeps;	    /* the client takes it back and writes to the FIFO */
	uint32_t complete_bell;		    /* counter, also a futex word: gateway rings when `client_sleeps` */
	uint32_t client_sleeps;
	uint32_t reserved;
	uint64_t submitted[QUEUE_DEPTH_MAX / 64]; /* hint: bit per slot */
	uint64_t completed[QUEUE_DEPTH_MAX / 64];
};

struct shm_slot {
	uint32_t state; /* enum shm_slot_state */
	uint32_t op;
	uint32_t flags;
	int32_t result;	 /* 0 or -errno, valid when DONE */
	uint64_t offset; /* bytes */
	uint64_t length;
	uint64_t generation; /* +1 for each submission of the slot */
	uint64_t reserved[3];
};
static_assert(sizeof(struct shm_header) <= SHM_PAGE_BYTES, "header fits its page");
static_assert(sizeof(struct shm_slot) == 64, "one cache line");

/* Layout: header page, slots rounded up to a page, payloads. Sizes in bytes. Pure. */
size_t shm_slots_offset(void);
size_t shm_payload_offset(unsigned queue_depth);
size_t shm_total_bytes(unsigned queue_depth, uint32_t io_bytes);

/* A mapping of the file, by either side. */
struct shm_map {
	int fd;
	int bell_fd; /* the FIFO; the client's does not block */
	size_t bytes;
	struct shm_header *header;
	struct shm_slot *slots;
	uint8_t *payloads;
	/* Copies: what the other side writes into the header later is not believed. */
	unsigned queue_depth;
	uint32_t io_bytes;
};

/* Maps an existing file, whose header it checks field by field, and opens its FIFO. 0 or a negative errno in `err`. */
int shm_map_open(const char *path, struct shm_map *ret, struct err *err) must_check;
/* Harmless on a zeroed map. */
void shm_map_close(struct shm_map *map);
static inline void *shm_map_payload(const struct shm_map *map, unsigned slot)
{
	return map->payloads + (size_t)slot * map->io_bytes;
}

/* Futex on a shared word, both sides. wait: returns when `*word` may differ from `seen`, or after timeout_ms (<0:
 * never). */
void shm_futex_wait(uint32_t *word, uint32_t seen, int timeout_ms);
void shm_futex_wake(uint32_t *word);

/* ---- The client: one thread uses it. It survives any number of gateways. ---- */
struct shm_client;

struct shm_completion {
	unsigned slot;
	int error; /* 0 or -errno */
};

/* Creates (replaces) the file at `path`. 0 or -errno; `*ret` is freed with shm_client_free(), which unlinks the file.
 */
int shm_client_create(const char *path, unsigned queue_depth, uint32_t io_bytes, struct shm_client **ret,
		      struct err *err) must_check;
void shm_client_free(struct shm_client *client);

unsigned shm_client_depth(const struct shm_client *client);
/* io_bytes of memory, page aligned; the caller's while the slot is not submitted. */
void *shm_client_payload(const struct shm_client *client, unsigned slot);

/* Waits until a gateway serves the file that had not yet when `*count` was last written (start with 0; updated), then
 * the volume's size and block size can be asked for. 0 or -ETIMEDOUT. */
int shm_client_wait_gateway(struct shm_client *client, uint32_t *count, int timeout_ms) must_check;
uint64_t shm_client_volume_bytes(const struct shm_client *client);
uint32_t shm_client_block_bytes(const struct shm_client *client);

/* Hands a slot to the gateway. 0, -EBUSY (already submitted), -EINVAL (slot, op, or a payload above io_bytes; offsets
 * and alignment are passed on unchecked, so that the engine's refusals can be tested). */
int shm_client_submit(struct shm_client *client, unsigned slot, enum shm_op op, unsigned flags, uint64_t offset,
		      uint64_t length) must_check;
/* Collects finished requests, at most `max`; their slots are free from here on. Returns how many. */
unsigned shm_client_poll(struct shm_client *client, struct shm_completion *ret, unsigned max);
/* Waits until something is there to poll. 0 or -ETIMEDOUT. timeout_ms < 0: for ever. */
int shm_client_wait(struct shm_client *client, int timeout_ms) must_check;
/* Slots submitted and not yet polled. */
unsigned shm_client_outstanding(const struct shm_client *client);

#endif
