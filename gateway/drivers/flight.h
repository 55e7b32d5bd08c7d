/* What a gateway knows of its block device that must outlive it, in a file of the run directory that is mapped into
 * memory: which requests it has in hand, and which attachments may have served the device (R11). A gateway that is
 * killed leaves it as it was; the next one reads it before the kernel issues those requests again.
 * A file in /run does not outlive the machine, nor does a ublk device. */
#ifndef GATEWAY_DRIVERS_FLIGHT_H
#define GATEWAY_DRIVERS_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"

struct flight_record {
	uint64_t magic;
	uint32_t device_id;
	uint32_t queue_depth;
	uint64_t nonces[DEVICE_NONCES_MAX]; /* the first is of the one that served; 0: no more */
	uint8_t in_hand[QUEUE_DEPTH_MAX];   /* by tag: fetched, and not completed yet */
};

struct flight {
	struct flight_record *record; /* mapped; NULL: not open */
};

/* Control thread. Maps the file, made if need be; what is in it stays. 0 or -errno, naming the file. */
int flight_open(const char *path, struct flight *ret, struct err *err) must_check;
void flight_close(struct flight *flight);

/* Whether the record is of this device. */
bool flight_is_of(const struct flight *flight, uint32_t device_id, unsigned queue_depth);
/* Control thread: a new device, with no requests yet and served by nobody. */
void flight_begin(struct flight *flight, unsigned queue_depth);
/* Control thread, before anybody can send a request: the device has its number. */
void flight_set_device(struct flight *flight, uint32_t device_id);

/* Data thread: tag `tag` was given to us; or is about to be given back, of which the kernel may or may not hear. */
void flight_take(struct flight *flight, unsigned tag);
void flight_give_back(struct flight *flight, unsigned tag);

/* An attachment begins that may come to serve the device. Too many in vain: the first stays, it is the one that served.
 */
void flight_add_nonce(uint64_t nonces[DEVICE_NONCES_MAX], uint64_t nonce);
/* It serves: whoever comes next follows it alone. */
void flight_keep_nonce(uint64_t nonces[DEVICE_NONCES_MAX], uint64_t nonce);

#endif
