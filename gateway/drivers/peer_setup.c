/* The memory of peer I/O: how much, taken once, given back once. On no request's path. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "gateway/drivers/lane_recv_bulk.h"
#include "gateway/drivers/lane_recv_main.h"
#include "gateway/drivers/peer_private.h"

#define RING_PAGE_BYTES 4096u

static_assert(LANE_RECV_BUFFERS * sizeof(struct io_uring_buf) <= RING_PAGE_BYTES, "a buffer ring is one page");
static_assert((QUEUE_DEPTH_MAX * REQUEST_PARTS_MAX + RESYNC_SLOTS) * 2 < OP_NONE,
	      "operations are numbered with 16 bits");

void peers_options_default(struct peers_options *ret)
{
	*ret = (struct peers_options){.set_count = 1, .queue_depth = QUEUE_DEPTH_DEFAULT};
}

/* With one set there is no stripe, and a request is one part. With more, neighbouring chunks fall on different sets. */
unsigned peers_parts_of_set(const struct peers_options *options)
{
	return options->queue_depth * (options->set_count == 1 ? 1 : (REQUEST_PARTS_MAX + 1) / 2) + RESYNC_SLOTS;
}

unsigned peers_parts_of_volume(const struct peers_options *options)
{
	return options->queue_depth * (options->set_count == 1 ? 1 : REQUEST_PARTS_MAX) + RESYNC_SLOTS;
}

/* Of each leg: a whole chain, a receive and its successor on both lanes, a few frames. */
unsigned peers_sq_entries(const struct peers_options *options)
{
	return options->leg_count * (CHAIN_SQE_MAX + 8);
}

/* Two completions for each zero-copy payload, the receives, what a turn may bring besides. */
unsigned peers_cq_entries(const struct peers_options *options)
{
	return options->leg_count * (2 * CHAIN_SQE_MAX + 2 * options->queue_depth + 64);
}

static uint32_t recv_buffer_bytes(unsigned leg_count)
{
	uint32_t bytes = LANE_RECV_BUFFER_BYTES_MAX;

	while (bytes > LANE_RECV_BUFFER_BYTES_MIN && bytes * LANE_RECV_BUFFERS * leg_count > LANE_RECV_BYTES_TOTAL)
		bytes /= 2;
	return bytes;
}

/* Rings first, page by page, then the buffers of the MAIN lanes, then the bounce buffers of the BULK lanes. */
static size_t leg_memory_bytes(const struct peers *peers)
{
	return RING_PAGE_BYTES + LANE_RECV_BUFFERS * (size_t)peers->recv_buffer_bytes + LANE_BOUNCE_BYTES;
}

static int leg_init(struct peers *peers, unsigned leg)
{
	struct peer_lane *main_lane = peers_lane(peers, leg, LANE_MAIN), *bulk_lane = peers_lane(peers, leg, LANE_BULK);
	uint8_t *memory = peers->recv_memory + leg * leg_memory_bytes(peers);
	int error = lane_init(main_lane, peers, leg, LANE_MAIN);

	if (!error)
		error = lane_init(bulk_lane, peers, leg, LANE_BULK);
	if (error)
		return error;
	bulk_lane->rx.buffers = memory + leg_memory_bytes(peers) - LANE_BOUNCE_BYTES;
	return lane_recv_main_init(main_lane, memory, memory + RING_PAGE_BYTES);
}

static int lanes_init(struct peers *peers)
{
	unsigned leg_count = peers->options.leg_count;
	void *memory;
	int error = 0;

	peers->lane_count = leg_count * LANE_COUNT;
	peers->lanes = calloc(peers->lane_count, sizeof(*peers->lanes));
	peers->recv_buffer_bytes = recv_buffer_bytes(leg_count);
	memory = mmap(NULL, leg_count * leg_memory_bytes(peers), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory != MAP_FAILED)
		peers->recv_memory = memory;
	if (!peers->lanes || !peers->recv_memory)
		return -ENOMEM;
	for (unsigned leg = 0; leg < leg_count && !error; leg++)
		error = leg_init(peers, leg);
	return error;
}

static int probe(struct peers *peers, struct err *err)
{
	int has = ring_probe_fixed_recv();

	if (has < 0)
		return err_set(err, has, "io_uring: cannot find out how it receives: %s", err_name(has));
	if (!has && peers->options.recv == PEERS_RECV_FIXED)
		return err_set(err, -EOPNOTSUPP,
			       "receiving into registered buffers: this kernel cannot; use Linux 7.2 "
			       "or newer, or let the gateway choose");
	peers->send_fixed = has;
	peers->recv_fixed = has && peers->options.recv != PEERS_RECV_READ_FIXED;
	return 0;
}

static int peers_init(struct peers *peers, struct err *err)
{
	int error = probe(peers, err);

	if (error)
		return error;
	error = batch_pool_init(&peers->pool);
	if (!error)
		error = peers_memory_init(peers);
	if (!error)
		error = peers_write_init(peers);
	if (!error)
		error = lanes_init(peers);
	if (error)
		return err_set(err, error, "peer I/O: buffers cannot be set up: %s", err_name(error));
	return peers_zero_init(peers, err);
}

struct peers *peers_new(const struct peers_options *options, struct ring *ring, struct frontend *frontend,
			struct err *err)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	assert(options->leg_count > 0 && options->leg_count <= LEG_COUNT_MAX);
	assert(options->queue_depth > 0 && options->queue_depth <= QUEUE_DEPTH_MAX && options->set_count > 0);
	if (!peers) {
		err_set(err, -ENOMEM, "peer I/O: no memory");
		return NULL;
	}
	peers->options = *options;
	peers->ring = ring;
	peers->seen_cut_count = ring ? ring->cut_count : 0;
	peers->frontend = frontend;
	peers->zeros.fd = -1;
	if (peers_init(peers, err)) {
		peers_free(peers);
		return NULL;
	}
	return peers;
}

void peers_bind(struct peers *peers, struct engine *engine)
{
	peers->engine = engine;
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	for (unsigned i = 0; peers->lanes && i < peers->lane_count; i++)
		lane_fini(&peers->lanes[i]);
	free(peers->lanes);
	if (peers->recv_memory)
		munmap(peers->recv_memory, peers->options.leg_count * leg_memory_bytes(peers));
	peers_zero_fini(peers);
	peers_memory_fini(peers);
	peers_write_fini(peers);
	batch_pool_fini(&peers->pool);
	free(peers);
}
