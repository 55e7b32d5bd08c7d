/* Makes, takes over and removes the block device of the ublk frontend, while the data thread serves.
 * Knows no request but whether the dead gateway had it. Not on a request's path: before the first one and after the
 * last. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "gateway/drivers/device_link.h"
#include "gateway/drivers/run_dir.h"
#include "gateway/drivers/ublk_frontend.h"
#include "gateway/drivers/ublk_leftover.h"

/* `left`: this volume's device, if a killed gateway left one. */
int ublk_lifetime_look_for_left(struct frontend_ublk *ublk, struct err *err)
{
	const struct ublk_device_spec *spec = &ublk->options.device;
	uint32_t id;
	int rc = run_dir_device(ublk->options.run_dir, &id, err);

	if (!rc)
		rc = ublk_leftover_find(ublk->ctl, id, spec, &ublk->left, err);
	if (rc == -ENOENT) {
		run_dir_forget_device(ublk->options.run_dir);
		flight_begin(&ublk->flight, spec->queue_depth);
		return 0;
	}
	if (rc)
		return rc;
	if (!flight_is_of(&ublk->flight, id, spec->queue_depth))
		return err_set(err, -EBUSY,
			       "/dev/ublkb%u: left by a killed gateway of this volume that kept no record of its "
			       "requests in %s; 'lockstep-gateway --delete-device %u' fails what waits in it and "
			       "removes it",
			       id, ublk->options.run_dir->flight_path, id);
	ublk_takeover_begin(&ublk->takeover, ublk->flight.record->in_hand, spec->queue_depth);
	ublk->is_left = true;
	return 0;
}

static void tell_data_thread(struct frontend_ublk *ublk, enum wish wish)
{
	uint64_t one = 1;

	__atomic_store_n(&ublk->wish, wish, __ATOMIC_RELEASE);
	if (write(ublk->wake_fd, &one, sizeof(one)) < 0)
		(void)0; /* cannot fail for a count of one */
}

/* After the last completion: only then may the descriptor go, and only without it can the device be deleted. */
static int close_and_remove(struct frontend_ublk *ublk, struct err *err)
{
	int rc;

	tell_data_thread(ublk, WISH_CLOSE);
	while (sem_wait(&ublk->closed))
		; /* EINTR */
	rc = ublk_device_remove(&ublk->device, err);
	if (rc)
		return rc;
	run_dir_forget_device(ublk->options.run_dir);
	device_link_remove(ublk->device.block_path);
	return 0;
}

/* On error the device stays as it was left: what waits in it waits for another try. */
static int take_over(struct frontend_ublk *ublk, struct err *err)
{
	int rc = ublk_device_take_over(ublk->ctl, &ublk->options.device, &ublk->left, &ublk->device, err);

	if (rc)
		return rc;
	flight_keep_nonce(ublk->flight.record->nonces, ublk->nonce);
	tell_data_thread(ublk, WISH_FETCH);
	rc = ublk_device_resume(&ublk->device, err);
	if (rc)
		return rc;
	ublk_takeover_resumed(&ublk->takeover, clock_now_ns());
	return 0;
}

/* Known to whoever comes next before it can have a request. */
static int record_and_start(struct frontend_ublk *ublk, struct err *err)
{
	int rc;

	flight_keep_nonce(ublk->flight.record->nonces, ublk->nonce);
	flight_set_device(&ublk->flight, ublk->device.id);
	rc = run_dir_record_device(ublk->options.run_dir, ublk->device.id, err);
	if (rc)
		return rc;
	tell_data_thread(ublk, WISH_FETCH);
	return ublk_device_start(&ublk->device, err);
}

static int make_device(struct frontend_ublk *ublk, struct err *err)
{
	int rc = ublk_device_add(ublk->ctl, &ublk->options.device, &ublk->choice, &ublk->device, err);

	if (rc)
		return rc;
	rc = record_and_start(ublk, err);
	if (rc && close_and_remove(ublk, NULL))
		err_wrap(err, "%s is left behind", ublk->device.block_path);
	return rc;
}

int ublk_lifetime_start(struct frontend *fe, struct err *err)
{
	struct frontend_ublk *ublk = to_ublk(fe);

	int rc = ublk->is_left ? take_over(ublk, err) : make_device(ublk, err);

	if (rc)
		return rc;
	device_link_make(ublk->options.volume_name, ublk->device.block_path);
	__atomic_store_n(&ublk->exists, true, __ATOMIC_RELEASE);
	return 0;
}

/* What waits in it must not be executed any more, and nothing else will end its waiting. */
void ublk_lifetime_give_up(struct frontend *fe)
{
	struct frontend_ublk *ublk = to_ublk(fe);
	int rc;

	if (!ublk->is_left)
		return;
	rc = ublk_leftover_fail(ublk->ctl, ublk->left.dev_id);
	if (rc) {
		log_error("event=device_left device=/dev/ublkb%u error=%s", ublk->left.dev_id, err_name(rc));
		return;
	}
	log_warn("event=device_failed device=/dev/ublkb%u reason=\"what waited in it must not be repeated\"",
		 ublk->left.dev_id);
	run_dir_forget_device(ublk->options.run_dir);
}

bool ublk_lifetime_recovers(struct frontend *fe, uint64_t nonce, uint64_t ret_nonces[DEVICE_NONCES_MAX])
{
	struct frontend_ublk *ublk = to_ublk(fe);
	uint64_t *nonces = ublk->flight.record->nonces;

	memcpy(ret_nonces, nonces, sizeof(ublk->flight.record->nonces));
	flight_add_nonce(nonces, nonce);
	ublk->nonce = nonce;
	return ublk->is_left;
}

int ublk_lifetime_stop(struct frontend *fe, bool force, struct err *err)
{
	struct frontend_ublk *ublk = to_ublk(fe);
	int rc = ublk_device_stop(&ublk->device, force, err);

	if (rc)
		return rc;
	__atomic_store_n(&ublk->exists, false, __ATOMIC_RELEASE);
	return close_and_remove(ublk, err);
}
