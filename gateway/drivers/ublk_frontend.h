/* Inside of the ublk frontend: what its two halves share. frontend_ublk.c is the data thread's and sees every request;
 * ublk_lifetime.c is the control thread's and makes, takes over and removes the device. */
#ifndef GATEWAY_DRIVERS_UBLK_FRONTEND_H
#define GATEWAY_DRIVERS_UBLK_FRONTEND_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "gateway/core/engine.h"
#include "gateway/drivers/flight.h"
#include "gateway/drivers/frontend.h"
#include "gateway/drivers/frontend_ublk.h"
#include "gateway/drivers/ublk_bounce.h"
#include "gateway/drivers/ublk_device.h"
#include "gateway/drivers/ublk_takeover.h"

/* What start() and stop() ask of the data thread. */
enum wish { WISH_NONE, WISH_FETCH, WISH_CLOSE };

enum slot_state {
	SLOT_GONE,   /* no command of ours is with the driver */
	SLOT_IDLE,   /* fetched: the driver may give us a request */
	SLOT_WAITS,  /* has a request that waits for a bounce buffer */
	SLOT_BUSY,   /* the engine has it */
	SLOT_FAILED, /* completed with -EIO by fail_all(); the engine's completion will be ignored */
};

struct slot {
	struct list waits; /* for a bounce buffer, while SLOT_WAITS */
	enum slot_state state;
	struct request request;
	uint8_t *bounce; /* borrowed, or NULL */
};

struct frontend_ublk {
	struct frontend fe;
	struct frontend_ublk_options options;
	struct ublk_ctl *ctl;
	struct ublk_choice choice;
	struct ublk_device device;
	bool exists; /* start() succeeded; atomic: status reads it */
	int wake_fd; /* eventfd, read by the ring; blocking: io_uring does not wait on O_NONBLOCK files */
	uint64_t wake_count;
	enum wish wish; /* atomic */
	sem_t closed;	/* posted by the data thread after WISH_CLOSE */
	struct flight flight;
	uint64_t nonce; /* of this gateway's attachment */
	bool is_left;	/* `left` is a killed gateway's device, to be taken over */
	struct ublksrv_ctrl_dev_info left;
	struct ublk_takeover takeover;
	bool failing;
	bool registered;	   /* copy mode: `buffers` are in the ring's table */
	uint8_t *buffers;	   /* copy mode: IO_BYTES_MAX per tag */
	struct ublk_bounce bounce; /* zero-copy mode */
	struct slot slots[];
};

static inline struct frontend_ublk *to_ublk(struct frontend *fe)
{
	return container_of(fe, struct frontend_ublk, fe);
}

/* A killed gateway's device of this volume, if there is one, becomes `left`; else the record of requests is new. 0;
 * -EINVAL: it does not fit; -EBUSY: nothing is known of its requests. */
int ublk_lifetime_look_for_left(struct frontend_ublk *ublk, struct err *err) must_check;
/* frontend_ops of these names. */
bool ublk_lifetime_recovers(struct frontend *fe, uint64_t nonce, uint64_t ret_nonces[DEVICE_NONCES_MAX]);
void ublk_lifetime_give_up(struct frontend *fe);
int ublk_lifetime_start(struct frontend *fe, struct err *err) must_check;
int ublk_lifetime_stop(struct frontend *fe, bool force, struct err *err) must_check;

#endif
