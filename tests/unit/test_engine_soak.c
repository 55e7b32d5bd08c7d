/* Random requests, replicas and losses, against a model of what each replica has in memory, on disk and in its list.
 *
 * Every block is a register that holds the number of the request that wrote it last. Connections break, servers crash,
 * machines lose power with a part of what was not flushed, gateways die and another attaches. Checked all along: no two
 * changes of a block in flight, no completion without every replica in sync, reads never older than what was completed
 * or read before (P4), flushed writes never lost (P1); at the end everything finishes, every replica is in sync again,
 * and the mirrors are equal (P10). CHECK_SEED repeats a run. */
#include "tests/unit/engine_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"
#include "tests/unit/soak_replica.h"

#define SLOTS 24u
#define SLOTS_ALL (SLOTS + SET_COUNT_MAX + RESYNC_SLOTS)
#define LEGS_MAX 12u
#define SET_BLOCKS SOAK_BLOCKS
#define STEPS 12000u
#define WORLDS 40u

static struct soak_replica replicas[LEGS_MAX];

static struct {
	struct request request;
	uint64_t version;
	uint64_t floor[IO_BYTES_MAX / 4096];
	uint64_t seen[IO_BYTES_MAX / 4096]; /* the slot's memory */
} slots[SLOTS_ALL];

/* By block of the volume: a read that starts now must return at least this. */
static uint64_t floors[SET_COUNT_MAX * SET_BLOCKS];
/* ... and this even after all replicas lost power. */
static uint64_t flushed[SET_COUNT_MAX * SET_BLOCKS];
static uint64_t at_flush[SLOTS][SET_COUNT_MAX * SET_BLOCKS];

static struct harness h;
static struct check_random random_state;
static uint64_t next_version, next_nonce, steps_done;
static unsigned voter_count, data_count, losses;
static uint64_t totals[8]; /* evictions, rejoins, reconciled, resynced, crashes, power, gateways, reattaches */

static uint64_t below(uint64_t bound)
{
	return check_random_below(&random_state, bound);
}

static unsigned set_of(unsigned leg)
{
	return leg / voter_count;
}

static bool has_data(unsigned leg)
{
	return leg % voter_count < data_count;
}

static bool is_change(const struct frame *frame)
{
	return frame->type == FRAME_WRITE || frame->type == FRAME_DISCARD || frame->type == FRAME_ZEROES;
}

/* The request that a frame belongs to: its slot stands in the id. */
static unsigned slot_of(const struct frame *frame)
{
	return (unsigned)(frame->id >> 5 & 0x7ff);
}

static uint64_t volume_block(unsigned set, uint64_t set_block)
{
	return set_block / 256 * 256 * h.spec.set_count + set * 256 + set_block % 256;
}

/* ---- what a replica does ---- */

static void apply(const struct harness_sent *sent)
{
	const struct frame *frame = &sent->frame;
	const uint64_t *copied = &slots[slot_of(frame)].seen[sent->buf_offset / 4096];

	CHECK_TRUE(has_data(sent->leg));
	soak_apply(&replicas[sent->leg], &h.replicas[sent->leg], frame, slots[slot_of(frame)].version, copied);
}

static uint64_t digest(struct harness *harness, unsigned leg, uint64_t piece)
{
	return soak_digest(&replicas[leg], piece);
}

static void on_asked(struct harness *harness, const struct harness_message *asked)
{
	soak_asked(&replicas[asked->leg], &h.replicas[asked->leg], asked);
}

static void look(const struct harness_sent *sent)
{
	unsigned slot = slot_of(&sent->frame);
	uint64_t block = sent->frame.offset / 4096;

	for (uint32_t i = 0; i < sent->frame.length / 4096; i++)
		slots[slot].seen[sent->target.buf_offset / 4096 + i] = replicas[sent->leg].memory[block + i];
}

static void answer(struct harness_sent *sent)
{
	struct frame reply = harness_reply(&h, sent);

	soak_prune(&replicas[sent->leg], &sent->frame);
	if (is_change(&sent->frame)) {
		apply(sent);
		if (sent->frame.type == FRAME_WRITE && below(300) == 0)
			reply.checksum ^= 1;
		sent->is_answered = true;
		CHECK_OK(harness_raw_reply(&h, sent->leg, sent->lane, &reply));
	} else if (sent->frame.type == FRAME_READ) {
		harness_answer_read(&h, sent, sent->frame.length);
		look(sent);
	} else {
		if (sent->frame.type == FRAME_FLUSH)
			soak_make_durable(&replicas[sent->leg]);
		harness_answer(&h, sent, WIRE_OK);
	}
}

/* ---- what must hold of every frame ---- */

static void check_alone(const struct harness_sent *sent)
{
	uint64_t start = sent->frame.offset, end = start + sent->frame.length;

	for (unsigned i = 0; i < h.sent_count; i++) {
		const struct harness_sent *other = &h.sent[i];

		if (other == sent || set_of(other->leg) != set_of(sent->leg) ||
		    slot_of(&other->frame) == slot_of(&sent->frame) || (other->is_answered && !other->is_arriving))
			continue;
		if (!is_change(&other->frame) && other->frame.type != FRAME_READ)
			continue;
		if (other->frame.type == FRAME_READ && sent->frame.type == FRAME_READ)
			continue;
		CHECK_TRUE(end <= other->frame.offset || other->frame.offset + other->frame.length <= start);
	}
}

static void on_sent(struct harness *harness, const struct harness_sent *sent)
{
	CHECK_TRUE(has_data(sent->leg));
	if (is_change(&sent->frame) || sent->frame.type == FRAME_READ)
		check_alone(sent);
}

/* ---- what the application does ---- */

static void pick_range(struct request *request)
{
	uint64_t blocks = h.spec.size_bytes / 4096, from, count;

	/* Crowded around a few edges of chunks, so that requests meet. */
	from = (1 + below(6)) * 256 - 8 + below(16);
	count = 1 + below(below(8) ? 6 : 256);
	if (request->op == REQUEST_DISCARD && below(4) == 0)
		count = 1 + below(1024);
	if (from + count > blocks)
		count = blocks - from;
	request->offset = from * 4096;
	request->length = count * 4096;
}

static void submit_again(unsigned slot)
{
	const struct request *request = &slots[slot].request;

	if (request->op == REQUEST_FLUSH)
		memcpy(at_flush[slot], floors, sizeof(floors));
	if (request->op == REQUEST_READ)
		memcpy(slots[slot].floor, &floors[request->offset / 4096], request->length / 4096 * sizeof(uint64_t));
	harness_submit(&h, slot, request->op, request->flags, request->offset, request->length);
}

static void submit(unsigned slot)
{
	static const enum request_op ops[] = {REQUEST_READ,   REQUEST_READ,   REQUEST_READ,  REQUEST_WRITE,
					      REQUEST_WRITE,  REQUEST_WRITE,  REQUEST_WRITE, REQUEST_FLUSH,
					      REQUEST_ZEROES, REQUEST_DISCARD};
	struct request *request = &slots[slot].request;

	*request = (struct request){.slot = slot, .op = ops[below(ARRAY_COUNT(ops))]};
	request->flags = below(6) ? 0 : REQUEST_F_FUA;
	if (request->op != REQUEST_FLUSH)
		pick_range(request);
	slots[slot].version = ++next_version;
	submit_again(slot);
}

static void raise_floor(uint64_t block, uint64_t version)
{
	if (version > floors[block])
		floors[block] = version;
}

static void on_complete(struct harness *harness, unsigned slot, int error)
{
	const struct request *request = &slots[slot].request;
	uint64_t from = request->offset / 4096, count = request->length / 4096;

	if (harness_status(&h).state == VOLUME_FAILED)
		return; /* R8; it comes back with the next attach */
	CHECK_ERRNO(0, error);
	for (uint64_t i = 0; request->op == REQUEST_READ && i < count; i++) {
		if (slots[slot].seen[i] < slots[slot].floor[i])
			CHECK_FAIL("block %llu: read %llu after %llu", (unsigned long long)(from + i),
				   (unsigned long long)slots[slot].seen[i], (unsigned long long)slots[slot].floor[i]);
		raise_floor(from + i, slots[slot].seen[i]);
	}
	for (uint64_t i = 0; request->op != REQUEST_READ && i < count; i++)
		raise_floor(from + i, slots[slot].version);
	for (uint64_t i = 0; request->op != REQUEST_READ && request->flags & REQUEST_F_FUA && i < count; i++) {
		if (flushed[from + i] < slots[slot].version)
			flushed[from + i] = slots[slot].version;
	}
	for (uint64_t i = 0; request->op == REQUEST_FLUSH && i < ARRAY_COUNT(floors); i++) {
		if (flushed[i] < at_flush[slot][i])
			flushed[i] = at_flush[slot][i];
	}
}

/* ---- what the world does ---- */

/* What was on its way to a replica that is being lost may have arrived, or not. */
static void part_ways(unsigned leg)
{
	for (unsigned i = 0; i < h.sent_count; i++) {
		const struct harness_sent *sent = &h.sent[i];

		if (sent->leg == leg && !sent->is_answered && is_change(&sent->frame) && below(2))
			apply(sent);
	}
}

static bool is_open(unsigned leg, enum lane lane)
{
	return h.lanes[leg][lane].state == HARNESS_OPEN && !h.lanes[leg][lane].is_aborted;
}

static void lose(unsigned leg)
{
	if (h.lanes[leg][LANE_MAIN].state == HARNESS_CLOSED)
		return;
	part_ways(leg);
	harness_break(&h, leg, LANE_MAIN);
}

/* The process is gone and back: what it wrote is there, what it remembered is not. */
static void crash(unsigned leg)
{
	lose(leg);
	if (h.lanes[leg][LANE_BULK].state == HARNESS_OPEN)
		harness_break(&h, leg, LANE_BULK);
	h.replicas[leg].incarnation += 1000;
	h.replicas[leg].session = 0;
	replicas[leg].list_count = 0;
	totals[4]++;
}

static void lose_power(unsigned leg)
{
	crash(leg);
	for (unsigned i = 0; i < sizeof(h.replicas[leg].boot_id.bytes); i++)
		h.replicas[leg].boot_id.bytes[i] = (uint8_t)below(256);
	for (uint64_t block = 0; block < SET_BLOCKS; block++) {
		if (below(2))
			replicas[leg].disk[block] = replicas[leg].memory[block];
		replicas[leg].memory[block] = replicas[leg].disk[block];
	}
	losses++;
	totals[5]++;
}

/* Completed but not flushed writes were lost with everybody's power, and that was said. */
static void accept_loss(void)
{
	static unsigned seen;
	unsigned told = h.event_count[EVENT_LOSS_RECORDED];

	if (told < seen)
		seen = 0;
	if (told == seen)
		return;
	seen = told;
	CHECK_TRUE(losses > 0);
	memcpy(floors, flushed, sizeof(floors));
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (h.is_pending[slot] && slots[slot].request.op == REQUEST_READ)
			memset(slots[slot].floor, 0, sizeof(slots[slot].floor));
		memset(at_flush[slot], 0, sizeof(at_flush[slot]));
	}
}

static void count_up(void)
{
	struct engine_status status = harness_status(&h);

	totals[0] += status.evictions;
	totals[1] += status.rejoins;
	totals[2] += status.reconciled_bytes;
	totals[3] += status.resynced_bytes;
	totals[7] += status.reattaches;
}

/* Another gateway; or the same device in a new process, whose requests are issued again (R11). */
static void replace_gateway(void)
{
	struct engine_options options = h.options;
	bool was_pending[SLOTS];
	bool is_same_device =
		h.attached_count == 1 && !h.attached_error && harness_status(&h).state != VOLUME_FAILED && below(2);

	count_up();
	for (unsigned leg = 0; leg < volume_leg_count(&h.spec); leg++)
		part_ways(leg);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		was_pending[slot] = h.is_pending[slot];
	options.predecessor_nonce = below(2) || is_same_device ? options.nonce : 0;
	options.is_recovery = is_same_device;
	options.device_nonces[0] = options.nonce;
	options.nonce = ++next_nonce;
	harness_restart(&h, &options);
	engine_attach(h.engine);
	totals[6]++;
	if (!is_same_device)
		return;
	/* In the order of their first submission, because versions are compared by it. */
	for (uint64_t version = 0; version <= next_version; version++) {
		uint64_t lowest = UINT64_MAX;
		unsigned which = SLOTS;

		for (unsigned slot = 0; slot < SLOTS; slot++) {
			if (was_pending[slot] && slots[slot].version < lowest) {
				lowest = slots[slot].version;
				which = slot;
			}
		}
		if (which == SLOTS)
			break;
		was_pending[which] = false;
		submit_again(which);
	}
	engine_recovered(h.engine);
}

/* The first unanswered one of its lane, when replies must be in order. */
static bool may_answer(const struct harness_sent *sent)
{
	if (sent->is_answered || !is_open(sent->leg, sent->lane) || replicas[sent->leg].is_frozen)
		return false;
	for (unsigned i = 0; sent->lane == LANE_BULK && &h.sent[i] != sent; i++) {
		if (h.sent[i].leg == sent->leg && h.sent[i].lane == LANE_BULK && !h.sent[i].is_answered)
			return false;
	}
	/* A FLUSH is about everything before it. */
	for (unsigned i = 0; sent->frame.type == FRAME_FLUSH && &h.sent[i] != sent; i++) {
		if (h.sent[i].leg == sent->leg && !h.sent[i].is_answered && is_change(&h.sent[i].frame))
			return false;
	}
	return true;
}

static void touch_frame(void)
{
	struct harness_sent *sent;

	if (h.sent_count == 0)
		return;
	sent = &h.sent[below(h.sent_count)];
	if (sent->is_borrowed && below(2))
		harness_release(&h, sent);
	else if (sent->is_arriving)
		harness_place(&h, sent);
	else if (may_answer(sent))
		answer(sent);
}

static void pump_some(unsigned steps)
{
	for (unsigned i = 0; i < steps; i++) {
		for (unsigned leg = 0; leg < volume_leg_count(&h.spec); leg++) {
			if (h.lanes[leg][LANE_MAIN].is_aborted)
				part_ways(leg);
		}
		if (!harness_step(&h))
			return;
	}
}

static void recover(unsigned leg)
{
	h.replicas[leg].is_reachable = true;
	h.replicas[leg].is_silent = false;
	replicas[leg].is_frozen = false;
}

static void hurt(unsigned leg, uint64_t dice)
{
	if (dice < 30) {
		lose(leg);
	} else if (dice < 45) {
		h.replicas[leg].is_reachable = false;
		lose(leg);
	} else if (dice < 60) {
		crash(leg);
	} else if (dice < 70) {
		lose_power(leg);
	} else if (dice < 80) {
		replicas[leg].is_frozen = h.replicas[leg].is_silent = true;
	} else if (dice < 83) {
		for (unsigned i = 0; i < volume_leg_count(&h.spec); i++)
			lose_power(i);
	} else if (dice < 92) {
		replace_gateway();
	} else {
		lose(leg);
		if (h.lanes[leg][LANE_BULK].state == HARNESS_OPEN)
			harness_break(&h, leg, LANE_BULK);
		h.replicas[leg].promised.epoch++; /* a contender that came to nothing */
		h.replicas[leg].promised.nonce = 4711;
		h.replicas[leg].session = 0;
	}
}

static void step(void)
{
	unsigned leg = (unsigned)below(volume_leg_count(&h.spec)), slot = (unsigned)below(SLOTS);
	uint64_t dice = below(10000);

	steps_done++;
	if (dice < 2500 && !h.is_pending[slot] && harness_status(&h).state != VOLUME_FAILED)
		submit(slot);
	else if (dice < 8000)
		touch_frame();
	else if (dice < 9600)
		pump_some(1 + (unsigned)below(30));
	else if (dice < 9800)
		harness_tick(&h, below(100000000));
	else if (dice < 9960)
		recover(leg);
	else
		hurt(leg, below(100));
	accept_loss();
	if (harness_status(&h).state == VOLUME_FAILED)
		replace_gateway();
	harness_sweep(&h);
}

static bool is_settled(void)
{
	struct engine_status status = harness_status(&h);

	if (h.pending || h.sent_count || status.state != VOLUME_SERVING)
		return false;
	for (unsigned i = 0; i < status.set_count; i++) {
		if (status.sets[i].in_sync != data_count || status.sets[i].uncertain_bytes)
			return false;
	}
	return true;
}

/* Everybody is back and answers: everything must finish, and everybody be in sync. */
static void settle(void)
{
	for (unsigned leg = 0; leg < volume_leg_count(&h.spec); leg++)
		recover(leg);
	for (unsigned round = 0; round < 100000; round++) {
		if (is_settled())
			return;
		for (unsigned i = 0; i < 20; i++)
			touch_frame();
		harness_sweep(&h);
		pump_some(100);
		accept_loss();
		if (harness_status(&h).state == VOLUME_FAILED)
			replace_gateway();
		if (round % 16 == 0)
			harness_tick(&h, 100000000);
	}
	CHECK_FAIL("%u requests and %u frames are left; %s, in sync %u, uncertain %llu, waits for \"%s\"", h.pending,
		   h.sent_count, volume_state_name(harness_status(&h).state), harness_status(&h).sets[0].in_sync,
		   (unsigned long long)harness_status(&h).sets[0].uncertain_bytes, harness_status(&h).waits_for);
}

static void check_mirrors(void)
{
	for (unsigned leg = 0; leg < volume_leg_count(&h.spec); leg++) {
		unsigned first = set_of(leg) * voter_count;

		if (!has_data(leg))
			continue;
		CHECK_MEM(replicas[first].memory, replicas[leg].memory, sizeof(replicas[leg].memory));
		for (uint64_t block = 0; block < SET_BLOCKS; block++) {
			uint64_t at = volume_block(set_of(leg), block);

			CHECK_TRUE(replicas[leg].memory[block] >= floors[at]);
		}
	}
}

static void start_world(void)
{
	struct engine_options options = harness_options();
	struct volume_spec spec;
	unsigned sets = 1 + (unsigned)below(2), witness = (unsigned)below(2);

	memset(replicas, 0, sizeof(replicas));
	memset(floors, 0, sizeof(floors));
	memset(flushed, 0, sizeof(flushed));
	data_count = 1 + (unsigned)below(3);
	voter_count = data_count + witness;
	losses = 0;
	spec = witness ? harness_spec_with_witness(sets, data_count) : harness_spec(sets, data_count);
	options.queue_depth = SLOTS;
	options.memory_is_pinned = below(2);
	options.bulk_min_bytes = below(3) ? 16384 : 0;
	options.read_run = 1 + (uint32_t)below(8);
	options.attach_limit_ns = 0;
	options.slow_factor = 0;
	options.nonce = ++next_nonce;
	harness_fini(&h);
	harness_init(&h, &spec, &options);
	h.on_sent = on_sent;
	h.on_complete = on_complete;
	h.on_asked = on_asked;
	h.digest = digest;
	harness_attach(&h);
}

static void random_requests_and_losses_keep_every_promise(void)
{
	const char *worlds = getenv("SOAK_WORLDS");

	check_random_init(&random_state);
	for (unsigned world = 0; world < (worlds ? (unsigned)atoi(worlds) : WORLDS); world++) {
		start_world();
		for (unsigned i = 0; i < STEPS; i++)
			step();
		settle();
		check_mirrors();
		count_up();
	}
	printf("%llu requests, %llu evictions, %llu rejoins, %llu bytes reconciled, %llu resynced, %llu crashes, "
	       "%llu power losses, %llu gateways, %llu attached again ",
	       (unsigned long long)next_version, (unsigned long long)totals[0], (unsigned long long)totals[1],
	       (unsigned long long)totals[2], (unsigned long long)totals[3], (unsigned long long)totals[4],
	       (unsigned long long)totals[5], (unsigned long long)totals[6], (unsigned long long)totals[7]);
	for (unsigned i = 0; !worlds && i < ARRAY_COUNT(totals); i++)
		CHECK_TRUE(totals[i] > 0);
}

static const struct check_test tests[] = {
	CHECK_TEST(random_requests_and_losses_keep_every_promise),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_soak", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
