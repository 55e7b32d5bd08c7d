/* The record of what a gateway has in hand, in memory shared with a file.
 * Knows no kernel interface and no request. On a request's path: a byte at its FETCH completion, a byte before its
 * COMMIT. */
#include "gateway/drivers/flight.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC 0x3174686769666c4cull /* "Lflight1" */

int flight_open(const char *path, struct flight *ret, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	void *memory = MAP_FAILED;
	int rc = 0;

	if (fd < 0)
		return err_set(err, -errno, "record of requests %s: %s", path, strerror(errno));
	/* Only grows: a shorter one, of another version or cut off, reads as zeros from there on. */
	if (ftruncate(fd, sizeof(struct flight_record)))
		rc = -errno;
	if (!rc)
		memory = mmap(NULL, sizeof(struct flight_record), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!rc && memory == MAP_FAILED)
		rc = -errno;
	close(fd);
	if (rc)
		return err_set(err, rc, "record of requests %s: cannot be mapped: %s", path, strerror(-rc));
	ret->record = memory;
	return 0;
}

void flight_close(struct flight *flight)
{
	if (flight->record)
		munmap(flight->record, sizeof(*flight->record));
	flight->record = NULL;
}

bool flight_is_of(const struct flight *flight, uint32_t device_id, unsigned queue_depth)
{
	return flight->record->magic == MAGIC && flight->record->device_id == device_id &&
	       flight->record->queue_depth == queue_depth;
}

void flight_begin(struct flight *flight, unsigned queue_depth)
{
	memset(flight->record, 0, sizeof(*flight->record));
	flight->record->queue_depth = queue_depth;
}

void flight_set_device(struct flight *flight, uint32_t device_id)
{
	flight->record->device_id = device_id;
	__atomic_store_n(&flight->record->magic, MAGIC, __ATOMIC_RELEASE);
}

/* Release, that the byte is there before the request is acted upon: whoever reads it does so after our death. */
void flight_take(struct flight *flight, unsigned tag)
{
	__atomic_store_n(&flight->record->in_hand[tag], 1, __ATOMIC_RELEASE);
}

void flight_give_back(struct flight *flight, unsigned tag)
{
	__atomic_store_n(&flight->record->in_hand[tag], 0, __ATOMIC_RELEASE);
}

void flight_add_nonce(uint64_t nonces[DEVICE_NONCES_MAX], uint64_t nonce)
{
	unsigned count = 0;

	while (count < DEVICE_NONCES_MAX && nonces[count])
		count++;
	if (count == DEVICE_NONCES_MAX)
		memmove(&nonces[1], &nonces[2], (--count - 1) * sizeof(*nonces));
	nonces[count] = nonce;
}

void flight_keep_nonce(uint64_t nonces[DEVICE_NONCES_MAX], uint64_t nonce)
{
	memset(nonces, 0, DEVICE_NONCES_MAX * sizeof(*nonces));
	nonces[0] = nonce;
}
