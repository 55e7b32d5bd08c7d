/* Scenes for the tests of replication. */
#include "tests/unit/engine_scene.h"

#include <string.h>

#include "tests/unit/check.h"

static uint64_t digest(struct harness *harness, unsigned leg, uint64_t piece)
{
	const scene_contents *contents = harness->test;

	return contents[leg][piece];
}

void scene_make(struct harness *harness, scene_contents *contents, const struct volume_spec *spec,
		const struct engine_options *options)
{
	memset(contents, 0, LEG_COUNT_MAX * sizeof(*contents));
	harness_fini(harness);
	harness_init(harness, spec, options);
	harness->digest = digest;
	harness->test = contents;
}

void scene_pair(struct harness *harness, scene_contents *contents, const struct engine_options *options)
{
	struct volume_spec spec = harness_spec_with_witness(1, 2);

	scene_make(harness, contents, &spec, options);
}

void scene_three(struct harness *harness, scene_contents *contents, const struct engine_options *options)
{
	struct volume_spec spec = harness_spec(1, 3);

	scene_make(harness, contents, &spec, options);
}

void scene_wait(struct harness *harness, uint64_t ns)
{
	harness_tick(harness, ns);
	harness_pump(harness);
}

void scene_attach(struct harness *harness)
{
	engine_attach(harness->engine);
	harness_pump(harness);
}

void scene_was_attached(struct harness *harness, uint8_t in)
{
	for (unsigned i = 0; i < volume_leg_count(&harness->spec); i++) {
		struct config *config = &harness->replicas[i].config;

		config->gen = 5;
		config->ballot = harness->replicas[i].promised = (struct ballot){3, 33};
		for (unsigned j = 0; j < config->voter_count; j++) {
			struct voter *voter = &config->voters[j];

			if (voter->kind != VOTER_REPLICA)
				continue;
			voter->state = in & 1u << j ? VOTER_IN : VOTER_OUT;
			voter->in_sync_gen = in & 1u << j ? 5 : 3;
			voter->incarnation = harness->replicas[j].incarnation;
			voter->boot_id = harness->replicas[j].boot_id;
		}
	}
}

void scene_answer(struct harness *harness, unsigned leg, uint8_t type)
{
	struct harness_sent *sent = harness_find(harness, leg, type);

	CHECK_NOT_NULL(sent);
	harness_answer(harness, sent, WIRE_OK);
}

const struct voter *scene_voter(const struct harness *harness, unsigned in_config_of, unsigned leg)
{
	return &harness->replicas[in_config_of].config.voters[leg];
}

void scene_leave_and_return(struct harness *harness, scene_contents *contents)
{
	struct engine_options options = harness_options();

	options.sync_interval_ns = UINT64_MAX; /* no FLUSH but those of the test */
	scene_pair(harness, contents, &options);
	scene_attach(harness);
	harness_kill(harness, 1);
	harness_submit(harness, 0, REQUEST_WRITE, 0, 3 * MIB, 4096);
	harness_answer_all(harness);
	CHECK_EQ_U64(0, harness->pending);
	contents[0][3 * DIGEST_PIECES_MAX] = 7;
	harness->replicas[1].is_reachable = true;
}
