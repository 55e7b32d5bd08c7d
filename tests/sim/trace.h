/* What happened lately, in words, and a hash of all that happened: two runs of one seed must agree on it. */
#ifndef TESTS_SIM_TRACE_H
#define TESTS_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TRACE_KEPT 100u
#define TRACE_NUMBERS 6u
#define TRACE_WORDS 96u

struct trace_entry {
	uint64_t at_ns;
	const char *text; /* static; each '%' stands for the next number, '@' for the name */
	const char *name; /* static */
	uint64_t numbers[TRACE_NUMBERS];
	char words[TRACE_WORDS]; /* follow; copied */
};

struct trace {
	struct trace_entry kept[TRACE_KEPT];
	uint64_t count;
	uint64_t hash;
	FILE *live; /* everything at once, for --trace; NULL: only what is kept */
};

void trace_reset(struct trace *trace);
void trace_add(struct trace *trace, uint64_t at_ns, const char *text, const uint64_t numbers[TRACE_NUMBERS]);
/* With a static name, or with words of somebody else's that follow. */
void trace_name(struct trace *trace, uint64_t at_ns, const char *text, const uint64_t numbers[TRACE_NUMBERS],
		const char *name);
void trace_words(struct trace *trace, uint64_t at_ns, const char *text, const uint64_t numbers[TRACE_NUMBERS],
		 const char *words);
void trace_print(const struct trace *trace, FILE *file);

/* Needs a `world` with `trace` and `now_ns`. */
#define TRACE(world, text, ...)                                                                                        \
	trace_add(&(world)->trace, (world)->now_ns, text, (const uint64_t[TRACE_NUMBERS]){__VA_ARGS__})
#define TRACE_NAME(world, name, text, ...)                                                                             \
	trace_name(&(world)->trace, (world)->now_ns, text, (const uint64_t[TRACE_NUMBERS]){__VA_ARGS__}, name)

#endif
