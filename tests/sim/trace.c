/* The trace of one seed. Formats only what is printed: keeping an entry costs a copy of a few numbers. */
#include "tests/sim/trace.h"

#include <inttypes.h>

void trace_reset(struct trace *trace)
{
	trace->count = 0;
	trace->hash = 0xcbf29ce484222325ull;
}

static void mix(struct trace *trace, uint64_t number)
{
	trace->hash = (trace->hash ^ number) * 0x100000001b3ull;
	trace->hash ^= trace->hash >> 29;
}

static void print_entry(const struct trace_entry *entry, FILE *file)
{
	unsigned used = 0;

	(void)fprintf(file, "%12.6f ms  ", (double)entry->at_ns / 1e6);
	for (const char *c = entry->text; *c; c++) {
		if (*c == '%' && used < TRACE_NUMBERS)
			(void)fprintf(file, "%" PRIu64, entry->numbers[used++]);
		else if (*c == '@')
			(void)fputs(entry->name, file);
		else
			(void)fputc(*c, file);
	}
	(void)fprintf(file, "%s\n", entry->words);
}

void trace_name(struct trace *trace, uint64_t at_ns, const char *text, const uint64_t numbers[TRACE_NUMBERS],
		const char *name)
{
	struct trace_entry *entry = &trace->kept[trace->count++ % TRACE_KEPT];

	entry->at_ns = at_ns;
	entry->text = text;
	entry->name = name;
	entry->words[0] = '\0';
	mix(trace, at_ns);
	for (unsigned i = 0; i < TRACE_NUMBERS; i++) {
		entry->numbers[i] = numbers[i];
		mix(trace, numbers[i]);
	}
	if (trace->live)
		print_entry(entry, trace->live);
}

void trace_add(struct trace *trace, uint64_t at_ns, const char *text, const uint64_t numbers[TRACE_NUMBERS])
{
	trace_name(trace, at_ns, text, numbers, "");
}

void trace_words(struct trace *trace, uint64_t at_ns, const char *text, const uint64_t numbers[TRACE_NUMBERS],
		 const char *words)
{
	struct trace_entry *entry = &trace->kept[trace->count % TRACE_KEPT];
	FILE *live = trace->live;

	trace->live = NULL;
	trace_name(trace, at_ns, text, numbers, "");
	trace->live = live;
	(void)snprintf(entry->words, sizeof(entry->words), "%s", words);
	if (live)
		print_entry(entry, live);
}

void trace_print(const struct trace *trace, FILE *file)
{
	uint64_t from = trace->count > TRACE_KEPT ? trace->count - TRACE_KEPT : 0;

	for (uint64_t i = from; i < trace->count; i++)
		print_entry(&trace->kept[i % TRACE_KEPT], file);
}
