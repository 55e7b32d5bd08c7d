/* What the tests of replication begin with: sets of a few replicas, what they hold, and what was attached before. */
#ifndef TESTS_UNIT_ENGINE_SCENE_H
#define TESTS_UNIT_ENGINE_SCENE_H

#include "tests/unit/engine_harness.h"

/* What a piece of a replica's data is, for its digest. */
typedef uint64_t scene_contents[HARNESS_REGIONS * DIGEST_PIECES_MAX];

/* Replaces what `harness` had before; `contents` (one a leg) becomes zeros and is borrowed. Nothing is attached. */
void scene_make(struct harness *harness, scene_contents *contents, const struct volume_spec *spec,
		const struct engine_options *options);
/* Two replicas and a witness. */
void scene_pair(struct harness *harness, scene_contents *contents, const struct engine_options *options);
void scene_three(struct harness *harness, scene_contents *contents, const struct engine_options *options);

void scene_wait(struct harness *harness, uint64_t ns);
void scene_attach(struct harness *harness);
/* After an attachment of somebody: who was in, as which process. */
void scene_was_attached(struct harness *harness, uint8_t in);
/* Well, to the first unanswered frame of `type`. */
void scene_answer(struct harness *harness, unsigned leg, uint8_t type);
/* A pair is attached; replica 1 was away while region 3 was written, where it differs, and can be reached again. No
 * FLUSH but those of the test. */
void scene_leave_and_return(struct harness *harness, scene_contents *contents);
/* What one replica's config says of a voter. */
const struct voter *scene_voter(const struct harness *harness, unsigned in_config_of, unsigned leg);

#endif
