/* What a workload is made of. */
#ifndef TESTS_CRASH_STEPS_H
#define TESTS_CRASH_STEPS_H

#include "tests/crash/host.h"

#define STEP_COUNT_MAX 32u

struct step {
	const char *name;
	bool (*can)(const struct host *host, const struct step *step);
	void (*run)(struct host *host, const struct step *step, unsigned number);
	/* Data frames. */
	uint8_t type;
	uint16_t flags;
	bool cut;
	uint64_t offset;
	uint32_t length;
	uint32_t gen; /* ... above the config's; also of STAMP */
	/* Control messages. */
	enum message_kind kind;
	int delta; /* to the ballot's epoch, to the config's gen */
	bool sync;
};

extern const struct step steps[];
extern const unsigned step_count;

/* The gateway that a workload begins with: promised, and with a session where there are data. */
void steps_attach(struct host *host);

#endif
