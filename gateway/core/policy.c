/* The table of the operator's decisions. Knows words and ranges, and not what the engine does with them.
 * Start-up and CLI only. */
#include "gateway/core/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "gateway/core/engine.h"

#define NS 1000000000ull
#define SECONDS_MAX 86400u

enum kind { KIND_NUMBER, KIND_SECONDS, KIND_MS, KIND_FACTOR, KIND_RATE, KIND_NO_QUORUM };

static const struct {
	const char *key, *arg, *help;
	enum kind kind;
	size_t offset;
	uint32_t min, max;
} rows[POLICY_KEY_COUNT] = {
	{"on-no-quorum", "WORD", "without a majority: suspend (default), or error after the quorum deadline",
	 KIND_NO_QUORUM, offsetof(struct volume_policy, on_no_quorum), 0, 0},
	{"quorum-deadline", "SECONDS", "with on-no-quorum error: how long I/O waits before it fails (default 30)",
	 KIND_SECONDS, offsetof(struct volume_policy, quorum_deadline), 1, SECONDS_MAX},
	{"min-in-sync", "N", "with fewer replicas in sync I/O is suspended (default 1)", KIND_NUMBER,
	 offsetof(struct volume_policy, min_in_sync), 1, SET_REPLICAS_MAX},
	{"answer-deadline", "SECONDS", "a replica that owes an answer for so long is evicted (default 3, at least 0.1)",
	 KIND_MS, offsetof(struct volume_policy, answer_deadline_ms), 100, SECONDS_MAX * 1000},
	{"resync-rate", "BYTES", "compared a second while a replica rejoins (default: as fast as it goes)", KIND_RATE,
	 offsetof(struct volume_policy, resync_rate), 0, 0},
	{"slow-factor", "N", "a replica so many times slower than the fastest is evicted; or never (default 16)",
	 KIND_FACTOR, offsetof(struct volume_policy, slow_factor), 2, 1000000},
	{"slow-time", "SECONDS", "... once it was so slow for this time (default 10)", KIND_SECONDS,
	 offsetof(struct volume_policy, slow_time), 1, SECONDS_MAX},
	{"slow-rest", "SECONDS", "... and is not taken back before this time (default 60)", KIND_SECONDS,
	 offsetof(struct volume_policy, slow_rest), 1, SECONDS_MAX},
};

const char *policy_key(unsigned nth)
{
	return rows[nth].key;
}

const char *policy_arg(unsigned nth)
{
	return rows[nth].arg;
}

const char *policy_help(unsigned nth)
{
	return rows[nth].help;
}

static void *target(const struct volume_policy *policy, unsigned nth)
{
	return (char *)policy + rows[nth].offset;
}

static int take_number(unsigned nth, const char *text, uint32_t *ret, struct err *err)
{
	bool is_time = rows[nth].kind == KIND_SECONDS;
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end)
		return err_set(err, -EINVAL, "'%.64s' is not a number%s%s", text, is_time ? " of seconds" : "",
			       rows[nth].kind == KIND_FACTOR ? ", nor never" : "");
	if (errno || value < rows[nth].min || value > rows[nth].max)
		return err_set(err, -EINVAL, "%.32s is out of range, %" PRIu32 " to %" PRIu32 "%s is allowed", text,
			       rows[nth].min, rows[nth].max, is_time ? " seconds" : "");
	*ret = (uint32_t)value;
	return 0;
}

/* Seconds with a fraction. */
static int take_ms(unsigned nth, const char *text, uint32_t *ret, struct err *err)
{
	char *end;
	double seconds = strtod(text, &end);

	if (*text < '0' || *text > '9' || strspn(text, "0123456789.") != strlen(text) || *end)
		return err_set(err, -EINVAL, "'%.64s' is not a number of seconds", text);
	if (seconds < rows[nth].min / 1000. || seconds > rows[nth].max / 1000.)
		return err_set(err, -EINVAL, "%.32s is out of range, %g to %g seconds is allowed", text,
			       rows[nth].min / 1000., rows[nth].max / 1000.);
	*ret = (uint32_t)(seconds * 1000 + 0.5);
	return 0;
}

static int take_rate(const char *text, uint64_t *ret, struct err *err)
{
	uint64_t value = 0;
	int error = size_parse(text, &value);

	if (error == -EINVAL)
		return err_set(err, -EINVAL, "'%.64s' is not a size; write bytes a second, or e.g. 100M", text);
	/* Less than a region a second would look like standing still. */
	if (error || value < REGION_BYTES || value > TIB)
		return err_set(err, -EINVAL, "%.32s is out of range, 1M to 1T a second is allowed", text);
	*ret = value;
	return 0;
}

static int take_no_quorum(const char *text, enum no_quorum *ret, struct err *err)
{
	if (!strcmp(text, "suspend"))
		*ret = NO_QUORUM_SUSPEND;
	else if (!strcmp(text, "error"))
		*ret = NO_QUORUM_ERROR;
	else
		return err_set(err, -EINVAL, "'%.64s' is neither suspend nor error", text);
	return 0;
}

int policy_take(struct volume_policy *policy, unsigned nth, const char *text, struct err *err)
{
	switch (rows[nth].kind) {
	case KIND_NO_QUORUM:
		return take_no_quorum(text, target(policy, nth), err);
	case KIND_RATE:
		return take_rate(text, target(policy, nth), err);
	case KIND_MS:
		return take_ms(nth, text, target(policy, nth), err);
	case KIND_FACTOR:
		if (!strcmp(text, "never")) {
			policy->slow_factor = POLICY_NEVER;
			return 0;
		}
		return take_number(nth, text, target(policy, nth), err);
	default:
		return take_number(nth, text, target(policy, nth), err);
	}
}

bool policy_give(const struct volume_policy *policy, unsigned nth, char out[POLICY_TEXT_CHARS])
{
	char size[SIZE_TEXT_CHARS];
	uint32_t number;

	if (rows[nth].kind == KIND_NO_QUORUM) {
		snprintf(out, POLICY_TEXT_CHARS, "%s", policy->on_no_quorum == NO_QUORUM_ERROR ? "error" : "suspend");
		return policy->on_no_quorum != NO_QUORUM_UNSAID;
	}
	if (rows[nth].kind == KIND_RATE) {
		size_format(policy->resync_rate, size);
		snprintf(out, POLICY_TEXT_CHARS, "%s", size);
		return policy->resync_rate != 0;
	}
	memcpy(&number, target(policy, nth), sizeof(number));
	if (rows[nth].kind == KIND_FACTOR && number == POLICY_NEVER)
		snprintf(out, POLICY_TEXT_CHARS, "never");
	else if (rows[nth].kind == KIND_MS)
		snprintf(out, POLICY_TEXT_CHARS, "%.9g", number / 1000.);
	else
		snprintf(out, POLICY_TEXT_CHARS, "%" PRIu32, number);
	return number != 0;
}

/* By their words, so that the table alone knows the fields. */
void policy_merge(struct volume_policy *base, const struct volume_policy *over)
{
	char text[POLICY_TEXT_CHARS];
	struct err err;
	int error = 0;

	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
		if (policy_give(over, i, text))
			error |= policy_take(base, i, text, &err);
	}
	assert(!error); /* it was taken before */
}

void policy_apply(const struct volume_policy *policy, struct engine_options *options)
{
	if (policy->on_no_quorum)
		options->fails_without_quorum = policy->on_no_quorum == NO_QUORUM_ERROR;
	if (policy->quorum_deadline)
		options->quorum_wait_ns = policy->quorum_deadline * NS;
	if (policy->min_in_sync)
		options->min_in_sync = policy->min_in_sync;
	if (policy->answer_deadline_ms)
		options->answer_deadline_ns = policy->answer_deadline_ms * (NS / 1000);
	if (policy->resync_rate)
		options->resync_bytes_per_s = policy->resync_rate;
	if (policy->slow_factor)
		options->slow_factor = policy->slow_factor == POLICY_NEVER ? 0 : policy->slow_factor;
	if (policy->slow_time)
		options->slow_ns = policy->slow_time * NS;
	if (policy->slow_rest)
		options->slow_rest_ns = policy->slow_rest * NS;
}

void policy_fill(struct volume_policy *policy)
{
	struct engine_options defaults;
	struct volume_policy all;

	engine_options_default(&defaults);
	all = (struct volume_policy){
		.on_no_quorum = defaults.fails_without_quorum ? NO_QUORUM_ERROR : NO_QUORUM_SUSPEND,
		.quorum_deadline = (uint32_t)(defaults.quorum_wait_ns / NS),
		.min_in_sync = defaults.min_in_sync,
		.answer_deadline_ms = (uint32_t)(defaults.answer_deadline_ns / (NS / 1000)),
		.resync_rate = defaults.resync_bytes_per_s,
		.slow_factor = defaults.slow_factor ? defaults.slow_factor : POLICY_NEVER,
		.slow_time = (uint32_t)(defaults.slow_ns / NS),
		.slow_rest = (uint32_t)(defaults.slow_rest_ns / NS),
	};
	policy_merge(&all, policy);
	*policy = all;
}
