/* What the operator decides about a volume's behaviour, by key and word: the keys of the volume's file and the
 * gateway's options are these, from one table. What is not said keeps the engine's default. Pure. */
#ifndef GATEWAY_CORE_POLICY_H
#define GATEWAY_CORE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"

struct engine_options;

enum no_quorum { NO_QUORUM_UNSAID, NO_QUORUM_SUSPEND, NO_QUORUM_ERROR };

#define POLICY_NEVER UINT32_MAX

/* 0 everywhere: not said. Times in seconds unless the name says more. */
struct volume_policy {
	enum no_quorum on_no_quorum;
	uint32_t quorum_deadline;
	uint32_t min_in_sync;
	uint32_t answer_deadline_ms;
	uint64_t resync_rate; /* bytes a second */
	uint32_t slow_factor; /* or POLICY_NEVER */
	uint32_t slow_time;
	uint32_t slow_rest;
};

#define POLICY_KEY_COUNT 8u
#define POLICY_TEXT_CHARS 32u

/* Names and help of key `nth` (< POLICY_KEY_COUNT); `arg` is what stands for its value. */
const char *policy_key(unsigned nth);
const char *policy_arg(unsigned nth);
const char *policy_help(unsigned nth);

/* Takes the value of key `nth`. 0, or -EINVAL with the reason (without the key: the caller knows how it was said). */
int policy_take(struct volume_policy *policy, unsigned nth, const char *text, struct err *err) must_check;
/* The value as policy_take() reads it. False: not said. */
bool policy_give(const struct volume_policy *policy, unsigned nth, char out[POLICY_TEXT_CHARS]);

/* What `over` says replaces what `base` says. */
void policy_merge(struct volume_policy *base, const struct volume_policy *over);
/* Into the engine's options, where it is said. */
void policy_apply(const struct volume_policy *policy, struct engine_options *options);
/* All of it, defaults included. */
void policy_fill(struct volume_policy *policy);

#endif
