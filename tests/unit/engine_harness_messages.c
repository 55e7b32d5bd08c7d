/* The harness's replicas: how each kind of control message is answered, from the few numbers that they remember. */
#include "tests/unit/engine_harness_messages.h"

#include <string.h>

#include "tests/unit/check.h"

static void fill_state(const struct harness_replica *replica, struct message *answer)
{
	answer->kind = MESSAGE_STATE;
	answer->state = (struct message_state){
		.promised = replica->promised,
		.incarnation = replica->incarnation,
		.boot_id = replica->boot_id,
		.lease_left_ms = replica->lease_left_ms,
		.life = replica->life,
		.is_blank = replica->is_blank,
		.config = replica->config,
	};
}

static void fill_opened(const struct harness_replica *replica, enum message_kind kind, struct message *answer)
{
	answer->kind = kind;
	answer->opened = (struct message_opened){replica->session, replica->incarnation, replica->boot_id};
}

static void fill_refused(const struct harness_replica *replica, enum refusal refusal, struct message *answer)
{
	answer->kind = MESSAGE_REFUSED;
	answer->refused = (struct message_refused){.refusal = refusal, .seen = replica->promised, .text = "for a test"};
}

static bool is_promised(const struct harness_replica *replica, const struct ballot *ballot)
{
	return replica->promised.epoch == ballot->epoch && replica->promised.nonce == ballot->nonce;
}

/* R1. */
static void promise(struct harness_replica *replica, const struct ballot *ballot, struct message *answer)
{
	if (ballot->epoch < replica->promised.epoch ||
	    (ballot->epoch == replica->promised.epoch && ballot->nonce != replica->promised.nonce)) {
		fill_refused(replica, REFUSAL_STALE_EPOCH, answer);
		return;
	}
	if (ballot->epoch > replica->promised.epoch)
		replica->session = 0;
	replica->promised = *ballot;
	fill_state(replica, answer);
}

/* A page of at most two runs, so that pages follow each other. */
static void fill_regions(const struct harness_replica *replica, const struct harness_message *asked,
			 struct message *answer)
{
	struct message_regions *regions = &answer->regions;
	bool of_list = asked->kind == MESSAGE_LIST_REGIONS;
	uint64_t i;

	answer->kind = MESSAGE_REGIONS;
	*regions = (struct message_regions){.everything = of_list && replica->list_is_everything};
	for (i = asked->regions_ask.from; i < HARNESS_REGIONS && regions->count < 2 && !regions->everything; i++) {
		if (of_list ? replica->list[i] : replica->stamps[i] > asked->regions_ask.above_gen)
			regions->runs[regions->count++] =
				(struct region_run){.first = i, .count = 1, .gen = of_list ? 0 : replica->stamps[i]};
	}
	regions->more = i < HARNESS_REGIONS && regions->count == 2;
	regions->next = i;
}

static void stamp(struct harness_replica *replica, const struct message_stamp *asked)
{
	for (uint32_t i = 0; i < asked->count; i++) {
		for (uint64_t r = asked->runs[i].first; r < asked->runs[i].first + asked->runs[i].count; r++) {
			CHECK_TRUE(r < HARNESS_REGIONS);
			if (replica->stamps[r] < asked->runs[i].gen)
				replica->stamps[r] = asked->runs[i].gen;
		}
	}
	replica->syncs += asked->sync;
}

static void fill_digests(struct harness *harness, const struct harness_message *asked, struct message *answer)
{
	struct message_digested *digested = &answer->digested;

	answer->kind = MESSAGE_DIGESTED;
	memset(digested, 0, sizeof(*digested));
	digested->offset = asked->digest.offset;
	digested->count = (uint32_t)((asked->digest.length + DIGEST_PIECE_BYTES - 1) / DIGEST_PIECE_BYTES);
	for (uint32_t i = 0; harness->digest && i < digested->count; i++) {
		uint64_t value = harness->digest(harness, asked->leg, asked->digest.offset / DIGEST_PIECE_BYTES + i);

		memcpy(digested->digests[i], &value, sizeof(value));
	}
}

static void accept(struct harness_replica *replica, const struct harness_message *asked, struct message *answer)
{
	int order = config_compare(&asked->config, &replica->config);

	CHECK_TRUE(order > 0 || (order == 0 && asked->config.ballot.nonce == replica->config.ballot.nonce));
	replica->config = asked->config;
	replica->accepts++;
	answer->kind = MESSAGE_ACCEPTED;
	answer->accepted.gen = asked->config.gen;
}

static void seed(struct harness_replica *replica, const struct harness_message *asked, struct message *answer)
{
	CHECK_TRUE(replica->is_blank);
	replica->config = asked->config;
	replica->life = 0;
	for (unsigned i = 0; i < asked->config.voter_count; i++)
		replica->life =
			asked->config.voters[i].life > replica->life ? asked->config.voters[i].life : replica->life;
	replica->is_blank = false;
	replica->seeds++;
	answer->kind = MESSAGE_SEEDED;
}

static void welcome(const struct harness_replica *replica, const struct harness_message *asked, struct message *answer)
{
	answer->kind = MESSAGE_WELCOME;
	answer->welcome = (struct message_welcome){
		.version = replica->version,
		.incarnation = replica->incarnation,
		.boot_id = replica->boot_id,
		.payload_max_bytes = replica->payload_max_bytes,
	};
	if (asked->lane == LANE_BULK && replica->bulk_incarnation)
		answer->welcome.incarnation = replica->bulk_incarnation;
}

/* What a replica-server does with it. */
static void answer_message(struct harness *harness, struct harness_replica *replica,
			   const struct harness_message *asked, struct message *answer)
{
	if (replica->is_blank && asked->kind != MESSAGE_HELLO && asked->kind != MESSAGE_PROBE &&
	    asked->kind != MESSAGE_CLAIM && asked->kind != MESSAGE_SEED) {
		fill_refused(replica, REFUSAL_BLANK, answer);
		return;
	}
	if (asked->kind != MESSAGE_HELLO && asked->kind != MESSAGE_PROBE && asked->kind != MESSAGE_PROMISE &&
	    asked->kind != MESSAGE_CLAIM && !is_promised(replica, &asked->ballot)) {
		fill_refused(replica, REFUSAL_STALE_EPOCH, answer);
		return;
	}
	switch (asked->kind) {
	case MESSAGE_HELLO:
		welcome(replica, asked, answer);
		break;
	case MESSAGE_PROBE:
		fill_state(replica, answer);
		break;
	case MESSAGE_PROMISE:
	case MESSAGE_CLAIM:
		promise(replica, &asked->ballot, answer);
		break;
	case MESSAGE_ACCEPT:
		accept(replica, asked, answer);
		break;
	case MESSAGE_SEED:
		seed(replica, asked, answer);
		break;
	case MESSAGE_OPEN:
		CHECK_TRUE(asked->session > replica->session);
		replica->session = asked->session;
		fill_opened(replica, MESSAGE_OPENED, answer);
		break;
	case MESSAGE_JOIN:
		CHECK_EQ_U64(replica->session, asked->session);
		fill_opened(replica, MESSAGE_JOINED, answer);
		break;
	case MESSAGE_HEARTBEAT:
		replica->heartbeats++;
		answer->kind = MESSAGE_BEAT;
		break;
	case MESSAGE_LIST_REGIONS:
	case MESSAGE_STAMPED_REGIONS:
		fill_regions(replica, asked, answer);
		break;
	case MESSAGE_STAMP:
		stamp(replica, &asked->stamp);
		answer->kind = MESSAGE_STAMPED;
		break;
	case MESSAGE_DIGEST:
		fill_digests(harness, asked, answer);
		break;
	case MESSAGE_FORGET:
		replica->forgets++;
		memset(replica->list, 0, sizeof(replica->list));
		answer->kind = MESSAGE_FORGOTTEN;
		break;
	default:
		CHECK_FAIL("the engine sent a %s", message_kind_name(asked->kind));
	}
}

/* What comes after an unanswered request on a connection waits as well. */
static bool is_mute(struct harness *harness, unsigned index)
{
	const struct harness_message *asked = &harness->messages[index];
	const struct harness_replica *replica = &harness->replicas[asked->leg];

	for (unsigned i = 0; i <= index; i++) {
		const struct harness_message *earlier = &harness->messages[i];

		if (earlier->leg == asked->leg && earlier->lane == asked->lane && earlier->kind != 0 &&
		    (replica->is_silent || replica->mute_on == earlier->kind))
			return true;
	}
	return false;
}

bool harness_pump_message(struct harness *harness)
{
	static struct message answer; /* large, as the next one */
	static struct harness_message asked;
	struct harness_replica *replica;

	for (unsigned i = 0; i < harness->message_count; i++) {
		asked = harness->messages[i];
		replica = &harness->replicas[asked.leg];
		if (asked.kind != 0 && is_mute(harness, i))
			continue;
		memmove(&harness->messages[i], &harness->messages[i + 1],
			(--harness->message_count - i) * sizeof(asked));
		if (asked.kind == 0)
			return true;
		if (harness->on_asked)
			harness->on_asked(harness, &asked);
		if (replica->refuse_on == asked.kind) {
			fill_refused(replica, replica->refusal, &answer);
		} else {
			answer_message(harness, replica, &asked, &answer);
		}
		engine_message(harness->engine, asked.leg, asked.lane, &answer);
		return true;
	}
	return false;
}

void harness_stamp_frame(struct harness_replica *replica, const struct frame *frame)
{
	struct message_stamp as_message = {.count = 1};

	as_message.runs[0].first = frame->offset / REGION_BYTES;
	as_message.runs[0].count =
		(uint32_t)((frame->offset + frame->length - 1) / REGION_BYTES - frame->offset / REGION_BYTES + 1);
	as_message.runs[0].gen = frame->gen;
	stamp(replica, &as_message);
}
