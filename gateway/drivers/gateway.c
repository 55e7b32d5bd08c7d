/* Puts a gateway together: volume file, lock, frontend, mailboxes, then control_run(), and takes it apart again.
 * Knows what order things are made in, not what they do. Not on a request's path. */
#include "gateway/drivers/gateway.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/random.h"
#include "gateway/drivers/control.h"
#include "gateway/drivers/device_link.h"
#include "gateway/drivers/events.h"
#include "gateway/drivers/frontend_shm.h"
#include "gateway/drivers/frontend_ublk.h"
#include "gateway/drivers/letters.h"
#include "gateway/drivers/run_dir.h"
#include "gateway/drivers/ublk_ctl.h"
#include "gateway/drivers/ublk_leftover.h"
#include "gateway/drivers/volume_file.h"

/* Letters that can be under way at once: a few for each lane, a few of everything else. */
#define MAILBOX_LETTERS (4 * LANE_COUNT * LEG_COUNT_MAX + 64)

struct gateway {
	const struct opts *opts;
	struct volume_spec spec;
	struct run_dir run_dir;
	struct frontend *frontend;
	struct mailbox *to_data, *to_control;
	struct events *events;
};

static enum gateway_exit code_of_frontend(int error)
{
	switch (error) {
	case -EBUSY:
		return GATEWAY_EXIT_BUSY;
	case -EOPNOTSUPP:
		return GATEWAY_EXIT_MODE;
	case -ENOENT:
	case -EACCES:
	case -EPERM:
		return GATEWAY_EXIT_NO_UBLK;
	default:
		return GATEWAY_EXIT_DEVICE;
	}
}

static int make_ublk(struct gateway *gateway, struct err *err)
{
	const struct opts *opts = gateway->opts;
	struct frontend_ublk_options options = {
		.device =
			{
				.wanted_id = opts->device_id,
				.queue_depth = opts->queue_depth,
				.volume_bytes = gateway->spec.size_bytes,
				.block_bytes = gateway->spec.block_bytes,
				.volume_uuid = gateway->spec.uuid,
			},
		.mode = opts->mode,
		.buffer_table = opts->buffer_table ? opts->buffer_table : opts->queue_depth,
		.volume_name = gateway->spec.name,
		.run_dir = &gateway->run_dir,
	};
	struct ublk_ctl *ctl;
	int rc = ublk_ctl_open(&ctl, err);

	return rc ? rc : frontend_ublk_new(&options, ctl, &gateway->frontend, err);
}

static int make_shm(struct gateway *gateway, struct err *err)
{
	struct frontend_shm_options options = {
		.path = gateway->opts->shm_path,
		.mode = gateway->opts->mode,
		.volume_bytes = gateway->spec.size_bytes,
		.block_bytes = gateway->spec.block_bytes,
	};

	return frontend_shm_new(&options, &gateway->frontend, err);
}

static enum gateway_exit make_frontend(struct gateway *gateway, struct err *err)
{
	int rc = gateway->opts->frontend == FRONTEND_SHM ? make_shm(gateway, err) : make_ublk(gateway, err);

	return rc ? code_of_frontend(rc) : GATEWAY_EXIT_OK;
}

static void engine_options_from(const struct gateway *gateway, struct engine_options *ret)
{
	const struct opts *opts = gateway->opts;
	struct frontend *fe = gateway->frontend;
	char host[32] = "?";

	engine_options_default(ret);
	ret->bulk_min_bytes = (uint32_t)opts->bulk_min_bytes;
	ret->read_run = opts->read_run;
	ret->reconnect_ns = opts->reconnect_ms * NS_PER_MS;
	ret->sync_interval_ns = opts->sync_interval_ms * NS_PER_MS;
	ret->attach_wait_ns = opts->attach_wait_ms * NS_PER_MS;
	ret->attach_limit_ns = opts->attach_limit_ms * NS_PER_MS;
	ret->accepts_loss = opts->loss_accepted != NULL;
	ret->accepted_epoch = opts->loss_epoch;
	policy_apply(&gateway->spec.policy, ret);
	if (gethostname(host, sizeof(host) - 1))
		snprintf(host, sizeof(host), "?"); /* ENAMETOOLONG: only a name in the replicas' logs */
	snprintf(ret->client, sizeof(ret->client), "%s/%d", host, (int)getpid());
	ret->nonce = random_nonzero();
	ret->predecessor_nonce = run_dir_nonce(&gateway->run_dir);
	if (fe->ops->recovers)
		ret->is_recovery = fe->ops->recovers(fe, ret->nonce, ret->device_nonces);
}

static enum gateway_exit attach_and_serve(struct gateway *gateway, struct err *err)
{
	struct control_options options = {
		.opts = gateway->opts,
		.spec = &gateway->spec,
		.run_dir = &gateway->run_dir,
		.frontend = gateway->frontend,
		.loop =
			{
				.spec = &gateway->spec,
				.frontend = gateway->frontend,
				.to_data = gateway->to_data,
				.to_control = gateway->to_control,
				.events = gateway->events,
				.recv = gateway->opts->recv,
				.zero_copy = gateway->opts->zero_copy_send,
				.busy_poll = busy_poll_measure(gateway->opts->busy_poll_us),
			},
	};

	engine_options_from(gateway, &options.loop.engine);
	return control_run(&options, err);
}

/* What the data thread did not come to take before it ended. */
static void discard_letters(struct mailbox *to_data)
{
	struct letter letter;

	while (to_data && mailbox_take(to_data, &letter)) {
		if (letter.kind == LETTER_LANE_FAILED)
			free(letter.data);
		if (letter.fd >= 0)
			close(letter.fd);
	}
}

static enum gateway_exit with_mailboxes(struct gateway *gateway, struct err *err)
{
	enum gateway_exit code = GATEWAY_EXIT_INTERNAL;

	gateway->to_data = mailbox_new(MAILBOX_LETTERS);
	gateway->to_control = mailbox_new(MAILBOX_LETTERS);
	gateway->events = events_new(&gateway->spec, gateway->run_dir.events_path);
	if (gateway->to_data && gateway->to_control && gateway->events)
		code = attach_and_serve(gateway, err);
	else
		err_set(err, -ENOMEM, "mailboxes: no memory or no file descriptors");
	events_free(gateway->events);
	discard_letters(gateway->to_data);
	mailbox_free(gateway->to_control);
	mailbox_free(gateway->to_data);
	return code;
}

/* Under memory pressure the kernel writes dirty pages to our own device: a page fault of ours, or an allocation that
 * the kernel makes for us, would wait for itself. Before any thread is made: they inherit the flag
 * (PR_SET_IO_FLUSHER(2const)), and the control thread must be able to reconnect too. */
static void pin_memory(void)
{
	mallopt(M_ARENA_MAX, 1); /* an arena for each thread would be locked whole */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		log_warn("event=mlock_refused error=%s hint=\"raise RLIMIT_MEMLOCK; memory pressure may stall the "
			 "volume\"",
			 err_name(-errno));
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		log_warn("event=io_flusher_refused error=%s hint=\"needs CAP_SYS_RESOURCE\"", err_name(-errno));
}

/* What was said on the command line about a volume must be about this one. */
static int check_options(const struct opts *opts, const struct volume_spec *spec, struct err *err)
{
	if (opts->loss_accepted && (strlen(spec->name) != opts->loss_volume_chars ||
				    strncmp(spec->name, opts->loss_accepted, opts->loss_volume_chars) != 0))
		return err_set(err, -EINVAL,
			       "--accept-data-loss: names '%.*s', but this volume is %s; nothing is given up",
			       (int)opts->loss_volume_chars, opts->loss_accepted, spec->name);
	return volume_spec_check(spec, err); /* the policy of the options must fit it, too */
}

enum gateway_exit gateway_serve(const struct opts *opts, struct err *err)
{
	struct gateway gateway = {.opts = opts};
	enum gateway_exit code;
	int rc;

	signal(SIGPIPE, SIG_IGN);
	if (volume_file_load(opts->volume_file, &gateway.spec, err))
		return GATEWAY_EXIT_CONFIG;
	policy_merge(&gateway.spec.policy, &opts->policy);
	if (check_options(opts, &gateway.spec, err))
		return GATEWAY_EXIT_USAGE;
	rc = run_dir_open(opts->run_dir, gateway.spec.name, &gateway.run_dir, err);
	if (rc)
		return rc == -EBUSY ? GATEWAY_EXIT_BUSY : GATEWAY_EXIT_INTERNAL;
	pin_memory();
	code = make_frontend(&gateway, err);
	if (code == GATEWAY_EXIT_OK) {
		code = with_mailboxes(&gateway, err);
		gateway.frontend->ops->destroy(gateway.frontend);
	}
	run_dir_close(&gateway.run_dir);
	return code;
}

enum gateway_exit gateway_delete_device(const struct opts *opts, struct err *err)
{
	char device[32];
	struct ublk_ctl *ctl;
	int rc = ublk_ctl_open(&ctl, err);

	if (rc)
		return GATEWAY_EXIT_NO_UBLK;
	rc = ublk_leftover_delete(ctl, opts->device_id, err);
	ublk_ctl_close(ctl);
	if (rc == -EBUSY)
		return GATEWAY_EXIT_BUSY;
	if (rc)
		return GATEWAY_EXIT_DEVICE;
	run_dir_forget_device_id(opts->run_dir, opts->device_id);
	snprintf(device, sizeof(device), "/dev/ublkb%u", opts->device_id);
	device_link_remove(device);
	return GATEWAY_EXIT_OK;
}
