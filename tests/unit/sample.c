/* The sample that tests of configs and messages share. Knows proto/config.h alone. Not on any request's path. */
#include "tests/unit/sample.h"

struct uuid sample_uuid(uint8_t first)
{
	struct uuid uuid;

	for (unsigned i = 0; i < sizeof(uuid.bytes); i++)
		uuid.bytes[i] = (uint8_t)(first + i);
	return uuid;
}

struct config sample_config(void)
{
	return (struct config){
		.volume_uuid = sample_uuid(0x01),
		.set_uuid = sample_uuid(0x10),
		.set_index = 1,
		.set_count = 2,
		.block_bytes = 4096,
		.chunk_bytes = 1 * MIB,
		.set_bytes = 5 * GIB,
		.volume_bytes = 10 * GIB,
		.ballot = {.epoch = 9, .nonce = 0x8182838485868788},
		.gen = 7,
		.loss_count = 3,
		.voter_count = 3,
		.voters =
			{
				{.uuid = sample_uuid(0x20),
				 .kind = VOTER_REPLICA,
				 .address = "a.example:7420",
				 .state = VOTER_IN,
				 .compare = COMPARE_STAMPS,
				 .in_sync_gen = 7,
				 .incarnation = 0x0102030405060708,
				 .boot_id = sample_uuid(0x30)},
				{.uuid = sample_uuid(0x40),
				 .kind = VOTER_REPLICA,
				 .address = "[fe80::2]:7421",
				 .state = VOTER_OUT,
				 .compare = COMPARE_ITS_LIST,
				 .in_sync_gen = 6,
				 .incarnation = 0x1112131415161718,
				 .boot_id = sample_uuid(0x50)},
				{.uuid = sample_uuid(0x60),
				 .kind = VOTER_WITNESS,
				 .address = "10.0.0.3:7422",
				 .state = VOTER_OUT},
			},
	};
}
