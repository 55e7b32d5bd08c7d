/* Writes the operation log (format: history.h) through stdio. Knows no volume and checks nothing. */
#include "tests/native/lib/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "tests/native/lib/tool.h"

#define RECORD_BYTES 80u

struct history {
	FILE *file; /* NULL: no log wanted */
};

static void put(struct history *history, const void *bytes, size_t len)
{
	if (fwrite(bytes, 1, len, history->file) != len)
		tool_die(EXIT_CANNOT, "history: cannot write");
}

struct history *history_open(const char *path, uint64_t seed, uint64_t volume_bytes)
{
	struct history *history = tool_zalloc(sizeof(*history));
	uint8_t head[32] = "LKHIST1";

	if (!path)
		return history;
	history->file = fopen(path, "we");
	if (!history->file)
		tool_die(EXIT_CANNOT, "%s: cannot create", path);
	store_le64(head + 8, seed);
	store_le64(head + 16, volume_bytes);
	put(history, head, sizeof(head));
	return history;
}

void history_append(struct history *history, const struct history_record *record, const struct history_run *runs,
		    unsigned run_count)
{
	const uint64_t words[] = {record->op,  record->offset,	 record->length, record->begin,
				  record->end, record->begin_ns, record->end_ns, record->value};
	uint8_t out[RECORD_BYTES] = {0};

	if (!history->file)
		return;
	for (unsigned i = 0; i < ARRAY_COUNT(words); i++)
		store_le64(out + 8 * i, words[i]);
	store_le32(out + 64, record->kind);
	store_le32(out + 68, (uint32_t)record->error);
	store_le32(out + 72, run_count);
	put(history, out, sizeof(out));
	for (unsigned i = 0; i < run_count; i++) {
		store_le64(out, runs[i].value);
		store_le64(out + 8, runs[i].sectors);
		put(history, out, 16);
	}
}

void history_flush(struct history *history)
{
	if (history->file && fflush(history->file) != 0)
		tool_die(EXIT_CANNOT, "history: cannot write");
}

void history_close(struct history *history)
{
	if (history->file && fclose(history->file) != 0)
		tool_die(EXIT_CANNOT, "history: cannot write");
	free(history);
}
