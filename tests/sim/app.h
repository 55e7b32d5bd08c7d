/* The block device of one gateway and the applications on it: requests, their memory, what came of them.
 *
 * The device outlives the gateway process, as a ublk device does: its requests are issued again to the next process of
 * this host, unless another host attached meanwhile. It dies with the host.
 */
#ifndef TESTS_SIM_APP_H
#define TESTS_SIM_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/core/engine.h"
#include "tests/sim/geometry.h"

#define SIM_SLOTS_MAX 32u
#define SIM_RESYNC_PAYLOAD (4u * SIM_SLOTS_MAX) /* the first of the engine's own */
#define SIM_PAYLOADS_MAX (SIM_RESYNC_PAYLOAD + RESYNC_SLOTS)
#define SIM_PAYLOAD_BYTES (SIM_CLUSTER_BLOCKS * BLOCK_BYTES_MAX)
#define SIM_NO_PAYLOAD UINT32_MAX

struct world;
struct gateway;

/* A request's memory. It outlives the request while a send holds it and the frontend pins it. */
struct payload {
	bool is_used;
	bool is_live;  /* its request is not completed */
	unsigned refs; /* sends */
	uint64_t serial;
	unsigned slot;
	uint8_t *bytes;
};

struct app_slot {
	bool is_active;
	bool is_given;	  /* to the engine that runs now */
	uint8_t orphaned; /* sets that another gateway has attached since */
	bool is_posted;	  /* its next request is on its way */
	struct request request;
	uint64_t blocks;       /* bit per block */
	unsigned first, count; /* reads and writes: consecutive blocks */
	unsigned payload;
	uint32_t write_no; /* in the history */
	uint64_t start;	   /* tick */
	uint64_t start_ns;
	unsigned ticks; /* of a running process that had attached, since it was given to it */
	unsigned scribbles;
	uint64_t seq[SIM_BLOCKS_MAX]; /* of a change, by block, as last sent */
	/* Of a FLUSH: what must be durable when it completes. */
	uint64_t floor[SIM_BLOCKS_MAX];
	uint64_t floor_start[SIM_BLOCKS_MAX];
};

struct device {
	struct app_slot slots[SIM_SLOTS_MAX];
	struct payload payloads[SIM_PAYLOADS_MAX];
	uint8_t *memory;
	uint64_t serial;
	unsigned active;
	uint64_t nonces[DEVICE_NONCES_MAX]; /* of the process that served it last, then of those that tried since */
	bool is_served;			    /* somebody has */
	unsigned life;			    /* how often it was lost with its host */
	uint8_t superseded;		    /* sets that another host attached: nothing begun since may succeed there */
};

void app_init(struct device *device);
void app_fini(struct device *device);
void app_reset(struct world *world, struct gateway *gateway);
/* The applications begin on this gateway. */
void app_begin(struct world *world, struct gateway *gateway);
/* A slot's next request. */
void app_next(struct world *world, struct gateway *gateway, unsigned slot);
/* Gives the engine everything that it has not got yet: after a restart, in any order. */
void app_give_all(struct world *world, struct gateway *gateway);
/* At each tick of its process: nobody waits longer than the policy says. */
void app_check_deadline(struct world *world, struct gateway *gateway);
void app_completed(struct world *world, struct gateway *gateway, unsigned slot, int error);
/* The device and its requests are gone with the host, or must not go on: their outcome stays unknown. */
void app_abandon(struct world *world, struct gateway *gateway);
/* Another gateway attached the set: what is outstanding here took effect before now or never. */
void app_orphan(struct world *world, struct gateway *gateway, unsigned set);
void app_scribble(struct world *world, struct gateway *gateway, unsigned payload, uint64_t serial);
/* Reads the next clusters once more, as many as the queue takes. No request may be outstanding. */
void app_audit(struct world *world, struct gateway *gateway);
/* No request of an application is outstanding. */
bool app_is_idle(const struct gateway *gateway);

struct payload *app_payload(struct gateway *gateway, unsigned payload);
void app_payload_put(struct world *world, struct gateway *gateway, unsigned payload);
/* Writes into a request's memory, as receiving and zeroing (`bytes` NULL) do. */
void app_fill(struct world *world, struct gateway *gateway, unsigned slot, uint32_t at, const uint8_t *bytes,
	      uint32_t length);

#endif
