/* shmliar: stands in for a gateway on a shared-memory file, serves from its own memory, and lies on demand: proves that
 * the exerciser finds what it is there to find. shmliar SHM_PATH VOLUME_BYTES LIE|none EVERY      the EVERY-th
 * operation that can carry the lie does; until SIGTERM Lies: lost (a write is answered, not done), torn (only its first
 * sector is done), late (done after the answer, when the buffer may hold something else), stale (a read returns what an
 * overwritten sector held), short (a read leaves its last sector as it was), beyond (a read writes past its end),
 * misplaced (a write lands one sector further), silent (no answer). Knows the shared memory's layout and nothing of
 * Lockstep. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/drivers/shm_ring.h"
#include "tests/native/lib/stamp.h"
#include "tests/native/lib/tool.h"

struct liar {
	struct shm_map map;
	uint8_t *bytes, *old; /* the volume, and what every sector held before its last write */
	uint64_t volume_bytes, every, chances;
	const char *lie;
	unsigned late_slot; /* of a write that was answered and not done yet */
	bool has_late;
	struct shm_slot late;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = signal;
}

static bool lies(struct liar *liar, const char *lie)
{
	return strcmp(liar->lie, lie) == 0 && ++liar->chances % liar->every == 0;
}

static void put(struct liar *liar, uint64_t offset, const void *from, uint64_t len)
{
	if (offset + len > liar->volume_bytes)
		return;
	memcpy(liar->old + offset, liar->bytes + offset, len);
	if (from)
		memcpy(liar->bytes + offset, from, len);
	else
		memset(liar->bytes + offset, 0, len);
}

static void keep_for_later(struct liar *liar, unsigned slot, const struct shm_slot *request)
{
	liar->late = *request;
	liar->late_slot = slot;
	liar->has_late = true;
}

static void do_write(struct liar *liar, unsigned slot, const struct shm_slot *request)
{
	const uint8_t *from = shm_map_payload(&liar->map, slot);

	if (lies(liar, "lost"))
		return;
	if (lies(liar, "torn"))
		put(liar, request->offset, from, SECTOR_BYTES);
	else if (lies(liar, "misplaced"))
		put(liar, request->offset + SECTOR_BYTES, from, request->length);
	else if (!liar->has_late && lies(liar, "late"))
		keep_for_later(liar, slot, request);
	else
		put(liar, request->offset, from, request->length);
}

static void do_read(struct liar *liar, unsigned slot, const struct shm_slot *request)
{
	uint8_t *to = shm_map_payload(&liar->map, slot);

	if (lies(liar, "stale"))
		memcpy(to, liar->old + request->offset, request->length);
	else if (lies(liar, "short"))
		memcpy(to, liar->bytes + request->offset, request->length - SECTOR_BYTES);
	else
		memcpy(to, liar->bytes + request->offset, request->length);
	if (request->length < liar->map.io_bytes && lies(liar, "beyond"))
		to[request->length] = 0x11;
}

/* The late write takes what its buffer holds by now: that of the next request, whoever ran in between. */
static void do_late(struct liar *liar, unsigned slot)
{
	if (!liar->has_late || slot != liar->late_slot)
		return;
	put(liar, liar->late.offset, shm_map_payload(&liar->map, liar->late_slot), liar->late.length);
	liar->has_late = false;
}

static void answer(struct liar *liar, unsigned slot)
{
	struct shm_slot *shared = &liar->map.slots[slot];
	struct shm_slot request = *shared;

	do_late(liar, slot);
	if (request.op == SHM_WRITE)
		do_write(liar, slot, &request);
	else if (request.op == SHM_READ)
		do_read(liar, slot, &request);
	else if (request.op != SHM_FLUSH)
		put(liar, request.offset, NULL, request.length);
	if (lies(liar, "silent"))
		return;
	shared->result = 0;
	__atomic_store_n(&shared->state, SHM_DONE, __ATOMIC_RELEASE);
	__atomic_fetch_or(&liar->map.header->completed[slot / 64], 1ull << (slot % 64), __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&liar->map.header->complete_bell, 1, __ATOMIC_SEQ_CST);
	shm_futex_wake(&liar->map.header->complete_bell);
}

static void wait_for_bell(int fd)
{
	struct pollfd bell = {.fd = fd, .events = POLLIN};
	char bytes[64];

	if (poll(&bell, 1, 1) == 1 && read(fd, bytes, sizeof(bytes)) < 0)
		tool_die(EXIT_CANNOT, "the bell: %s", strerror(errno));
}

static void serve(struct liar *liar)
{
	struct shm_header *header = liar->map.header;

	header->block_bytes = SECTOR_BYTES;
	header->volume_bytes = liar->volume_bytes;
	__atomic_fetch_add(&header->serving, 1, __ATOMIC_SEQ_CST);
	shm_futex_wake(&header->serving);
	while (!stop) {
		bool idle = true;

		for (unsigned slot = 0; slot < liar->map.queue_depth; slot++)
			if (__atomic_load_n(&liar->map.slots[slot].state, __ATOMIC_ACQUIRE) == SHM_SUBMITTED &&
			    __atomic_fetch_and(&header->submitted[slot / 64], ~(1ull << (slot % 64)),
					       __ATOMIC_SEQ_CST) &
				    (1ull << (slot % 64))) {
				answer(liar, slot);
				idle = false;
			}
		if (idle) {
			__atomic_store_n(&header->gateway_sleeps, 1, __ATOMIC_SEQ_CST);
			wait_for_bell(liar->map.bell_fd);
			__atomic_store_n(&header->gateway_sleeps, 0, __ATOMIC_SEQ_CST);
		}
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct liar liar = {0};
	struct err err = {0};

	if (argc != 5)
		tool_die(EXIT_CANNOT, "shmliar SHM_PATH VOLUME_BYTES LIE|none EVERY");
	sigaction(SIGTERM, &action, NULL);
	if (shm_map_open(argv[1], &liar.map, &err) != 0)
		tool_die(EXIT_CANNOT, "%s", err.text);
	liar.volume_bytes = tool_number(argv[2], "VOLUME_BYTES");
	liar.lie = argv[3];
	liar.every = tool_number(argv[4], "EVERY");
	liar.bytes = tool_zalloc(liar.volume_bytes);
	liar.old = tool_zalloc(liar.volume_bytes);
	serve(&liar);
	shm_map_close(&liar.map);
	free(liar.bytes);
	free(liar.old);
	return 0;
}
