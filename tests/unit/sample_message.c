/* The sample messages that tests of the codec share. Knows proto/ alone. Not on any request's path. */
#include "tests/unit/sample_message.h"

#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

struct replica_info sample_replica(uint8_t first)
{
	return (struct replica_info){
		.volume_name = "data-1",
		.volume_uuid = sample_uuid(1),
		.set_uuid = sample_uuid(2),
		.replica_uuid = sample_uuid(first),
		.set_index = 1,
		.gen = 7,
		.epoch = 9,
		.set_bytes = 5 * GIB,
		.allocated_bytes = 1 * MIB,
		.session_open = true,
		.is_witness = true,
		.health = "ok",
	};
}

static struct message_hello sample_hello(void)
{
	return (struct message_hello){
		.version = PROTOCOL_VERSION,
		.features = 0x8000000000000001,
		.role = HELLO_BULK,
		.volume_uuid = sample_uuid(1),
		.set_uuid = sample_uuid(2),
		.replica_uuid = sample_uuid(3),
		.client = "node-1/lockstep-gateway[77]",
	};
}

static struct message_welcome sample_welcome(void)
{
	return (struct message_welcome){
		.version = PROTOCOL_VERSION,
		.features = 2,
		.incarnation = 0xfedcba9876543210,
		.boot_id = sample_uuid(4),
		.payload_max_bytes = IO_BYTES_MAX,
		.server = "node-2",
	};
}

static struct message_state sample_state(void)
{
	return (struct message_state){
		.promised = {.epoch = 9, .nonce = 10},
		.incarnation = 11,
		.boot_id = sample_uuid(5),
		.lease_left_ms = 12,
		.list_is_everything = true,
		.unstable_extents = 13,
		.life = (3ull << 32) + 4,
		.config = sample_config(),
	};
}

static struct message_create sample_create(void)
{
	return (struct message_create){
		.volume_name = "data-1.x_y", .replica_uuid = sample_uuid(0x20), .config = sample_config()};
}

static struct message_regions sample_regions(void)
{
	struct message_regions regions = {.more = true, .next = 12, .count = 2};

	regions.runs[0] = (struct region_run){.first = 3, .count = 4, .gen = 5};
	regions.runs[1] = (struct region_run){.first = 7, .count = 1, .gen = UINT32_MAX};
	return regions;
}

static struct message_digested sample_digested(void)
{
	struct message_digested digested = {.offset = 3 * DIGEST_PIECE_BYTES, .count = 2};

	for (unsigned i = 0; i < DIGEST_BYTES; i++) {
		digested.digests[0][i] = (uint8_t)(0x10 + i);
		digested.digests[1][i] = (uint8_t)(0xf0 + i);
	}
	return digested;
}

/* The kinds from HEARTBEAT on. */
static void fill_membership(struct message *message, struct ballot ballot)
{
	switch (message->kind) {
	case MESSAGE_HEARTBEAT:
	case MESSAGE_FORGET:
		message->promise.ballot = ballot;
		break;
	case MESSAGE_LIST_REGIONS:
	case MESSAGE_STAMPED_REGIONS:
		message->regions_ask = (struct message_regions_ask){.ballot = ballot, .from = 77, .above_gen = 6};
		break;
	case MESSAGE_REGIONS:
		message->regions = sample_regions();
		break;
	case MESSAGE_STAMP:
		message->stamp = (struct message_stamp){.ballot = ballot, .sync = true, .count = 2};
		message->stamp.runs[0] = (struct region_run){.first = 1, .count = 2, .gen = 5};
		message->stamp.runs[1] = (struct region_run){.first = 3, .count = 1, .gen = 6};
		break;
	case MESSAGE_DIGEST:
		message->digest =
			(struct message_digest){.ballot = ballot, .offset = 3 * DIGEST_PIECE_BYTES, .length = 70000};
		break;
	case MESSAGE_DIGESTED:
		message->digested = sample_digested();
		break;
	default:
		break;
	}
}

struct message sample_message(enum message_kind kind)
{
	const struct ballot ballot = {.epoch = 9, .nonce = 0x8182838485868788};
	struct message message = {.kind = kind};

	switch (kind) {
	case MESSAGE_HELLO:
		message.hello = sample_hello();
		break;
	case MESSAGE_WELCOME:
		message.welcome = sample_welcome();
		break;
	case MESSAGE_REFUSED:
		message.refused = (struct message_refused){.refusal = REFUSAL_STALE_EPOCH,
							   .seen = ballot,
							   .text = "set 2: epoch 9 was promised; attach again"};
		break;
	case MESSAGE_STATE:
		message.state = sample_state();
		break;
	case MESSAGE_PROMISE:
	case MESSAGE_CLAIM:
		message.promise.ballot = ballot;
		break;
	case MESSAGE_ACCEPT:
	case MESSAGE_SEED:
		message.accept = (struct message_accept){.ballot = ballot, .config = sample_config()};
		break;
	case MESSAGE_ACCEPTED:
		message.accepted.gen = 8;
		break;
	case MESSAGE_OPEN:
	case MESSAGE_JOIN:
		message.open = (struct message_open){.ballot = ballot, .session = 3};
		break;
	case MESSAGE_OPENED:
	case MESSAGE_JOINED:
		message.opened = (struct message_opened){.session = 3, .incarnation = 4, .boot_id = sample_uuid(6)};
		break;
	case MESSAGE_CREATE:
	case MESSAGE_REPLACE:
		message.create = sample_create();
		break;
	case MESSAGE_LIST:
		message.list.after = sample_uuid(7);
		break;
	case MESSAGE_LISTING:
		message.listing.more = true;
		message.listing.count = 2;
		message.listing.replicas[0] = sample_replica(8);
		message.listing.replicas[1] = sample_replica(9);
		break;
	case MESSAGE_DELETE:
		message.delete = (struct message_delete){.volume_uuid = sample_uuid(1), .replica_uuid = sample_uuid(3)};
		break;
	default:
		fill_membership(&message, ballot);
	}
	return message;
}

int sample_pack(const struct message *message, uint8_t out[MESSAGE_BYTES_MAX])
{
	return codec_pack(message, out, MESSAGE_BYTES_MAX);
}

void check_unpacks(const uint8_t *bytes, int len, struct message *ret)
{
	const char *reason = NULL;
	int error;

	CHECK_TRUE(len >= 0);
	memset(ret, 0xaa, sizeof(*ret));
	error = codec_unpack(bytes, (size_t)len, ret, &reason);
	if (error)
		CHECK_FAIL("refused: %s", reason);
}
