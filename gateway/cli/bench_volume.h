/* The scratch volume of `lockstep bench`: made, attached, detached and removed by this program's own commands, in
 * directories of its own, so that nothing of the machine's volumes is touched. */
#ifndef GATEWAY_CLI_BENCH_VOLUME_H
#define GATEWAY_CLI_BENCH_VOLUME_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/compiler.h"
#include "gateway/cli/cli.h"

#define SCRATCH_DEVICE_CHARS 64u

struct scratch {
	struct cli *cli;
	char dir[PATH_MAX / 4]; /* configuration and sockets; removed at the end */
	char name[48];
	bool is_created, is_attached;
	char device[SCRATCH_DEVICE_CHARS];
	pid_t gateway;	  /* while attached */
	char reason[512]; /* of the last failure, for people */
};

/* Nothing is printed: `reason` says why it failed. */
enum exit_code scratch_make(struct scratch *scratch, struct cli *cli, const struct text_list *replicas, uint64_t bytes)
	must_check;
enum exit_code scratch_attach(struct scratch *scratch, const char *mode) must_check;
enum exit_code scratch_detach(struct scratch *scratch) must_check;
/* Whatever was made is removed; what cannot be is named in a warning. */
void scratch_remove(struct scratch *scratch);

#endif
