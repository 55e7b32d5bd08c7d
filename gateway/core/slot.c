/* Requests in flight: taking them in, cutting them into parts, locking ranges, completing exactly once. Knows no legs
 * and no frames. On a request's path: first after the frontend, and last before it. */
#include <errno.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

unsigned slot_index(const struct engine *engine, const struct slot *slot)
{
	return (unsigned)(slot - engine->slots);
}

static bool slot_is_sync(const struct engine *engine, const struct slot *slot)
{
	return slot_index(engine, slot) >= engine->options.queue_depth;
}

struct copy *slot_copy(struct engine *engine, const struct slot *slot)
{
	unsigned index = slot_index(engine, slot), first = engine_resync_slot(engine, 0);

	return index >= first ? &engine->copies[index - first] : NULL;
}

struct slot *slot_of_sync(struct engine *engine, const struct set *set)
{
	return &engine->slots[engine->options.queue_depth + set->index];
}

uint64_t slot_new_id(struct engine *engine, unsigned slot, unsigned part)
{
	uint64_t mask = (1ull << ID_GENERATION_BITS) - 1;

	engine->generation = (engine->generation + 1) & mask;
	if (engine->generation == 0)
		engine->generation = 1;
	return engine->generation << (ID_SLOT_BITS + ID_PART_BITS) | (uint64_t)slot << ID_PART_BITS | part;
}

struct part *slot_find_part(struct engine *engine, uint64_t id)
{
	unsigned part = id & ((1u << ID_PART_BITS) - 1);
	unsigned slot = (id >> ID_PART_BITS) & ((1u << ID_SLOT_BITS) - 1);

	if (slot >= engine->slot_count || part >= engine->slots[slot].part_count)
		return NULL;
	return id == engine->slots[slot].parts[part].id ? &engine->slots[slot].parts[part] : NULL;
}

static bool is_data(const struct request *request)
{
	return request->op == REQUEST_READ || request->op == REQUEST_WRITE;
}

/* In KiB, and some for the request itself. */
static uint64_t work_of(const struct request *request)
{
	return 4 + (is_data(request) ? request->length / KIB : 0);
}

static bool request_is_valid(const struct engine *engine, const struct request *request)
{
	const struct volume_spec *spec = &engine->spec;

	if (request->op == REQUEST_FLUSH)
		return request->offset == 0 && request->length == 0;
	if ((unsigned)request->op > REQUEST_ZEROES || request->length == 0)
		return false;
	if (request->offset > spec->size_bytes || request->length > spec->size_bytes - request->offset)
		return false;
	if (request->offset % spec->block_bytes || request->length % spec->block_bytes)
		return false;
	return request->length <= (is_data(request) ? IO_BYTES_MAX : REQUEST_RANGE_BYTES_MAX);
}

static unsigned split(const struct engine *engine, const struct request *request,
		      struct layout_part parts[REQUEST_PARTS_MAX])
{
	if (request->op == REQUEST_FLUSH) {
		for (unsigned i = 0; i < engine->spec.set_count; i++)
			parts[i] = (struct layout_part){.set = i};
		return engine->spec.set_count;
	}
	if (is_data(request))
		return layout_split_data(&engine->layout, request->offset, (uint32_t)request->length, parts);
	return layout_split_range(&engine->layout, request->offset, request->length, parts);
}

static void part_reset(struct engine *engine, struct part *part, const struct layout_part *at)
{
	part->at = *at;
	part->state = PART_LOCKING;
	part->acked = part->failed = 0;
	part->checksum_resends = 0;
	part->tried = 0;
	part->held_ns = 0;
	part->owns_window = false;
	/* Pinned memory may still be borrowed by the slot's last use; those releases carry an older id. */
	for (unsigned i = 0; i < SET_VOTERS_MAX; i++)
		part->legs[i].borrows = 0;
}

static void slot_take(struct engine *engine, struct slot *slot, const struct request *request,
		      const struct layout_part *parts, unsigned count)
{
	assert(!slot->in_use);
	assert(count > 0 && count <= engine->parts_per_slot);
	slot->request = *request;
	slot->in_use = true;
	slot->part_count = slot->parts_left = count;
	slot->borrows = 0;
	slot->error = 0;
	for (unsigned i = 0; i < count; i++) {
		part_reset(engine, &slot->parts[i], &parts[i]);
		slot->parts[i].id = slot_new_id(engine, slot_index(engine, slot), i);
	}
}

/* FLUSH covers what completed before it, so it waits for no range. */
static bool part_lock(struct engine *engine, struct part *part)
{
	const struct request *request = &part->slot->request;

	if (request->op == REQUEST_FLUSH)
		return true;
	if (MUTANT(copy_without_lock) && slot_copy(engine, part->slot)) /* one of nobody else's range */
		return range_lock_acquire(&set_of(engine, part)->lock, &part->range, UINT64_MAX - 1, UINT64_MAX,
					  RANGE_READ);
	return range_lock_acquire(&set_of(engine, part)->lock, &part->range, part->at.set_offset,
				  part->at.set_offset + part->at.length,
				  request->op == REQUEST_READ ? RANGE_READ : RANGE_WRITE);
}

/* Before it has its range, so that who makes the region equal can have it. */
static void hold(struct engine *engine, struct part *part)
{
	struct set *set = set_of(engine, part);

	part->state = PART_HELD;
	if (part->held_ns == 0)
		part->held_ns = engine->now_ns;
	list_add_tail(&set->held, &part->node);
	set->needs_look = true;
}

void part_hold(struct engine *engine, struct part *part)
{
	range_lock_release(&set_of(engine, part)->lock, &part->range, &engine->ready);
	hold(engine, part);
}

bool part_is_outstanding(const struct part *part)
{
	for (unsigned i = 0; i < SET_VOTERS_MAX; i++) {
		if (leg_op_is_outstanding(&part->legs[i].op))
			return true;
	}
	return false;
}

static void count_request(struct engine *engine, const struct request *request)
{
	struct engine_status *counters = &engine->counters;

	switch (request->op) {
	case REQUEST_READ:
		counters->read_count++;
		counters->read_bytes += request->length;
		break;
	case REQUEST_WRITE:
		counters->write_count++;
		counters->write_bytes += request->length;
		break;
	case REQUEST_FLUSH:
		counters->flush_count++;
		break;
	case REQUEST_DISCARD:
		counters->discard_count++;
		break;
	case REQUEST_ZEROES:
		counters->zeroes_count++;
		break;
	}
}

void slot_submit(struct engine *engine, const struct request *request)
{
	struct layout_part parts[REQUEST_PARTS_MAX];
	struct slot *slot;

	assert(request->slot < engine->options.queue_depth);
	slot = &engine->slots[request->slot];
	assert(!slot->in_use);
	if (engine->state == VOLUME_FAILED || !request_is_valid(engine, request)) {
		engine->counters.failed_requests++;
		engine->ops->complete(engine->ctx, request->slot, engine->state == VOLUME_FAILED ? -EIO : -EINVAL);
		return;
	}
	count_request(engine, request);
	pace_request_comes(engine);
	engine->outstanding++;
	engine->outstanding_reads += request->op == REQUEST_READ;
	slot_take(engine, slot, request, parts, split(engine, request, parts));
	for (unsigned i = 0; i < slot->part_count; i++) {
		struct part *part = &slot->parts[i];

		if (request->op == REQUEST_READ && !read_is_certain(engine, set_of(engine, part), part))
			hold(engine, part);
		else if (part_lock(engine, part))
			part_start(engine, part);
	}
}

bool slot_take_copy(struct engine *engine, struct copy *copy, const struct layout_part *at)
{
	struct slot *slot = copy->slot;
	struct request request = {.slot = slot_index(engine, slot), .op = REQUEST_WRITE};

	slot_take(engine, slot, &request, at, 1);
	return part_lock(engine, &slot->parts[0]);
}

bool slot_pass_copy(struct engine *engine, struct copy *copy)
{
	struct part *part = &copy->slot->parts[0];

	/* What it reads must have what it passes: others may have that already, and would lose it to the copy. */
	uint8_t read = copy->purpose == COPY_VERIFY ? copy->legs : (uint8_t)(1u << copy->source);

	if (!MUTANT(copy_undoes_a_write) &&
	    !write_is_stored(set_of(engine, part), part->at.set_offset, part->at.length, read))
		return false;
	return !list_is_linked(&part->range.granted) && range_lock_pass(&set_of(engine, part)->lock, &part->range);
}

void slot_free_copy(struct engine *engine, struct copy *copy)
{
	struct part *part = &copy->slot->parts[0];

	assert(copy->slot->borrows == 0 && !part_is_outstanding(part));
	part->state = PART_DONE;
	part->id = 0;
	range_lock_release(&set_of(engine, part)->lock, &part->range, &engine->ready);
	copy->slot->part_count = copy->slot->parts_left = 0;
	copy->slot->in_use = false;
}

void slot_submit_sync(struct engine *engine, struct set *set)
{
	struct slot *slot = slot_of_sync(engine, set);
	struct request request = {.slot = slot_index(engine, slot), .op = REQUEST_FLUSH};
	struct layout_part part = {.set = set->index};

	slot_take(engine, slot, &request, &part, 1);
	part_start(engine, &slot->parts[0]);
}

void part_wait(struct engine *engine, struct part *part)
{
	part->state = PART_WAITING;
	list_add_tail(&set_of(engine, part)->waiting, &part->node);
}

static void part_dispatch(struct engine *engine, struct part *part)
{
	switch (part->slot->request.op) {
	case REQUEST_READ:
		read_start(engine, part);
		break;
	case REQUEST_WRITE:
	case REQUEST_DISCARD:
	case REQUEST_ZEROES:
		write_start(engine, part);
		break;
	case REQUEST_FLUSH:
		flush_start(engine, part);
		break;
	}
}

void part_start(struct engine *engine, struct part *part)
{
	if (slot_copy(engine, part->slot)) {
		copy_locked(engine, slot_copy(engine, part->slot));
		return;
	}
	if (engine->state == VOLUME_FAILED && links_are_down(engine)) {
		part_done(engine, part, -EIO);
		return;
	}
	if (set_of(engine, part)->is_failing)
		part_done(engine, part, -EIO);
	else if (set_is_open(engine, set_of(engine, part)))
		part_dispatch(engine, part);
	else
		part_wait(engine, part);
}

void set_drain(struct engine *engine, struct set *set)
{
	struct list again;
	struct part *part;

	list_init(&again);
	while ((part = list_first(&set->waiting, struct part, node))) {
		list_del(&part->node);
		list_add_tail(&again, &part->node);
	}
	while ((part = list_first(&again, struct part, node))) {
		list_del(&part->node);
		part_start(engine, part);
	}
}

void set_unhold(struct engine *engine, struct set *set)
{
	struct list *it, *next;

	list_for_each (it, next, &set->held) {
		struct part *part = container_of(it, struct part, node);

		if (!read_is_certain(engine, set, part))
			continue;
		list_del(&part->node);
		part->state = PART_LOCKING;
		if (part_lock(engine, part))
			list_add_tail(&engine->ready, &part->range.granted);
	}
}

/* All at once: a change that a recovered device issues again is done again in full (R11), so nobody may have seen, or
 * written over, a part of it before it completed. Reads give theirs up one by one, so nobody waits in a circle. */
static void release_ranges(struct engine *engine, struct slot *slot)
{
	for (unsigned i = 0; i < slot->part_count; i++) {
		struct part *part = &slot->parts[i];

		if (MUTANT(range_released_before_the_last) && !part->range.is_present)
			continue;
		range_lock_release(&set_of(engine, part)->lock, &part->range, &engine->ready);
	}
}

static void slot_complete(struct engine *engine, struct slot *slot)
{
	unsigned index = slot_index(engine, slot);

	if (slot->request.op != REQUEST_READ && slot->request.op != REQUEST_FLUSH && !MUTANT(range_released_early))
		release_ranges(engine, slot);
	for (unsigned i = 0; i < slot->part_count; i++)
		slot->parts[i].id = 0;
	slot->part_count = 0;
	slot->in_use = false;
	if (slot_is_sync(engine, slot)) {
		flush_sync_done(engine, &engine->sets[index - engine->options.queue_depth], slot->error);
		return;
	}
	assert(engine->outstanding > 0);
	engine->outstanding--;
	engine->outstanding_reads -= slot->request.op == REQUEST_READ;
	pace_request_done(engine, work_of(&slot->request));
	engine->counters.failed_requests += slot->error != 0;
	engine->ops->complete(engine->ctx, index, slot->error);
}

void slot_released(struct engine *engine, struct slot *slot)
{
	if (slot->parts_left > 0 && !MUTANT(one_part_is_enough))
		return;
	if (slot->borrows > 0 && !engine->options.memory_is_pinned && !MUTANT(completion_before_release))
		return;
	slot_complete(engine, slot);
}

void part_done(struct engine *engine, struct part *part, int error)
{
	struct slot *slot = part->slot;

	assert(part->state != PART_DONE);
	if ((slot->request.op == REQUEST_READ || (MUTANT(range_released_early) && slot->request.op != REQUEST_FLUSH)) &&
	    part->state != PART_HELD)
		range_lock_release(&set_of(engine, part)->lock, &part->range, &engine->ready);
	part->state = PART_DONE;
	part->range.is_settled = true; /* held for the slot's other parts */
	list_del(&part->node);
	if (!slot->error)
		slot->error = error;
	slot->parts_left--;
	slot_released(engine, slot);
}

void slots_fail_all(struct engine *engine)
{
	struct part *part;

	/* Those that wait for a range are granted by the ones before them; engine_run() brings them to `waiting`. */
	for (unsigned i = 0; i < engine_resync_slot(engine, 0); i++) {
		for (unsigned j = 0; j < engine->slots[i].part_count; j++) {
			part = &engine->slots[i].parts[j];
			if (part->state == PART_HELD || part->state == PART_WAITING || part->state == PART_SENT)
				part_done(engine, part, -EIO);
		}
	}
}
