/* `lockstep version`: what this program is and which formats it speaks. */
#include <stdio.h>

#include "gateway/cli/commands.h"
#include "proto/config.h"
#include "proto/frame.h"
#include "proto/message.h"

static enum exit_code run(struct cli *cli, void *args)
{
	if (cli->json)
		return cli_result(cli, json_pack("{s:s, s:i, s:i, s:i}", "version", LOCKSTEP_VERSION, "protocol",
						 (int)PROTOCOL_VERSION, "frame", (int)FRAME_VERSION, "config",
						 (int)CONFIG_VERSION));
	printf("lockstep %s (protocol %u, frames %u, configs %u)\n", LOCKSTEP_VERSION, PROTOCOL_VERSION, FRAME_VERSION,
	       CONFIG_VERSION);
	return EXIT_DONE;
}

const struct command command_version = {
	.name = "version",
	.operands = "",
	.summary = "show the version of this program and of the formats it speaks",
	.run = run,
};
