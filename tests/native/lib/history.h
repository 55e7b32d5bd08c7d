/* A log of every operation with the times of its invocation and completion, for a checker that runs later.
 *
 * File: 32 bytes of head ("LKHIST1\0", seed, volume bytes, 0), then records in order of completion, little endian:
 * op 8, offset 8, length 8, begin 8, end 8 (places in one total order; end 2^64-1: never completed), begin_ns 8, end_ns
 * 8, value 8 (written), kind 4, error 4 (as int32), runs 4, 0 4; then `runs` pairs of u64 (value, sectors) that a read
 * found. */
#ifndef TESTS_NATIVE_HISTORY_H
#define TESTS_NATIVE_HISTORY_H

#include <stdint.h>

enum history_kind { HISTORY_READ = 1, HISTORY_WRITE, HISTORY_ZEROES, HISTORY_DISCARD, HISTORY_FLUSH };

struct history_record {
	uint64_t op, offset, length, begin, end, begin_ns, end_ns, value;
	uint32_t kind;
	int32_t error;
};

struct history_run {
	uint64_t value, sectors;
};

struct history;

/* `path` NULL: every call does nothing. */
struct history *history_open(const char *path, uint64_t seed, uint64_t volume_bytes);
void history_append(struct history *history, const struct history_record *record, const struct history_run *runs,
		    unsigned run_count);
/* What was appended is in the file, for whoever watches it grow. */
void history_flush(struct history *history);
void history_close(struct history *history);

#endif
