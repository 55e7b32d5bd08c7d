/* Every refusal of a volume's spec, and of a config that is not the volume's. */
#include "gateway/core/volume.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/engine_harness.h"

static struct volume_spec spec;
static struct config config;
static struct err err;

static void start(void)
{
	spec = harness_spec(2, 2);
	config = (struct config){
		.volume_uuid = spec.uuid,
		.set_uuid = spec.sets[1].uuid,
		.set_index = 1,
		.set_count = 2,
		.block_bytes = 4096,
		.chunk_bytes = MIB,
		.set_bytes = 8 * MIB,
		.volume_bytes = 16 * MIB,
		.gen = 1,
		.voter_count = 2,
	};
	for (unsigned i = 0; i < 2; i++) {
		config.voters[i].uuid = spec.sets[1].replicas[i].uuid;
		config.voters[i].kind = VOTER_REPLICA;
	}
}

static void set_text(char *field, const char *text)
{
	memcpy(field, text, strlen(text) + 1); /* short literals, and every field holds more */
}

static void refused(const char *why)
{
	CHECK_ERRNO(-EINVAL, volume_spec_check(&spec, &err));
	CHECK_STR_HAS(why, err.text);
	start();
}

static void mismatched(const char *why)
{
	CHECK_ERRNO(-EINVAL, volume_spec_match(&spec, 1, &config, &err));
	CHECK_STR_HAS(why, err.text);
	start();
}

static void a_good_spec_passes(void)
{
	start();
	CHECK_OK(volume_spec_check(&spec, &err));
	CHECK_OK(volume_spec_match(&spec, 1, &config, &err));
}

static void names_are_plain(void)
{
	start();
	set_text(spec.name, "");
	refused("volume name");
	set_text(spec.name, "../etc");
	refused("volume name");
	set_text(spec.sets[1].replicas[0].name, "a b");
	refused("replica's name");
}

static void sizes_have_limits_and_are_whole_blocks(void)
{
	start();
	spec.size_bytes = 0;
	refused("size 0");
	spec.size_bytes = VOLUME_BYTES_MAX + 4096;
	refused("at most");
	spec.size_bytes = 16 * MIB + 512;
	refused("multiple of the block size 4096");
	spec.block_bytes = 1024;
	refused("block size 1024");
	spec.chunk_bytes = 3 * MIB;
	refused("power of two");
	spec.chunk_bytes = CHUNK_BYTES_MIN / 2;
	refused("chunk 32768");
	spec.chunk_bytes = CHUNK_BYTES_MAX * 2;
	refused("chunk");
}

static void every_set_has_replicas_and_bytes(void)
{
	start();
	spec.set_count = 0;
	refused("0 mirror sets");
	spec.set_count = SET_COUNT_MAX + 1;
	refused("17 mirror sets");
	spec.sets[1].replica_count = 0;
	refused("set 1: 0 replicas");
	spec.sets[1].replica_count = SET_REPLICAS_MAX + 1;
	refused("set 1: 6 replicas");
	spec.size_bytes = MIB;
	refused("too small to reach it");
	spec.sets[1].uuid = (struct uuid){{0}};
	refused("set 1: has no uuid");
	spec.uuid = (struct uuid){{0}};
	refused("has no uuid");
}

static void replicas_are_told_apart(void)
{
	start();
	spec.sets[0].replicas[1].uuid = spec.sets[0].replicas[0].uuid;
	refused("same uuid");
	set_text(spec.sets[0].replicas[1].name, spec.sets[0].replicas[0].name);
	refused("two replicas are named r0");
	set_text(spec.sets[0].replicas[1].address, "10.0.0.1");
	refused("same address");
	spec.sets[1].replicas[1].uuid = spec.sets[0].replicas[0].uuid;
	refused("stands in two sets");
	spec.sets[1].uuid = spec.sets[0].uuid;
	refused("same uuid");
	spec.sets[0].replicas[0].uuid = (struct uuid){{0}};
	refused("replica r0: has no uuid");
	set_text(spec.sets[0].replicas[0].address, "");
	refused("replica r0");
	spec.sets[0].replicas[0].kind = (enum voter_kind)9;
	refused("replica r0: is neither replica nor witness");
	for (unsigned i = 0; i < spec.sets[0].replica_count; i++)
		spec.sets[0].replicas[i].kind = VOTER_WITNESS;
	refused("set 0: 0 replicas");
	spec.sets[0].replicas[0].kind = VOTER_WITNESS;
	CHECK_OK(volume_spec_check(&spec, &err));
}

static void replicas_of_different_sets_may_share_a_server(void)
{
	start();
	set_text(spec.sets[1].replicas[0].address, "10.0.0.1:7420"); /* as r0 */
	CHECK_OK(volume_spec_check(&spec, &err));
}

static void legs_in_total_have_a_limit(void)
{
	spec = harness_spec(SET_COUNT_MAX, 5);
	refused("80 replicas in total");
}

static void legs_are_numbered_through_the_sets(void)
{
	unsigned set;

	spec = harness_spec(3, 2);
	CHECK_EQ_U64(6, volume_leg_count(&spec));
	CHECK_TRUE(volume_leg_replica(&spec, 3, &set) == &spec.sets[1].replicas[1]);
	CHECK_EQ_U64(1, set);
}

static void a_config_of_another_volume_or_set_does_not_match(void)
{
	start();
	config.volume_uuid.bytes[0] ^= 1;
	mismatched("another volume");
	config.set_uuid.bytes[0] ^= 1;
	mismatched("another set");
	config.set_index = 0;
	mismatched("set 0 of 2");
}

static void a_config_of_another_geometry_does_not_match(void)
{
	start();
	config.block_bytes = 512;
	mismatched("block size");
	config.chunk_bytes = 2 * MIB;
	mismatched("chunk");
	config.volume_bytes += 4096;
	mismatched("size");
	config.set_bytes -= 4096;
	mismatched("size");
}

static void a_config_with_other_voters_does_not_match(void)
{
	start();
	config.voter_count = 1;
	mismatched("1 voters");
	config.voters[1].uuid.bytes[0] ^= 1;
	mismatched("replica r3: is not a voter");
	config.voters[0].kind = VOTER_WITNESS;
	mismatched("replica r2: is not a voter");
}

static void an_address_without_port_gets_the_default(void)
{
	char text[ADDRESS_CHARS_MAX + 1];

	start();
	set_text(spec.sets[0].replicas[0].address, "node1");
	volume_replica_address(&spec.sets[0].replicas[0], text);
	CHECK_STR("node1:7420", text);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_good_spec_passes),
	CHECK_TEST(names_are_plain),
	CHECK_TEST(sizes_have_limits_and_are_whole_blocks),
	CHECK_TEST(every_set_has_replicas_and_bytes),
	CHECK_TEST(replicas_are_told_apart),
	CHECK_TEST(replicas_of_different_sets_may_share_a_server),
	CHECK_TEST(legs_in_total_have_a_limit),
	CHECK_TEST(legs_are_numbered_through_the_sets),
	CHECK_TEST(a_config_of_another_volume_or_set_does_not_match),
	CHECK_TEST(a_config_of_another_geometry_does_not_match),
	CHECK_TEST(a_config_with_other_voters_does_not_match),
	CHECK_TEST(an_address_without_port_gets_the_default),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("volume", tests, argc, argv);
}
