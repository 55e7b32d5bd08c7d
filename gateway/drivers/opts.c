/* The command line, by one table for parsing and for --help. Knows no volume and opens nothing.
 * Not on a request's path: runs first. */
#include "gateway/drivers/opts.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"

/* Takes the option's text into `opts`. */
typedef int option_taker(struct opts *opts, const char *text, struct err *err);

struct option_row {
	const char *name;
	const char *arg; /* NULL: takes none */
	option_taker *take;
	const char *help;
};

static int take_number(const char *name, const char *text, uint64_t min, uint64_t max, uint32_t *ret, struct err *err)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end)
		return err_set(err, -EINVAL, "--%s: '%s' is not a number", name, text);
	if (errno || value < min || value > max)
		return err_set(err, -EINVAL, "--%s: %s is out of range, %" PRIu64 " to %" PRIu64 " is allowed", name,
			       text, min, max);
	*ret = (uint32_t)value;
	return 0;
}

/* One of `words` (NULL-terminated) by its place. */
static int take_word(const char *name, const char *text, const char *const *words, unsigned *ret, struct err *err)
{
	for (unsigned i = 0; words[i]; i++) {
		if (!strcmp(text, words[i])) {
			*ret = i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "--%s: '%s' is not known; see --help", name, text);
}

static int take_volume_file(struct opts *opts, const char *text, struct err *err)
{
	opts->volume_file = text;
	return 0;
}

static int take_run_dir(struct opts *opts, const char *text, struct err *err)
{
	opts->run_dir = text;
	return *text ? 0 : err_set(err, -EINVAL, "--run-dir: is empty");
}

static int take_frontend(struct opts *opts, const char *text, struct err *err)
{
	opts->frontend = FRONTEND_UBLK;
	if (!strcmp(text, "ublk"))
		return 0;
	if (strncmp(text, "shm:", 4) || !text[4])
		return err_set(err, -EINVAL, "--frontend: '%s' is neither ublk nor shm:PATH", text);
	opts->frontend = FRONTEND_SHM;
	opts->shm_path = text + 4;
	return 0;
}

static int take_mode(struct opts *opts, const char *text, struct err *err)
{
	static const char *const words[] = {"auto", "zero-copy", "copy", NULL};
	unsigned i = 0;
	int rc = take_word("mode", text, words, &i, err);

	opts->mode = (enum ublk_mode)i;
	return rc;
}

static int take_queue_depth(struct opts *opts, const char *text, struct err *err)
{
	return take_number("queue-depth", text, 1, QUEUE_DEPTH_MAX, &opts->queue_depth, err);
}

static int take_buffer_table(struct opts *opts, const char *text, struct err *err)
{
	return take_number("buffer-table", text, 1, QUEUE_DEPTH_MAX, &opts->buffer_table, err);
}

static int take_device_id(struct opts *opts, const char *text, struct err *err)
{
	return take_number("device-id", text, 0, (1u << 20) - 1, &opts->device_id, err);
}

static int take_delete_device(struct opts *opts, const char *text, struct err *err)
{
	opts->action = GATEWAY_DELETE_DEVICE;
	return take_number("delete-device", text, 0, (1u << 20) - 1, &opts->device_id, err);
}

static int take_bulk_min(struct opts *opts, const char *text, struct err *err)
{
	if (size_parse(text, &opts->bulk_min_bytes))
		return err_set(err, -EINVAL, "--bulk-min: '%s' is not a size; write bytes or e.g. 64K", text);
	if (opts->bulk_min_bytes > BULK_MIN_BYTES_MAX)
		return err_set(err, -EINVAL, "--bulk-min: %s is too large; the most is %llu bytes", text,
			       BULK_MIN_BYTES_MAX);
	return 0;
}

static int take_read_run(struct opts *opts, const char *text, struct err *err)
{
	return take_number("read-run", text, 1, 1u << 20, &opts->read_run, err);
}

static int take_attach_wait(struct opts *opts, const char *text, struct err *err)
{
	uint32_t seconds = 0;
	int rc = take_number("attach-wait", text, 0, 3600, &seconds, err);

	opts->attach_wait_ms = seconds * 1000;
	return rc;
}

static int take_attach_limit(struct opts *opts, const char *text, struct err *err)
{
	uint32_t seconds = 0;
	int rc = take_number("attach-limit", text, 0, 86400, &seconds, err);

	opts->attach_limit_ms = seconds * 1000;
	return rc;
}

static int take_loss(struct opts *opts, const char *text, struct err *err)
{
	const char *at = strrchr(text, '@');
	char *end;
	unsigned long long epoch;

	errno = 0;
	epoch = at ? strtoull(at + 1, &end, 10) : 0;
	if (!at || at == text || at[1] < '0' || at[1] > '9' || *end || errno || epoch > UINT32_MAX)
		return err_set(err, -EINVAL,
			       "--accept-data-loss: '%s' is not VOLUME@EPOCH; the refusal of the attach says it", text);
	opts->loss_accepted = text;
	opts->loss_volume_chars = (size_t)(at - text);
	opts->loss_epoch = (uint32_t)epoch;
	return 0;
}

static int take_reconnect(struct opts *opts, const char *text, struct err *err)
{
	return take_number("reconnect", text, 10, 60000, &opts->reconnect_ms, err);
}

static int take_sync_interval(struct opts *opts, const char *text, struct err *err)
{
	return take_number("sync-interval", text, 10, 3600000, &opts->sync_interval_ms, err);
}

static int take_receive(struct opts *opts, const char *text, struct err *err)
{
	static const char *const words[] = {"auto", "recv", "read-fixed", NULL};
	unsigned i = 0;
	int rc = take_word("receive", text, words, &i, err);

	opts->recv = (enum peers_recv)i;
	return rc;
}

static int take_zero_copy_send(struct opts *opts, const char *text, struct err *err)
{
	if (zc_force_parse(text, &opts->zero_copy_send))
		return err_set(err, -EINVAL, "--zero-copy-send: '%s' is not known; see --help", text);
	return 0;
}

static int take_busy_poll(struct opts *opts, const char *text, struct err *err)
{
	struct err own = {0};

	if (busy_poll_parse(text, &opts->busy_poll_us, &own))
		return err_set(err, own.code, "--busy-poll: %s", own.text);
	return 0;
}

static int take_log_level(struct opts *opts, const char *text, struct err *err)
{
	if (log_level_parse(text, &opts->log_level))
		return err_set(err, -EINVAL, "--log-level: '%s' is none of error, warn, info, debug", text);
	return 0;
}

static int take_help(struct opts *opts, const char *text, struct err *err)
{
	opts->action = GATEWAY_HELP;
	return 0;
}

static int take_version(struct opts *opts, const char *text, struct err *err)
{
	opts->action = GATEWAY_VERSION;
	return 0;
}

static const struct option_row rows[] = {
	{"volume-file", "FILE", take_volume_file, "the volume to serve, lockstep-volume(5); required"},
	{"run-dir", "DIR", take_run_dir, "socket, lock and device record (default $LOCKSTEP_RUN_DIR or /run/lockstep)"},
	{"frontend", "KIND", take_frontend, "ublk (default), or shm:PATH for tests"},
	{"mode", "MODE", take_mode, "auto (default), zero-copy or copy; impossible ones are refused with the reason"},
	{"queue-depth", "N", take_queue_depth, "block requests in flight, 1 to 1024 (default 128)"},
	{"bulk-min", "BYTES", take_bulk_min,
	 "payloads above this go without a copy (default 64K, at most 128K; 0: all)"},
	{"device-id", "N", take_device_id, "N of /dev/ublkbN (default: a free one)"},
	{"buffer-table", "N", take_buffer_table,
	 "places for request buffers (default: the queue depth; fewer for tests)"},
	{"read-run", "N", take_read_run,
	 "small reads that stay on one replica before balance is looked at (default 8)"},
	{"attach-wait", "SECONDS", take_attach_wait,
	 "wait so long for servers that an attach can do without (default 3)"},
	{"attach-limit", "SECONDS", take_attach_limit,
	 "... and for those it cannot; then it is refused (default 30; 0: wait for ever)"},
	{"accept-data-loss", "VOLUME@EPOCH", take_loss,
	 "attach without replicas in sync that are missing; what only they have is lost"},
	{"reconnect", "MS", take_reconnect, "first pause before connecting again (default 100)"},
	{"sync-interval", "MS", take_sync_interval,
	 "how often completed writes are made durable in the background (default 1000)"},
	{"receive", "HOW", take_receive, "bulk reads by: auto (default), recv, read-fixed"},
	{"zero-copy-send", "HOW", take_zero_copy_send, "bulk writes by SEND_ZC: auto (default), always, never"},
	{"busy-poll", "HOW", take_busy_poll,
	 "look for answers before sleeping: auto (default), off, or at most so many microseconds"},
	{"delete-device", "N", take_delete_device, "stop and delete the device that a killed gateway left, and exit"},
	{"log-level", "LEVEL", take_log_level, "error, warn, info (default), debug"},
	{"help", NULL, take_help, "this text"},
	{"version", NULL, take_version, "print the version"},
};

static void set_defaults(struct opts *ret)
{
	struct engine_options engine;
	const char *run_dir = getenv("LOCKSTEP_RUN_DIR");

	engine_options_default(&engine);
	*ret = (struct opts){
		.run_dir = run_dir && *run_dir ? run_dir : RUN_DIR_DEFAULT,
		.queue_depth = engine.queue_depth,
		.busy_poll_us = BUSY_POLL_AUTO,
		.device_id = DEVICE_ID_ANY,
		.bulk_min_bytes = engine.bulk_min_bytes,
		.read_run = engine.read_run,
		.reconnect_ms = (uint32_t)(engine.reconnect_ns / 1000000),
		.sync_interval_ms = (uint32_t)(engine.sync_interval_ns / 1000000),
		.attach_wait_ms = (uint32_t)(engine.attach_wait_ns / 1000000),
		.attach_limit_ms = (uint32_t)(engine.attach_limit_ns / 1000000),
		.log_level = LOG_LEVEL_INFO,
	};
}

static int check_together(const struct opts *opts, struct err *err)
{
	if (opts->action != GATEWAY_SERVE)
		return 0;
	if (!opts->volume_file)
		return err_set(err, -EINVAL, "--volume-file: is required; see --help");
	if (opts->frontend == FRONTEND_SHM && opts->device_id != DEVICE_ID_ANY)
		return err_set(err, -EINVAL, "--device-id: the shm frontend makes no device");
	return 0;
}

static int take_policy(struct opts *opts, unsigned nth, const char *text, struct err *err)
{
	return policy_take(&opts->policy, nth, text, err) ? err_wrap(err, "--%s", policy_key(nth)) : 0;
}

#define ROW_COUNT ((unsigned)ARRAY_COUNT(rows))

/* The rows, then the keys of the policy; the end is zeros. */
static void build_longs(struct option longs[])
{
	for (unsigned i = 0; i < ROW_COUNT + POLICY_KEY_COUNT; i++)
		longs[i] = (struct option){
			.name = i < ROW_COUNT ? rows[i].name : policy_key(i - ROW_COUNT),
			.has_arg = i >= ROW_COUNT || rows[i].arg ? required_argument : no_argument,
			.val = (int)i + 1,
		};
}

int opts_parse(int argc, char **argv, struct opts *ret, struct err *err)
{
	struct option longs[ARRAY_COUNT(rows) + POLICY_KEY_COUNT + 1] = {0};
	struct opts opts;
	int c, rc;

	build_longs(longs);
	set_defaults(&opts);
	optind = 0; /* glibc: start anew, so that a test may parse more than once */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		unsigned nth = (unsigned)c - 1;

		if (c == ':' || c == '?')
			return err_set(err, -EINVAL, "%s: %s; see --help", argv[optind - 1],
				       c == ':' ? "needs a value" : "is not an option, or takes no value");
		rc = nth < ROW_COUNT ? rows[nth].take(&opts, optarg, err)
				     : take_policy(&opts, nth - ROW_COUNT, optarg, err);
		if (rc)
			return rc;
	}
	if (optind < argc)
		return err_set(err, -EINVAL, "%s: no operands are expected; see --help", argv[optind]);
	rc = check_together(&opts, err);
	if (!rc)
		*ret = opts;
	return rc;
}

static void print_option(FILE *out, const char *name, const char *arg, const char *help)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s %s", name, arg ? arg : "");
	fprintf(out, "  %-26s %s\n", left, help);
}

void opts_help(FILE *out)
{
	fprintf(out,
		"lockstep-gateway --volume-file FILE [OPTION]...\n"
		"Serves one replicated volume as a block device, in the foreground, until SIGTERM or `lockstep volume "
		"detach`.\n\n");
	for (unsigned i = 0; i < ROW_COUNT; i++)
		print_option(out, rows[i].name, rows[i].arg, rows[i].help);
	fprintf(out, "\nOver what the volume's file says:\n");
	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
		print_option(out, policy_key(i), policy_arg(i), policy_help(i));
	fprintf(out, "\nExit codes: 0 done, 1 internal, 2 usage, 3 volume file, 4 refused by the replicas, 5 no ublk, "
		     "6 mode\n"
		     "impossible, 7 busy, 8 device, 9 detached by force with data not durable everywhere, 10 too few "
		     "voters\n"
		     "or no replica in sync answer.\n");
}
