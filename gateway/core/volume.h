/* What a volume is made of, as the engine is told at attach: read from the volume's file, checked once, never changed.
 */
#ifndef GATEWAY_CORE_VOLUME_H
#define GATEWAY_CORE_VOLUME_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/uuid.h"
#include "gateway/core/policy.h"
#include "proto/config.h"

struct replica_spec {
	struct uuid uuid;
	enum voter_kind kind;
	char name[VOLUME_NAME_MAX + 1];	     /* short, for people: "a", "node3" */
	char address[ADDRESS_CHARS_MAX + 1]; /* host:port */
};

struct set_spec {
	struct uuid uuid;
	unsigned replica_count;
	struct replica_spec replicas[SET_VOTERS_MAX];
};

struct volume_spec {
	char name[VOLUME_NAME_MAX + 1];
	struct uuid uuid;
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint32_t chunk_bytes; /* of the stripe; meaningless but valid when set_count is 1 */
	unsigned set_count;
	struct set_spec sets[SET_COUNT_MAX];
	struct volume_policy policy; /* the drivers make engine_options of it */
};

/* 0 or -EINVAL: name, sizes (block multiple, maxima), chunk, at least one data replica a set, duplicate uuids or
 * addresses within a set, legs in total, min-in-sync. Each refusal names the object. Pure. */
int volume_spec_check(const struct volume_spec *spec, struct err *err) must_check;

/* Bytes of set `set` (sets differ by at most one chunk, the last chunk may be partial). Pure. */
uint64_t volume_set_bytes(const struct volume_spec *spec, unsigned set);

/* Checks an adopted config against the spec: uuids, geometry, voters. 0 or -EINVAL with the object and reason. */
int volume_spec_match(const struct volume_spec *spec, unsigned set, const struct config *config, struct err *err)
	must_check;

/* Voters are legs, witnesses included, numbered through all sets (gateway/core/engine.h). Pure. */
unsigned volume_leg_count(const struct volume_spec *spec);
/* Lends the replica of `leg` (< volume_leg_count()); `ret_set` may be NULL. */
const struct replica_spec *volume_leg_replica(const struct volume_spec *spec, unsigned leg, unsigned *ret_set);

/* Replicas that hold data, of one set; of the volume, and its witnesses (one per set each). Pure. */
unsigned volume_set_data_count(const struct set_spec *set);
void volume_kind_counts(const struct volume_spec *spec, unsigned *ret_replicas, unsigned *ret_witnesses);

/* host:port with the port that the volume's file may leave out, as configs store it. Pure. */
void volume_replica_address(const struct replica_spec *replica, char out[ADDRESS_CHARS_MAX + 1]);

#endif
