/* Picks the exerciser's operations. Knows a volume's size and block, nothing of slots or expectations. */
#include "tests/native/lib/workload.h"

#include <stdio.h>

#include "gateway/drivers/shm_ring.h"
#include "tests/native/lib/tool.h"

void workload_options_default(struct workload_options *ret)
{
	*ret = (struct workload_options){.seed = 1, .min_bytes = 512, .max_bytes = 256 * KIB, .fua_percent = 5};
	workload_parse_mix("40:40:3:3:4", ret);
}

void workload_parse_mix(const char *text, struct workload_options *options)
{
	unsigned *w = options->weights;

	if (sscanf(text, "%u:%u:%u:%u:%u", &w[HISTORY_READ], &w[HISTORY_WRITE], &w[HISTORY_ZEROES], &w[HISTORY_DISCARD],
		   &w[HISTORY_FLUSH]) != 5)
		tool_die(EXIT_CANNOT, "mix: five weights expected, read:write:zeroes:discard:flush, not %s", text);
	if (w[HISTORY_READ] + w[HISTORY_WRITE] + w[HISTORY_ZEROES] + w[HISTORY_DISCARD] + w[HISTORY_FLUSH] == 0)
		tool_die(EXIT_CANNOT, "mix: all weights are zero");
}

void workload_init(struct workload *workload, const struct workload_options *options, uint64_t volume_bytes,
		   uint32_t block_bytes)
{
	uint64_t span = options->span_bytes && options->span_bytes < volume_bytes ? options->span_bytes : volume_bytes;

	*workload = (struct workload){
		.options = *options,
		.state = options->seed,
		.span_blocks = span / block_bytes,
		.block_bytes = block_bytes,
	};
	if (workload->span_blocks == 0)
		tool_die(EXIT_CANNOT, "the volume is smaller than a block");
}

static enum history_kind pick_kind(struct workload *workload)
{
	const unsigned *weights = workload->options.weights;
	unsigned total = 0;
	unsigned at;

	for (unsigned kind = HISTORY_READ; kind <= HISTORY_FLUSH; kind++)
		total += weights[kind];
	at = (unsigned)tool_random_below(&workload->state, total);
	for (unsigned kind = HISTORY_READ; kind < HISTORY_FLUSH; kind++) {
		if (at < weights[kind])
			return (enum history_kind)kind;
		at -= weights[kind];
	}
	return HISTORY_FLUSH;
}

/* Half of all lengths are the smallest eighth, so that small and large mix; a few are exactly the largest. */
static uint64_t pick_blocks(struct workload *workload)
{
	const struct workload_options *options = &workload->options;
	uint64_t least = (options->min_bytes + workload->block_bytes - 1) / workload->block_bytes + !options->min_bytes;
	uint64_t most = options->max_bytes / workload->block_bytes;
	uint64_t range = most > least ? most - least : 0;
	uint64_t dice = tool_random_below(&workload->state, 16);

	if (dice < 8)
		range /= 8;
	else if (dice == 15)
		return least + range;
	return least + tool_random_below(&workload->state, range + 1);
}

static bool percent(struct workload *workload, unsigned percent)
{
	return tool_random_below(&workload->state, 100) < percent;
}

static unsigned pick_flags(struct workload *workload, enum history_kind kind)
{
	unsigned flags = 0;

	if (kind == HISTORY_READ || kind == HISTORY_FLUSH)
		return 0;
	if (percent(workload, workload->options.fua_percent))
		flags |= SHM_F_FUA;
	if (kind == HISTORY_WRITE && percent(workload, workload->options.meta_percent))
		flags |= SHM_F_META;
	if (kind == HISTORY_ZEROES && percent(workload, 50))
		flags |= SHM_F_NO_UNMAP;
	return flags;
}

struct operation workload_next(struct workload *workload)
{
	struct operation operation = {.kind = pick_kind(workload)};
	uint64_t blocks = workload->span_blocks;
	uint64_t hot = workload->options.hot_bytes / workload->block_bytes;
	uint64_t length;

	operation.flags = pick_flags(workload, operation.kind);
	if (operation.kind == HISTORY_FLUSH)
		return operation;
	if (hot > 0 && hot < blocks && percent(workload, 25))
		blocks = hot;
	length = pick_blocks(workload);
	if (length > blocks)
		length = blocks;
	operation.offset = tool_random_below(&workload->state, blocks - length + 1) * workload->block_bytes;
	operation.length = length * workload->block_bytes;
	return operation;
}
