/* The gateway's command line: defaults, each refusal, and what may be combined. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/drivers/opts.h"
#include "tests/unit/check.h"

#define ARGS_MAX 12

/* Parses "lockstep-gateway" and the given words. */
static int parse(const char *const *words, struct opts *ret, struct err *err)
{
	char *argv[ARGS_MAX + 2] = {(char *)"lockstep-gateway"};
	int argc = 1;

	for (; words[argc - 1] && argc <= ARGS_MAX; argc++)
		argv[argc] = (char *)words[argc - 1];
	return opts_parse(argc, argv, ret, err);
}

#define WORDS(...)                                                                                                     \
	(const char *const[])                                                                                          \
	{                                                                                                              \
		__VA_ARGS__, NULL                                                                                      \
	}

static void defaults_are_the_documented_ones(void)
{
	struct opts opts;

	unsetenv("LOCKSTEP_RUN_DIR");
	CHECK_OK(parse(WORDS("--volume-file", "v.yaml"), &opts, NULL));
	CHECK_STR("v.yaml", opts.volume_file);
	CHECK_STR("/run/lockstep", opts.run_dir);
	CHECK_EQ_INT(FRONTEND_UBLK, opts.frontend);
	CHECK_EQ_INT(UBLK_MODE_AUTO, opts.mode);
	CHECK_EQ_U64(QUEUE_DEPTH_DEFAULT, opts.queue_depth);
	CHECK_EQ_U64(BULK_MIN_BYTES_DEFAULT, opts.bulk_min_bytes);
	CHECK_EQ_U64(3000, opts.attach_wait_ms);
	CHECK_EQ_U64(30000, opts.attach_limit_ms);
	CHECK_EQ_U64(0, opts.policy.answer_deadline_ms); /* not said: as the volume's file or the engine has it */
	CHECK_EQ_U64(DEVICE_ID_ANY, opts.device_id);
	CHECK_EQ_U64(0, opts.buffer_table);
}

static void values_are_taken(void)
{
	struct opts opts;

	CHECK_OK(parse(WORDS("--volume-file=v", "--mode=zero-copy", "--bulk-min=0", "--frontend", "shm:/dev/shm/x"),
		       &opts, NULL));
	CHECK_EQ_INT(UBLK_MODE_ZERO_COPY, opts.mode);
	CHECK_EQ_U64(0, opts.bulk_min_bytes);
	CHECK_EQ_INT(FRONTEND_SHM, opts.frontend);
	CHECK_STR("/dev/shm/x", opts.shm_path);
	CHECK_OK(parse(WORDS("--volume-file=v", "--bulk-min=128K", "--queue-depth", "1024", "--device-id=3"), &opts,
		       NULL));
	CHECK_EQ_U64(128 * KIB, opts.bulk_min_bytes);
	CHECK_EQ_U64(1024, opts.queue_depth);
	CHECK_EQ_U64(3, opts.device_id);
	CHECK_OK(parse(WORDS("--delete-device", "7"), &opts, NULL));
	CHECK_EQ_INT(GATEWAY_DELETE_DEVICE, opts.action);
	CHECK_EQ_U64(7, opts.device_id);
}

static void the_run_directory_comes_from_the_environment_unless_given(void)
{
	struct opts opts;

	setenv("LOCKSTEP_RUN_DIR", "/tmp/somewhere", 1);
	CHECK_OK(parse(WORDS("--volume-file=v"), &opts, NULL));
	CHECK_STR("/tmp/somewhere", opts.run_dir);
	CHECK_OK(parse(WORDS("--volume-file=v", "--run-dir=/r"), &opts, NULL));
	CHECK_STR("/r", opts.run_dir);
	unsetenv("LOCKSTEP_RUN_DIR");
}

static void the_policy_is_said_by_the_keys_of_the_volume_s_file(void)
{
	struct opts opts;

	CHECK_OK(parse(WORDS("--volume-file=v", "--on-no-quorum=error", "--quorum-deadline", "5", "--slow-factor=never",
			     "--resync-rate=100M", "--attach-limit=0", "--min-in-sync=2", "--accept-data-loss=v.x@7"),
		       &opts, NULL));
	CHECK_EQ_INT(NO_QUORUM_ERROR, opts.policy.on_no_quorum);
	CHECK_EQ_U64(5, opts.policy.quorum_deadline);
	CHECK_EQ_U64(POLICY_NEVER, opts.policy.slow_factor);
	CHECK_EQ_U64(100 * MIB, opts.policy.resync_rate);
	CHECK_EQ_U64(2, opts.policy.min_in_sync);
	CHECK_EQ_U64(0, opts.attach_limit_ms);
	CHECK_EQ_U64(3, opts.loss_volume_chars);
	CHECK_EQ_U64(7, opts.loss_epoch);
}

static void each_refusal_names_the_option(void)
{
	static const struct {
		const char *word, *part;
	} cases[] = {
		{"--queue-depth=0", "--queue-depth"},
		{"--queue-depth=1025", "1024"},
		{"--queue-depth=12x", "not a number"},
		{"--queue-depth=-1", "not a number"},
		{"--queue-depth=99999999999999999999", "out of range"},
		{"--bulk-min=lots", "--bulk-min"},
		{"--bulk-min=129K", "too large"},
		{"--mode=fast", "--mode"},
		{"--busy-poll=10001", "--busy-poll"},
		{"--frontend=nbd", "--frontend"},
		{"--frontend=shm:", "--frontend"},
		{"--receive=send", "--receive"},
		{"--zero-copy-send=maybe", "--zero-copy-send"},
		{"--answer-deadline=0", "--answer-deadline: 0 is out of range, 0.1 to 86400 seconds"},
		{"--answer-deadline=1e3", "not a number of seconds"},
		{"--on-no-quorum=panic", "--on-no-quorum: 'panic' is neither suspend nor error"},
		{"--min-in-sync=6", "--min-in-sync: 6 is out of range, 1 to 5"},
		{"--resync-rate=1K", "--resync-rate: 1K is out of range"},
		{"--slow-factor=1", "--slow-factor: 1 is out of range"},
		{"--slow-factor=often", "--slow-factor: 'often' is not a number, nor never"},
		{"--attach-wait=long", "--attach-wait"},
		{"--accept-data-loss=vol", "'vol' is not VOLUME@EPOCH"},
		{"--accept-data-loss=@7", "is not VOLUME@EPOCH"},
		{"--accept-data-loss=vol@", "is not VOLUME@EPOCH"},
		{"--accept-data-loss=vol@7x", "is not VOLUME@EPOCH"},
		{"--accept-data-loss=vol@-1", "is not VOLUME@EPOCH"},
		{"--accept-data-loss=vol@4294967296", "is not VOLUME@EPOCH"},
		{"--attach-limit=-1", "--attach-limit"},
		{"--log-level=loud", "--log-level"},
		{"--run-dir=", "--run-dir"},
		{"--no-such-option", "--no-such-option"},
		{"operand", "operand"},
	};
	struct opts opts;
	struct err err;

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		CHECK_ERRNO(-EINVAL, parse(WORDS("--volume-file=v", cases[i].word), &opts, &err));
		CHECK_STR_HAS(cases[i].part, err.text);
	}
}

static void a_missing_volume_file_or_value_is_refused(void)
{
	struct opts opts;
	struct err err;

	CHECK_ERRNO(-EINVAL, parse(WORDS("--mode=copy"), &opts, &err));
	CHECK_STR_HAS("--volume-file", err.text);
	CHECK_ERRNO(-EINVAL, parse(WORDS("--volume-file"), &opts, &err));
	CHECK_STR_HAS("needs a value", err.text);
	CHECK_ERRNO(-EINVAL, parse(WORDS("--volume-file=v", "--frontend=shm:x", "--device-id=1"), &opts, &err));
	CHECK_STR_HAS("--device-id", err.text);
}

static const struct check_test tests[] = {
	CHECK_TEST(defaults_are_the_documented_ones),
	CHECK_TEST(values_are_taken),
	CHECK_TEST(the_run_directory_comes_from_the_environment_unless_given),
	CHECK_TEST(the_policy_is_said_by_the_keys_of_the_volume_s_file),
	CHECK_TEST(each_refusal_names_the_option),
	CHECK_TEST(a_missing_volume_file_or_value_is_refused),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("gateway_opts", tests, argc, argv);
}
