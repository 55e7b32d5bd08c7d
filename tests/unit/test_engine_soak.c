/* Random requests, replicas and losses, against a model of what each replica has in memory and on disk.
 *
 * Every block is a register that holds the number of the request that wrote it last. Checked all along: no two changes
 * of a block in flight, reads and changes of a block never together, write numbers without gaps, stable_upto and FLUSH
 * no further than every replica's disk, reads never older than what was completed or read before; at the end nothing is
 * left over and the mirrors are equal. CHECK_SEED repeats a run. */
#include "tests/unit/engine_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

#define SLOTS 24u
#define LEGS_MAX 12u
#define SET_BLOCKS (8 * MIB / 4096)
#define WRITES_MAX 40000u
#define STEPS 60000u
#define WORLDS 12u

struct change {
	uint64_t start, end; /* blocks of the set */
	uint64_t version;
	uint8_t acked, durable; /* bit per leg of the set */
	bool is_fua, is_mismatched;
};

static struct {
	struct change changes[WRITES_MAX]; /* by wseq */
	uint64_t last_wseq;
	uint64_t checked_stable;
	uint64_t live_from;		/* all below are acknowledged by all */
	uint64_t completed[WRITES_MAX]; /* wseqs in the order of acknowledgement by all */
	uint64_t completed_count;
	uint8_t all_legs;
} sets[SET_COUNT_MAX];

static struct {
	uint64_t memory[SET_BLOCKS], disk[SET_BLOCKS];
	bool is_frozen;
} replicas[LEGS_MAX];

static struct {
	struct request request;
	uint64_t version;
	uint64_t flush_from[SET_COUNT_MAX]; /* FLUSH: completed_count when it was submitted */
	uint64_t floor[IO_BYTES_MAX / 4096];
	uint64_t seen[IO_BYTES_MAX / 4096];
} slots[SLOTS];

static struct harness h;
static struct check_random random_state;
static uint64_t floors[SET_COUNT_MAX * SET_BLOCKS]; /* by block of the volume */
static uint64_t next_version;
static unsigned replica_count;

static uint64_t below(uint64_t bound)
{
	return check_random_below(&random_state, bound);
}

static unsigned set_of(unsigned leg)
{
	return leg / replica_count;
}

static uint8_t bit_of(unsigned leg)
{
	return (uint8_t)(1u << leg % replica_count);
}

static bool is_change(const struct frame *frame)
{
	return frame->type == FRAME_WRITE || frame->type == FRAME_DISCARD || frame->type == FRAME_ZEROES;
}

/* The request that a frame belongs to: its slot stands in the id as far as the engine's own ids go. */
static unsigned slot_of(const struct frame *frame)
{
	return (unsigned)(frame->id >> 5 & 0x7ff);
}

static void check_stable(unsigned set, uint64_t upto)
{
	CHECK_TRUE(upto <= sets[set].last_wseq);
	for (; sets[set].checked_stable < upto; sets[set].checked_stable++)
		CHECK_EQ_U64(sets[set].all_legs, sets[set].changes[sets[set].checked_stable + 1].durable);
}

static void check_alone(unsigned set, uint64_t start, uint64_t end, uint64_t except)
{
	while (sets[set].live_from <= sets[set].last_wseq &&
	       sets[set].changes[sets[set].live_from].acked == sets[set].all_legs)
		sets[set].live_from++;
	for (uint64_t wseq = sets[set].live_from; wseq <= sets[set].last_wseq; wseq++) {
		const struct change *change = &sets[set].changes[wseq];

		if (wseq != except && change->acked != sets[set].all_legs)
			CHECK_TRUE(end <= change->start || change->end <= start);
	}
}

static void check_no_read(unsigned set, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < h.sent_count; i++) {
		const struct harness_sent *sent = &h.sent[i];
		uint64_t from = sent->frame.offset / 4096;

		if (sent->frame.type == FRAME_READ && set_of(sent->leg) == set &&
		    (!sent->is_answered || sent->is_arriving))
			CHECK_TRUE(end <= from || from + sent->frame.length / 4096 <= start);
	}
}

static void on_change_sent(const struct harness_sent *sent)
{
	unsigned set = set_of(sent->leg);
	struct change *change = &sets[set].changes[sent->frame.wseq];
	uint64_t start = sent->frame.offset / 4096, end = start + sent->frame.length / 4096;

	if (sent->frame.wseq <= sets[set].last_wseq) {
		/* To the next leg, or again. */
		CHECK_EQ_U64(change->start, start);
		CHECK_EQ_U64(change->end, end);
		change->acked &= (uint8_t)~bit_of(sent->leg);
		if (sent->frame.wseq < sets[set].live_from)
			sets[set].live_from = sent->frame.wseq;
		return;
	}
	CHECK_EQ_U64(sets[set].last_wseq + 1, sent->frame.wseq);
	CHECK_TRUE(sent->frame.wseq < WRITES_MAX);
	check_alone(set, start, end, sent->frame.wseq);
	check_no_read(set, start, end);
	sets[set].last_wseq++;
	*change = (struct change){.start = start, .end = end, .is_fua = sent->frame.flags & FRAME_F_FUA};
	change->version = slots[slot_of(&sent->frame)].version;
}

static void on_sent(struct harness *harness, const struct harness_sent *sent)
{
	uint64_t start = sent->frame.offset / 4096;

	check_stable(set_of(sent->leg), sent->frame.stable_upto);
	if (is_change(&sent->frame))
		on_change_sent(sent);
	if (sent->frame.type == FRAME_READ)
		check_alone(set_of(sent->leg), start, start + sent->frame.length / 4096, 0);
}

/* ---- what a replica does ---- */

static void apply(unsigned leg, const struct frame *frame)
{
	struct change *change = &sets[set_of(leg)].changes[frame->wseq];

	for (uint64_t block = change->start; block < change->end; block++) {
		replicas[leg].memory[block] = change->version;
		if (change->is_fua)
			replicas[leg].disk[block] = change->version;
	}
	if (change->is_fua)
		change->durable |= bit_of(leg);
}

static void make_durable(unsigned leg)
{
	unsigned set = set_of(leg);

	memcpy(replicas[leg].disk, replicas[leg].memory, sizeof(replicas[leg].disk));
	for (uint64_t wseq = sets[set].checked_stable + 1; wseq <= sets[set].last_wseq; wseq++) {
		if (sets[set].changes[wseq].acked & bit_of(leg))
			sets[set].changes[wseq].durable |= bit_of(leg);
	}
}

static void look(const struct harness_sent *sent)
{
	unsigned slot = slot_of(&sent->frame);
	uint64_t block = sent->frame.offset / 4096;

	for (uint32_t i = 0; i < sent->frame.length / 4096; i++)
		slots[slot].seen[sent->target.buf_offset / 4096 + i] = replicas[sent->leg].memory[block + i];
}

static void acknowledge(struct harness_sent *sent)
{
	unsigned set = set_of(sent->leg);
	struct change *change = &sets[set].changes[sent->frame.wseq];
	struct frame reply = harness_reply(&h, sent);
	bool was_complete;

	apply(sent->leg, &sent->frame);
	change->acked |= bit_of(sent->leg);
	if (sent->frame.type == FRAME_WRITE && !change->is_mismatched && below(200) == 0) {
		change->is_mismatched = true;
		reply.crc ^= 1;
	}
	was_complete = change->acked == sets[set].all_legs;
	if (was_complete)
		sets[set].completed[sets[set].completed_count++] = sent->frame.wseq;
	sent->is_answered = true;
	CHECK_OK(harness_raw_reply(&h, sent->leg, sent->lane, &reply));
	/* Repeated because of the checksum: not complete after all, not even on a leg that is down. */
	if (was_complete && change->acked != sets[set].all_legs) {
		sets[set].completed_count--;
		change->acked = 0;
	}
}

/* One replica never fails a given read, so that not all of them do. */
static bool may_fail(const struct harness_sent *sent)
{
	return slots[slot_of(&sent->frame)].version % replica_count != sent->leg % replica_count;
}

static void answer(struct harness_sent *sent)
{
	if (is_change(&sent->frame)) {
		acknowledge(sent);
	} else if (sent->frame.type == FRAME_FLUSH) {
		make_durable(sent->leg);
		harness_answer(&h, sent, WIRE_OK);
	} else if (sent->frame.type == FRAME_READ && may_fail(sent) && below(50) == 0) {
		harness_answer(&h, sent, WIRE_EIO);
	} else if (sent->frame.type == FRAME_READ) {
		harness_answer_read(&h, sent, sent->frame.length);
		look(sent);
	} else {
		harness_answer(&h, sent, WIRE_OK);
	}
}

/* ---- what the application does ---- */

static void pick_range(struct request *request)
{
	uint64_t blocks = h.spec.size_bytes / 4096, from, count;

	/* Crowded around a few edges of chunks, so that requests meet. */
	from = (1 + below(3)) * 256 - 8 + below(16);
	count = 1 + below(below(8) ? 6 : 256);
	if (request->op == REQUEST_DISCARD && below(4) == 0)
		count = 1 + below(1024);
	if (from + count > blocks)
		count = blocks - from;
	request->offset = from * 4096;
	request->length = count * 4096;
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
	for (unsigned set = 0; set < h.spec.set_count; set++)
		slots[slot].flush_from[set] = sets[set].completed_count;
	if (request->op == REQUEST_READ)
		memcpy(slots[slot].floor, &floors[request->offset / 4096], request->length / 4096 * sizeof(uint64_t));
	harness_submit(&h, slot, request->op, request->flags, request->offset, request->length);
}

static void raise_floor(uint64_t block, uint64_t version)
{
	if (version > floors[block])
		floors[block] = version;
}

static void on_complete(struct harness *harness, unsigned slot, int error)
{
	const struct request *request = &slots[slot].request;

	CHECK_ERRNO(0, error);
	for (uint64_t i = 0; request->op == REQUEST_READ && i < request->length / 4096; i++) {
		CHECK_TRUE(slots[slot].seen[i] >= slots[slot].floor[i]);
		raise_floor(request->offset / 4096 + i, slots[slot].seen[i]);
	}
	for (uint64_t i = 0; request->op != REQUEST_READ && i < request->length / 4096; i++)
		raise_floor(request->offset / 4096 + i, slots[slot].version);
	for (unsigned set = 0; request->op == REQUEST_FLUSH && set < h.spec.set_count; set++) {
		for (uint64_t i = 0; i < slots[slot].flush_from[set]; i++)
			CHECK_EQ_U64(sets[set].all_legs, sets[set].changes[sets[set].completed[i]].durable);
	}
}

/* ---- what the world does ---- */

/* What was on its way to a replica that is being lost may have arrived, or not. */
static void part_ways(unsigned leg)
{
	for (unsigned i = 0; i < h.sent_count; i++) {
		const struct harness_sent *sent = &h.sent[i];

		if (sent->leg == leg && !sent->is_answered && is_change(&sent->frame) && below(2))
			apply(leg, &sent->frame);
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
	if (below(2))
		h.replicas[leg].is_reachable = false;
	if (below(3) == 0)
		h.replicas[leg].incarnation++;
	harness_break(&h, leg, LANE_MAIN);
}

static void talk_nonsense(unsigned leg)
{
	struct frame reply = {.type = FRAME_WRITE | FRAME_REPLY, .epoch = 1, .id = below(UINT64_MAX)};

	if (!is_open(leg, LANE_MAIN))
		return;
	reply.session = engine_leg_session(h.engine, leg);
	part_ways(leg);
	CHECK_EQ_INT(-71, harness_raw_reply(&h, leg, LANE_MAIN, &reply)); /* -EPROTO */
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
	replicas[leg].is_frozen = false;
}

static void step(void)
{
	unsigned leg = (unsigned)below(volume_leg_count(&h.spec)), slot = (unsigned)below(SLOTS);
	uint64_t dice = below(10000);

	if (dice < 2500 && !h.is_pending[slot])
		submit(slot);
	else if (dice < 9000)
		touch_frame();
	else if (dice < 9600)
		pump_some(1 + (unsigned)below(20));
	else if (dice < 9800)
		harness_tick(&h, below(50000000));
	else if (dice < 9990)
		recover(leg);
	else if (dice < 9994)
		lose(leg);
	else if (dice < 9997)
		replicas[leg].is_frozen = true;
	else
		talk_nonsense(leg);
	harness_sweep(&h);
}

/* Everybody is back and answers: everything must finish. */
static void settle(void)
{
	for (unsigned leg = 0; leg < volume_leg_count(&h.spec); leg++)
		recover(leg);
	for (unsigned round = 0; round < 200000; round++) {
		if (h.pending == 0 && h.sent_count == 0 && harness_status(&h).state == VOLUME_SERVING)
			return;
		touch_frame();
		harness_sweep(&h);
		pump_some(100);
		if (round % 64 == 0)
			harness_tick(&h, 100000000);
	}
	CHECK_FAIL("%u requests and %u frames are left; %s, waits for \"%s\"", h.pending, h.sent_count,
		   volume_state_name(harness_status(&h).state), harness_status(&h).waits_for);
}

/* After everything is on disk: a replica loses its power with acknowledged, uncompleted writes in memory. */
static void power_loss(void)
{
	unsigned leg = (unsigned)below(volume_leg_count(&h.spec));

	slots[0].request = (struct request){.op = REQUEST_FLUSH};
	for (unsigned set = 0; set < h.spec.set_count; set++)
		slots[0].flush_from[set] = sets[set].completed_count;
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	settle();
	for (unsigned slot = 0; slot < 4; slot++) {
		submit(slot);
		for (unsigned i = 0; i < h.sent_count; i++) {
			if (h.sent[i].leg == leg && may_answer(&h.sent[i]) && is_change(&h.sent[i].frame) &&
			    replica_count > 1)
				answer(&h.sent[i]);
		}
	}
	memcpy(replicas[leg].memory, replicas[leg].disk, sizeof(replicas[leg].memory));
	for (unsigned i = 0; i < sizeof(h.replicas[leg].boot_id.bytes); i++)
		h.replicas[leg].boot_id.bytes[i] = (uint8_t)below(256);
	h.replicas[leg].incarnation++;
	/* Back before the others acknowledge: what completes without it would be lost for good. */
	harness_break(&h, leg, LANE_MAIN);
	harness_pump(&h);
	harness_sweep(&h);
	harness_raise(&h, leg);
	settle();
}

static void check_mirrors(void)
{
	for (unsigned leg = 0; leg < volume_leg_count(&h.spec); leg++) {
		unsigned first = set_of(leg) * replica_count;

		CHECK_MEM(replicas[first].memory, replicas[leg].memory, sizeof(replicas[leg].memory));
	}
}

static void start_world(void)
{
	struct engine_options options = harness_options();
	struct volume_spec spec;

	memset(sets, 0, sizeof(sets));
	memset(replicas, 0, sizeof(replicas));
	memset(floors, 0, sizeof(floors));
	replica_count = 1 + (unsigned)below(4);
	spec = harness_spec(1 + (unsigned)below(3), replica_count);
	options.queue_depth = SLOTS;
	options.memory_is_pinned = below(2);
	options.bulk_min_bytes = below(3) ? 16384 : 0;
	options.read_run = 1 + (uint32_t)below(8);
	harness_fini(&h);
	harness_init(&h, &spec, &options);
	h.on_sent = on_sent;
	h.on_complete = on_complete;
	for (unsigned set = 0; set < spec.set_count; set++) {
		sets[set].all_legs = (uint8_t)((1u << replica_count) - 1);
		sets[set].live_from = 1;
	}
	harness_attach(&h);
}

static void random_requests_and_losses_keep_every_promise(void)
{
	uint64_t resent = 0, reissued = 0, repeated = 0, reconnects = 0;
	struct engine_status status;

	check_random_init(&random_state);
	for (unsigned world = 0; world < WORLDS; world++) {
		start_world();
		for (unsigned i = 0; i < STEPS; i++)
			step();
		settle();
		power_loss();
		check_mirrors();
		status = harness_status(&h);
		resent += status.resent_writes;
		reissued += status.reissued_reads;
		repeated += status.crc_mismatches;
		for (unsigned leg = 0; leg < status.leg_count; leg++) {
			reconnects += status.legs[leg].reconnects;
			CHECK_EQ_U64(0, status.legs[leg].outstanding);
			CHECK_EQ_U64(0, status.legs[leg].outstanding_bytes);
		}
	}
	printf("%llu requests, %llu writes resent, %llu reads reissued, %llu repeated, %llu reconnects ",
	       (unsigned long long)next_version, (unsigned long long)resent, (unsigned long long)reissued,
	       (unsigned long long)repeated, (unsigned long long)reconnects);
	CHECK_TRUE(resent > 0 && reissued > 0 && repeated > 0 && reconnects > 0);
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
