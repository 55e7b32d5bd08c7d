/* From the words of `volume create` to the volume: which server holds a replica of which set, and each set's first
 * config. Pure: no files, no sockets, identities come from outside. */
#ifndef GATEWAY_CLI_PLAN_H
#define GATEWAY_CLI_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/cli/options.h"
#include "gateway/core/volume.h"
#include "proto/config.h"

struct plan_request {
	const char *name;
	uint64_t size_bytes, block_bytes, chunk_bytes;
	uint64_t set_count;	       /* 0: not said */
	struct text_list replicas;     /* "[NAME=]HOST[:PORT]" */
	struct text_list replica_sets; /* each "X,Y,...": X a NAME of `replicas`, or "[NAME=]HOST:PORT" */
	struct text_list witnesses;    /* "[NAME=]HOST[:PORT]" or a NAME: each votes where it keeps no replica */
	struct text_list policy;       /* "KEY=VALUE", of gateway/core/policy.h */
	bool no_witness;	       /* two replicas without one are wanted */
};

/* One fresh uuid per call. */
typedef struct uuid (*plan_uuid_fn)(void *ctx);

/* Without replica_sets every set has a replica on every server. 0, or -EINVAL with the option, the reason and what
 * would be right. `*ret` passes volume_spec_check(). */
int plan_volume(const struct plan_request *request, plan_uuid_fn next_uuid, void *ctx, struct volume_spec *ret,
		struct err *err) must_check;

/* The config a set starts with: epoch 0, gen 1, every replica in sync. */
void plan_config(const struct volume_spec *spec, unsigned set, struct config *ret);

/* What a person should know about this layout, or NULL. Static text. */
const char *plan_advice(const struct volume_spec *spec);

#endif
